"""How each declared node is, by what the cluster says of its Node; no host is asked."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from kube_nodes.membership import nodes
from kube_nodes.membership.api import Object
from kube_nodes.model.host_output import clean
from kube_nodes.model.nodes import Node
from kube_nodes.model.requests import DeclaredNode
from kube_nodes.model.waves import plan_waves
from kube_nodes.settings import Settings


class Ready(StrEnum):
    """The Node's condition, or why there is none."""

    YES = "True"
    NO = "False"
    UNKNOWN = "Unknown"
    ABSENT = "no Node"
    NONE = "-"
    """It has no kubelet, or the cluster was not asked."""


@dataclass(frozen=True, kw_only=True)
class NodeStatus:
    """One declared node."""

    id: str
    pool: str
    wave: int | None
    """In which wave it changes; None: in none, since it is held or lost."""
    declared: str
    """Version of its kubelet, such as v1.37.2; without a kubelet, of kube-proxy."""
    kube_proxy: str
    """Version of its kube-proxy, where it is another one."""
    running: str
    """The version that its kubelet reports; empty: none does."""
    ready: Ready
    notes: tuple[str, ...]
    is_well: bool
    """Nothing of it is other than it should be."""
    drift: str = ""
    """What a look at its host has found; empty: there was none."""


def plan(settings: Settings) -> dict[str, int]:
    """Number the wave of each node that is in one, as the next `up` plans them."""
    waves: dict[str, int] = {}
    for name, pool in settings.pools.items():
        taking_part = [
            node.id for node in settings.nodes if node.pool == name and not (node.held or node.lost)
        ]
        for number, ids in enumerate(plan_waves(taking_part, pool.canary, pool.batch), 1):
            waves |= dict.fromkeys(ids, number)
    return waves


def judge(
    settings: Settings, known: Mapping[str, Object] | None, now: datetime.datetime
) -> list[NodeStatus]:
    """Say how every declared node is.

    Args:
        settings: what is declared.
        known: the cluster's Nodes by name; None: it was not asked, or did not answer.
        now: time of the API server's clock.
    """
    waves = plan(settings)
    return [_judge(node, waves.get(node.id), known, now) for node in settings.nodes]


def _judge(
    node: Node, wave: int | None, known: Mapping[str, Object] | None, now: datetime.datetime
) -> NodeStatus:
    there = known.get(node.id) if known is not None else None
    asked = known is not None and node.is_worker
    kubelet, proxy = str(node.kubelet_version), str(node.kube_proxy_version)
    faults: Sequence[str] = ()
    if asked:
        faults = tuple(_faults(node, there, now))
    notes = [*(["held"] if node.held else []), *(["lost"] if node.lost else []), *faults]
    if not node.is_worker:
        notes.append("kube-proxy alone")
    elif there is not None and _is_cordoned_by_others(there):
        notes.append("cordoned by somebody")
    return NodeStatus(
        id=node.id,
        pool=node.pool,
        wave=wave,
        declared=kubelet if node.is_worker else proxy,
        kube_proxy=proxy if node.is_worker and proxy != kubelet else "",
        running=nodes.kubelet_version(there) if there is not None else "",
        ready=_ready(there) if asked else Ready.NONE,
        notes=tuple(notes),
        is_well=known is not None and not faults,
    )


def _ready(node: Object | None) -> Ready:
    if node is None:
        return Ready.ABSENT
    status = nodes.ready_condition(node).get("status")
    return next((each for each in Ready if each == status), Ready.UNKNOWN)


def _faults(node: Node, there: Object | None, now: datetime.datetime) -> Iterator[str]:
    if node.lost:
        if there is not None:
            yield "its Node is still there"
        return
    if there is None:
        # What is held before it joined waits for its user.
        if not node.held:
            yield "not joined"
        return
    declared = DeclaredNode(id=node.id, name=node.id, generation=node.generation)
    if not nodes.is_member(there, declared) and not node.held:
        yield "joining" if nodes.is_joining(there) else _other_generation(there, node)
    condition = nodes.ready_condition(there)
    if condition.get("status") != "True":
        reason = clean(str(condition.get("reason") or "no report yet"), 60)
        yield f"{reason}{_since(condition.get('lastTransitionTime'), now)}"
    if nodes.annotation(there, nodes.CORDONED) is not None:
        yield "drained for an update"
    running = nodes.kubelet_version(there)
    if running and running != str(node.kubelet_version) and not node.held:
        yield "another version"


def _other_generation(there: Object, node: Node) -> str:
    found = nodes.annotation(there, nodes.GENERATION)
    if found is None:
        return "somebody else's Node"
    return f"generation {clean(found, 20)}, declared is {node.generation}"


def _is_cordoned_by_others(there: Object) -> bool:
    is_ours = nodes.annotation(there, nodes.CORDONED) is not None
    return bool(there["spec"].get("unschedulable")) and not is_ours


def _since(time: object, now: datetime.datetime) -> str:
    try:
        seconds = (now - datetime.datetime.fromisoformat(str(time))).total_seconds()
    except (ValueError, TypeError):
        return ""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f" for {seconds // length:.0f} {unit}"
    return f" for {max(seconds, 0):.0f} s"
