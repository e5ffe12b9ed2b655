"""What stands between two waves: the nodes of the first must be up before the second changes."""

from __future__ import annotations

import queue
import time

from kube_nodes.membership import nodes
from kube_nodes.membership.api import Api, Object
from kube_nodes.membership.cluster import reach
from kube_nodes.membership.errors import MembershipError
from kube_nodes.membership.progress import Progress
from kube_nodes.membership.readiness import Started, why_not_ready
from kube_nodes.membership.watching import Collection, Event, Listed, follow
from kube_nodes.model.gate_request import GateRequest, WaveNode
from kube_nodes.model.requests import DeclaredNode

_TICK_SECONDS = 0.25
_NODES = Collection("/api/v1/nodes")


def gate(request: GateRequest, progress: Progress) -> str:
    """Wait until every node of the wave before is up; return what to print.

    Each of them was seen Ready when it changed; here they are looked at once more, all at once,
    also those that an earlier run had changed. A node that never joined is none of this wave.

    Raises:
        MembershipError: some are not up in time; which, and why.
    """
    api = reach(request.cluster, progress)
    end = time.monotonic() + request.timeout_seconds
    known: dict[str, Object] = {}
    listed = False
    with follow(api, _NODES) as changes:
        while True:
            missing = (
                _missing(api, request, known) if listed else "the API server to list the Nodes"
            )
            if not missing:
                return f"{len(request.before)} nodes are up"
            if time.monotonic() > end:
                raise MembershipError(
                    f"the wave before is not up after {request.timeout_seconds} s: {missing}."
                    " Nothing of this wave was changed; mend these nodes, or declare them held,"
                    " and run again"
                )
            progress.awaiting(missing)
            listed |= _take_all(changes, known)


def _take_all(changes: queue.Queue[Event], known: dict[str, Object]) -> bool:
    """Wait a tick for an event, then take all that are there; tell whether the list was whole."""
    timeout, whole = _TICK_SECONDS, False
    while True:
        try:
            change = changes.get(timeout=timeout) if timeout else changes.get_nowait()
        except queue.Empty:
            return whole
        timeout = 0.0
        if isinstance(change, Exception):
            raise change
        if isinstance(change, Listed):
            whole = True
        elif change.deleted:
            known.pop(change.manifest["metadata"]["name"], None)
        else:
            known[change.manifest["metadata"]["name"]] = change.manifest


def _missing(api: Api, request: GateRequest, known: dict[str, Object]) -> str:
    found = {
        each.name: why
        for each in request.before
        if each.name in known and (why := _why_not_up(api, each, known[each.name]))
    }
    texts = [f"{name}: {why}" for name, why in sorted(found.items())]
    more = f" and {len(texts) - 5} more" if len(texts) > 5 else ""
    return "; ".join(texts[:5]) + more


def _why_not_up(api: Api, wanted: WaveNode, node: Object) -> str:
    """Say what keeps a Node from counting as up; empty when nothing does."""
    if nodes.is_joining(node) or not nodes.is_ours(node):
        return ""
    declared = DeclaredNode(
        id=wanted.name, name=wanted.name, generation=wanted.generation, version=wanted.version
    )
    if not nodes.is_member(node, declared):
        return f"it has not joined as generation {wanted.generation}"
    if why := why_not_ready(api, node, declared, Started()):
        return why
    if nodes.annotation(node, nodes.CORDONED) is not None:
        return "it was drained for an update, and is still cordoned"
    return ""
