"""What `gate` of membership/ reads on stdin (plain data, no effects)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kube_nodes.model.request_rules import declared_rules, names_cluster
from kube_nodes.model.request_text import Request, Rule
from kube_nodes.model.requests import Cluster, DeclaredNode


@dataclass(frozen=True, kw_only=True)
class WaveNode:
    """A node of a wave, as it has to be before the next one begins."""

    name: str
    generation: int
    version: str


@dataclass(frozen=True, kw_only=True)
class GateRequest(Request):
    """stdin of `gate`: what stands between one wave and the next. Holds nothing secret."""

    cluster: Cluster
    name: str
    """Names the gate in errors."""
    before: tuple[WaveNode, ...]
    """The wave that must be up."""
    digest: str
    """SHA-256 of what the nodes behind the gate are written from: it is tried when they change."""
    timeout_seconds: int = 60

    @property
    def subject(self) -> str:
        """The gate."""
        return self.name

    def rules(self) -> Iterator[Rule]:
        """Give its rules."""
        yield names_cluster(self.cluster)
        yield self.timeout_seconds > 0, "timeout_seconds", "must be above 0"
        for index, each in enumerate(self.before):
            node = DeclaredNode(id=each.name, name=each.name, version=each.version)
            yield from declared_rules(node, f"before[{index}]")
