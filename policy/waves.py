"""A rule for whole stacks: how many nodes of a pool may change at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pulumi_policy import PolicyResource

POOL = "kube-nodes:index:NodePool"
NODE = "kube-nodes:index:WorkerNode"
_GATE = re.compile(r"(?P<pool>.+)-wave-(?P<number>\d+)")


def wide_waves(resources: Iterable[PolicyResource], most_per_cent: int) -> Iterator[str]:
    """Name each pool with a wave of more than so many in a hundred of its nodes.

    A gate names the nodes of the wave before it. The last wave is what remains; nodes that are held
    count as a part of it, since nothing here tells them apart. One node is never too many.
    """
    nodes: dict[str, int] = {}
    waves: dict[str, list[int]] = {}
    for resource in resources:
        pool = (
            resource.parent.name
            if resource.parent and resource.parent.resource_type == POOL
            else ""
        )
        if pool and resource.resource_type == NODE:
            nodes[pool] = nodes.get(pool, 0) + 1
        elif pool and (width := _before(resource)) is not None:
            waves.setdefault(pool, []).append(width)
    for pool, total in sorted(nodes.items()):
        gated = waves.get(pool, [])
        widest = max([*gated, total - sum(gated)])
        if widest > 1 and widest * 100 > total * most_per_cent:
            yield (
                f"{pool}: a wave of {widest} nodes of {total} is more than {most_per_cent} %; give"
                " the pool a smaller batch or canary"
            )


def _before(gate: PolicyResource) -> int | None:
    """Count the nodes before a gate; None: it is none, or what it holds is not known."""
    if gate.resource_type != "command:local:Command" or not _GATE.fullmatch(gate.name):
        return None
    request = _json(gate.props.get("stdin"))
    return len(request.get("before", ())) if isinstance(request, Mapping) else None


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None
