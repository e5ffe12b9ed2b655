"""The annotations of a Node that this program writes."""

GENERATION = "kube-nodes/generation"
"""Of a member: the declared generation that joined."""
TAINTS = "kube-nodes/taints"
"""Keys and effects of the taints that are ours, comma-separated."""
CORDONED = "kube-nodes/cordoned"
"""We made it unschedulable, so we undo it; an operator's cordon has none."""
