"""In which order the nodes of a pool change: a canary first, then batch after batch."""

from __future__ import annotations

from collections.abc import Iterable

from kube_nodes.model.share import Share


def plan_waves(node_ids: Iterable[str], canary: Share, batch: Share) -> list[tuple[str, ...]]:
    """Divide the nodes of a pool into waves.

    Args:
        node_ids: the nodes that take part, in any order.
        canary: how many change first, alone; 0: there is no canary.
        batch: how many change in each wave after it.

    Returns:
        The waves, each sorted; together they are all nodes, and each node is in one.
    """
    ids = sorted(node_ids)
    first = min(canary.of(len(ids)), len(ids))
    step = batch.of(len(ids)) or 1
    batches = [tuple(ids[start : start + step]) for start in range(first, len(ids), step)]
    return [tuple(ids[:first]), *batches] if first else batches
