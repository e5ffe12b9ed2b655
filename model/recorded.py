"""What the stack's own state holds of nodes, before this run changes anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

WORKER_NODE = "kube-nodes:index:WorkerNode"


@dataclass(frozen=True, kw_only=True)
class RecordedNode:
    """A node of the state."""

    pool: str
    """Empty: an earlier version of this program wrote it."""
    lost: bool


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The state, as far as a program may ask for it."""

    names: frozenset[str] = frozenset()
    """Names of all resources; those of a step that failed or never ran are not among them."""
    nodes: Mapping[str, RecordedNode] = field(default_factory=lambda: MappingProxyType({}))
    """By id, also those of which a removal has left something."""


def parse_recorded(resources: Mapping[str, Mapping[str, Any]]) -> Recorded:
    """Read what the engine tells of a state: `type` and `outputs` by URN."""
    nodes = {}
    for urn, resource in resources.items():
        if resource["type"] == WORKER_NODE:
            outputs = resource.get("outputs") or {}
            pool, lost = str(outputs.get("pool", "")), outputs.get("lost") is True
            nodes[_name(urn)] = RecordedNode(pool=pool, lost=lost)
    return Recorded(names=frozenset(map(_name, resources)), nodes=nodes)


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]
