"""How many nodes a run may take away without being asked."""

from __future__ import annotations

import pytest

from kube_nodes.model.recorded import Recorded, RecordedNode
from kube_nodes.model.removals import find_removal_faults, find_unused_allowances
from kube_nodes.model.share import parse_share


def recorded(*, lost: int = 0, **pools: int) -> Recorded:
    """A state with so many nodes in each pool, named a0, a1 …; the last ones are lost."""
    nodes = {
        f"{pool}{number}": RecordedNode(pool=pool, lost=number >= size - lost)
        for pool, size in pools.items()
        for number in range(size)
    }
    return Recorded(nodes=nodes)


def declared(**pools: int) -> dict[str, str]:
    """So many nodes of each pool are still declared."""
    return {f"{pool}{number}": pool for pool, size in pools.items() for number in range(size)}


def faults(
    before: Recorded,
    after: dict[str, str],
    share: str = "1",
    allowed: dict[str, int] | None = None,
) -> list[str]:
    limits = dict.fromkeys(after.values(), parse_share(share))
    return list(find_removal_faults(before, after, limits, allowed or {}))


@pytest.mark.parametrize(
    ("before", "after", "share", "refused"),
    [
        (10, 10, "1", False),
        (10, 9, "1", False),
        (10, 8, "1", True),
        (10, 8, "2", False),
        (10, 8, "20%", False),
        (10, 7, "20%", True),
        (10, 7, "21%", False),
        (3, 2, "1%", False),
        (3, 5, "1", False),
    ],
)
def test_more_than_max_unavailable_is_refused(
    before: int, after: int, share: str, refused: bool
) -> None:
    assert bool(faults(recorded(a=before), declared(a=after), share)) is refused


def test_the_fault_names_pool_nodes_limit_and_both_ways_out() -> None:
    (fault,) = faults(recorded(a=10), declared(a=2))
    assert fault == (
        "pool a: 8 of its 10 nodes are declared no more (a2, a3, a4, a5, a6 and 3 more), and"
        " maxUnavailable is 1; declare them again, or allow it with"
        " `pulumi config set --path kube-nodes:allowRemovals.a 8`"
    )


def test_each_pool_counts_by_itself_and_all_are_told_at_once() -> None:
    assert faults(recorded(a=2, b=2), declared(a=1, b=1)) == []
    assert len(faults(recorded(a=4, b=4), declared(a=2, b=2))) == 2


def test_a_pool_that_is_declared_no_more_counts_too() -> None:
    assert len(faults(recorded(a=2, b=3), declared(b=3))) == 1
    assert faults(recorded(a=1, b=3), declared(b=3)) == []


def test_a_yes_in_the_configuration_is_for_that_pool_and_that_many() -> None:
    before, after = recorded(a=10, b=10), declared(a=5, b=10)
    assert faults(before, after, allowed={"a": 5}) == []
    assert len(faults(before, after, allowed={"a": 4})) == 1
    assert len(faults(before, after, allowed={"b": 9})) == 1
    # It never lowers what maxUnavailable gives.
    assert faults(before, declared(a=9, b=10), allowed={"a": 0}) == []


def test_lost_hosts_are_no_removal() -> None:
    assert faults(recorded(a=10, lost=8), declared(a=2)) == []
    assert len(faults(recorded(a=10, lost=8), declared(a=0))) == 1


def test_a_node_that_moves_to_another_pool_is_not_removed() -> None:
    moved = declared(a=1) | dict.fromkeys(("a1", "a2"), "b")
    assert faults(recorded(a=3), moved) == []


def test_an_allowance_that_nothing_needs_any_more_is_told() -> None:
    before = recorded(a=3, b=3)
    allowed = {"a": 2, "b": 2}
    (warning,) = find_unused_allowances(before, declared(a=1, b=3), allowed)
    assert "allowRemovals.b is not needed any more" in warning
    assert len(list(find_unused_allowances(Recorded(), declared(a=1), allowed))) == 2
