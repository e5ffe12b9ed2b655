"""How many of a pool's nodes one run may take away without being asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from kube_nodes.model.recorded import Recorded
from kube_nodes.model.share import Share

_SHOWN = 5


def find_removal_faults(
    recorded: Recorded,
    declared: Mapping[str, str],
    max_unavailable: Mapping[str, Share],
    allowed: Mapping[str, int],
) -> Iterator[str]:
    """Find the pools that would lose more nodes than maxUnavailable, each as `fault; remedy`.

    A lost host's node counts nowhere: its capacity has gone, and `lost` was the yes.

    Args:
        recorded: the nodes as the state has them.
        declared: the pool of each node that is declared now. One in another pool than before stays.
        max_unavailable: of each declared pool; one that is declared no more has 1.
        allowed: how many a run may remove all the same, by pool.
    """
    before: dict[str, list[str]] = defaultdict(list)
    for name, node in sorted(recorded.nodes.items()):
        if not node.lost:
            before[node.pool].append(name)
    for pool, nodes in sorted(before.items()):
        removed = [name for name in nodes if name not in declared]
        limit = max_unavailable.get(pool, Share(1))
        most = max(limit.of(len(nodes)), allowed.get(pool, 0))
        if len(removed) > most:
            shown = ", ".join(removed[:_SHOWN])
            more = f" and {len(removed) - _SHOWN} more" if len(removed) > _SHOWN else ""
            yield (
                f"pool {pool}: {len(removed)} of its {len(nodes)} nodes are declared no more"
                f" ({shown}{more}), and maxUnavailable is {limit}; declare them again, or allow it"
                f" with `pulumi config set --path kube-nodes:allowRemovals.{pool} {len(removed)}`"
            )


def find_unused_allowances(
    recorded: Recorded, declared: Mapping[str, str], allowed: Mapping[str, int]
) -> Iterator[str]:
    """Name the allowances of pools that lose no node now: the next mistake would pass by them."""
    losing = {node.pool for name, node in recorded.nodes.items() if name not in declared}
    for pool in sorted(allowed.keys() - losing):
        yield (
            f"kube-nodes:allowRemovals.{pool} is not needed any more; remove it with"
            f" `pulumi config rm --path kube-nodes:allowRemovals.{pool}`"
        )
