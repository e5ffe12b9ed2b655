"""Take a node out of service before its kubelet is stopped."""

from __future__ import annotations

from kube_nodes.membership import nodes
from kube_nodes.membership.cluster import reach
from kube_nodes.membership.drain import drain
from kube_nodes.membership.progress import Progress
from kube_nodes.model.requests import JoinRequest

# A delete reads what the last successful run recorded: a changed drainForce does not reach it.
_DRAIN_REMEDY = (
    "the Node stays cordoned; delete these pods, or the disruption budget, with kubectl and run"
    " again (drainForce set now does not reach the removal)"
)


def leave(request: JoinRequest, progress: Progress) -> str:
    """Cordon and drain the Node; return what to print. A Node that has gone is done.

    It stays cordoned where pods do not leave: the next run goes on with it. A host that is
    lost ends no pods, also where it came back meanwhile.
    """
    if request.lost:
        return "lost"
    api = reach(request.cluster, progress)
    name = request.node.name
    node = api.find(nodes.node_path(name))
    if node is None:
        return f"Node {name} has gone"
    if not nodes.is_ours(node):
        progress.say(f"the Node {name} did not join through kube-nodes; it is left alone")
        return f"Node {name} is not ours"
    drain(api, node, request.drain, progress, remedy=_DRAIN_REMEDY)
    return f"Node {name} drained"
