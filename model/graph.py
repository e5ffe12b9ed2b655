"""The graph of a stack, folded so that it can be looked at: one node opened, the others counted."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

_COMPONENT = "kube-nodes:index:"
POOL, NODE = f"{_COMPONENT}NodePool", f"{_COMPONENT}WorkerNode"


@dataclass(frozen=True, kw_only=True)
class DeclaredResource:
    """One resource, as the engine is told of it; nothing of its inputs."""

    urn: str
    type: str
    name: str
    parent: str
    """URN of its component; of the stack, for one that has none."""
    custom: bool
    dependencies: tuple[str, ...]
    """URNs of what comes before it."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A resource that is drawn by itself."""

    key: str
    """Its URN."""
    title: str
    type: str
    after: frozenset[str] = frozenset()
    """URNs of what comes before it in its group, without what that implies."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Resources that are drawn in one box: a component's, or those of several that are alike."""

    title: str
    kind: str
    """The component's type, without its prefix; empty: no component."""
    count: int
    """How many components are in it."""
    steps: tuple[Step, ...]
    components: frozenset[str] = frozenset()
    """URNs of its components."""

    @property
    def keys(self) -> frozenset[str]:
        """URNs of all that is in it."""
        return self.components | {step.key for step in self.steps}


@dataclass(frozen=True, kw_only=True)
class Wave:
    """Nodes that change at once, and the gate before them."""

    number: int
    nodes: tuple[str, ...]
    gate: Step | None


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A pool, its nodes folded."""

    name: str
    count: int
    waves: tuple[Wave, ...]
    apart: tuple[str, ...]
    """Nodes that are held or lost: they are in no wave."""
    after: tuple[str, ...]
    """Titles of the groups that come before it."""


@dataclass(frozen=True, kw_only=True)
class FoldedGraph:
    """What is drawn."""

    shared: tuple[Group, ...]
    pools: tuple[Pool, ...]
    """The largest first."""
    opened: Group | None
    """The node that is opened, of the first pool that has one."""
    edges: tuple[tuple[str, str], ...]
    """From a group's title, or a step's key, to a step's key, or a pool's name."""


def fold(resources: Iterable[DeclaredResource], apart: Collection[str] = ()) -> FoldedGraph:
    """Fold a graph.

    Args:
        resources: all of the graph.
        apart: ids of the nodes that are held or lost.
    """
    graph = _Graph({each.urn: each for each in resources})
    shared = tuple(_shared(graph))
    pools = tuple(
        sorted(
            (_pool(graph, each, shared, apart) for each in graph.of_type(POOL)),
            key=lambda pool: (-pool.count, pool.name),
        )
    )
    opened = next((_open(graph, pool) for pool in pools if pool.waves), None)
    return FoldedGraph(
        shared=shared,
        pools=pools,
        opened=opened,
        edges=tuple(_edges(graph, shared, pools, opened)),
    )


@dataclass(frozen=True)
class _Graph:
    resources: Mapping[str, DeclaredResource]

    @cached_property
    def children(self) -> Mapping[str, list[DeclaredResource]]:
        found: dict[str, list[DeclaredResource]] = {}
        for each in self.resources.values():
            found.setdefault(each.parent, []).append(each)
        return found

    def of_type(self, kind: str) -> list[DeclaredResource]:
        found = [each for each in self.resources.values() if each.type == kind]
        return sorted(found, key=lambda each: each.name)

    def below(self, urn: str) -> list[DeclaredResource]:
        """Give what is in a component, at any depth."""
        own = self.children.get(urn, [])
        return [*own, *(inner for each in own for inner in self.below(each.urn))]

    def before(self, urns: Iterable[str]) -> set[str]:
        """Name all that comes before some resources, without themselves."""
        found: set[str] = set()
        waiting = list(urns)
        while waiting:
            for urn in self.resources[waiting.pop()].dependencies:
                if urn in self.resources and urn not in found:
                    found.add(urn)
                    waiting.append(urn)
        return found

    def steps(self, own: Sequence[DeclaredResource], prefix: str = "") -> tuple[Step, ...]:
        """Make steps of custom resources, in an order in which each comes after what it needs."""
        inside = {each.urn: each for each in own if each.custom}
        needs = {urn: self.before([urn]) & inside.keys() for urn in inside}
        ordered = sorted(inside, key=lambda urn: (len(needs[urn]), inside[urn].name))
        return tuple(
            Step(
                key=urn,
                title=inside[urn].name.removeprefix(prefix),
                type=inside[urn].type,
                after=frozenset(
                    before
                    for before in needs[urn]
                    if not any(before in needs[other] for other in needs[urn])
                ),
            )
            for urn in ordered
        )


def _kind(resource: DeclaredResource) -> str:
    return resource.type.removeprefix(_COMPONENT) if not resource.custom else ""


def _shared(graph: _Graph) -> Iterable[Group]:
    """Group what no pool holds: a box for each kind of component, one for what is in none."""
    # What has no component of its own is below the stack, which is no resource here.
    top = [each for each in graph.resources.values() if each.parent not in graph.resources]
    kinds: dict[str, list[DeclaredResource]] = {}
    for each in sorted(top, key=lambda each: each.name):
        if each.type != POOL:
            kinds.setdefault(_kind(each), []).append(each)
    for kind, found in sorted(kinds.items()):
        own = [inner for each in found for inner in (each, *graph.below(each.urn))]
        yield Group(
            title=(found[0].name if len(found) == 1 else f"{len(found)} of them") if kind else "",
            kind=kind,
            count=len(found),
            steps=graph.steps(own, f"{found[0].name}-" if kind and len(found) == 1 else ""),
            components=frozenset(each.urn for each in own if not each.custom),
        )


def _pool(
    graph: _Graph, pool: DeclaredResource, shared: Sequence[Group], apart: Collection[str]
) -> Pool:
    own = graph.children.get(pool.urn, [])
    gates = {_number(each.name): each for each in own if each.custom}
    waves: dict[int, list[str]] = {}
    inside = {pool.urn}
    for node in sorted((each for each in own if each.type == NODE), key=lambda each: each.name):
        below = {node.urn, *(each.urn for each in graph.below(node.urn))}
        inside |= below
        direct = {urn for each in below for urn in graph.resources[each].dependencies}
        behind = [number for number, gate in gates.items() if gate.urn in direct]
        if node.name not in apart:
            waves.setdefault(max(behind, default=1), []).append(node.name)
    before = graph.before(inside)
    return Pool(
        name=pool.name,
        count=sum(each.type == NODE for each in own),
        waves=tuple(
            Wave(
                number=number,
                nodes=tuple(nodes),
                gate=graph.steps([gates[number]])[0] if number in gates else None,
            )
            for number, nodes in sorted(waves.items())
        ),
        apart=tuple(sorted(each.name for each in own if each.name in apart)),
        after=tuple(group.kind for group in shared if group.kind and group.keys & before),
    )


def _number(gate: str) -> int:
    found = re.search(r"-wave-(\d+)$", gate)
    return int(found[1]) if found else 0


def _open(graph: _Graph, pool: Pool) -> Group:
    """Open the first node of a pool's first wave."""
    name = pool.waves[0].nodes[0]
    [node] = [each for each in graph.of_type(NODE) if each.name == name]
    below = graph.below(node.urn)
    return Group(
        title=name,
        kind="WorkerNode",
        count=1,
        steps=graph.steps(below, f"{name}-"),
        components=frozenset({node.urn, *(each.urn for each in below if not each.custom)}),
    )


def _edges(
    graph: _Graph, shared: Sequence[Group], pools: Sequence[Pool], opened: Group | None
) -> Iterable[tuple[str, str]]:
    """Yield the edges into and out of the opened node, and those of its whole pool."""
    if opened is None:
        return
    pool = next(each for each in pools if each.waves)
    [declared] = [each for each in graph.of_type(POOL) if each.name == pool.name]
    whole = set(declared.dependencies)
    for group in shared:
        if group.keys & whole:
            yield group.kind, pool.name
            continue
        for step in opened.steps:
            # What a step before it waits for is not drawn again.
            before = {urn for each in step.after for urn in (each, *graph.before([each]))}
            if group.keys & set(graph.resources[step.key].dependencies) - before:
                yield group.kind, step.key
    for wave in pool.waves:
        if wave.gate:
            needed = graph.resources[wave.gate.key].dependencies
            ends = [each.key for each in opened.steps if each.key in needed]
            yield from ((end, wave.gate.key) for end in ends)
