"""What the engine tells of the stack's own state."""

from __future__ import annotations

from kube_nodes.model.recorded import RecordedNode, parse_recorded

_POOL = "urn:pulumi:prod::kube-nodes::kube-nodes:index:NodePool$kube-nodes:index:WorkerNode"


def test_nodes_are_told_with_their_pool_and_whether_they_are_lost() -> None:
    node = {"type": "kube-nodes:index:WorkerNode"}
    recorded = parse_recorded(
        {
            f"{_POOL}::n1": {**node, "outputs": {"pool": "workers", "lost": False}},
            f"{_POOL}::n2": {**node, "outputs": {"pool": "workers", "lost": True}},
            # Of a version that did not write it, or of a node that never got that far.
            f"{_POOL}::n3": {**node, "outputs": {}},
            f"{_POOL}::n4": node,
            f"{_POOL}$command:local:Command::n1-prepare": {"type": "command:local:Command"},
        }
    )
    assert recorded.nodes == {
        "n1": RecordedNode(pool="workers", lost=False),
        "n2": RecordedNode(pool="workers", lost=True),
        "n3": RecordedNode(pool="", lost=False),
        "n4": RecordedNode(pool="", lost=False),
    }
    assert recorded.names == {"n1", "n2", "n3", "n4", "n1-prepare"}


def test_a_stack_that_is_new_has_recorded_nothing() -> None:
    assert parse_recorded({}).names == frozenset()
