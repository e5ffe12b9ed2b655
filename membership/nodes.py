"""What we read from a Node, and the few things we write to it.

Writes carry the Node's uid or resourceVersion: none ever makes a Node, or touches another one that
took its name, and a change by somebody else in between is read anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kube_nodes.membership.api import Api, ApiError, Object
from kube_nodes.membership.errors import MembershipError
from kube_nodes.model import node_annotations
from kube_nodes.model.labels import JOINING_TAINT, Taint
from kube_nodes.model.requests import DeclaredNode

GENERATION = node_annotations.GENERATION
TAINTS = node_annotations.TAINTS
CORDONED = node_annotations.CORDONED

_ATTEMPTS = 8


def node_path(name: str) -> str:
    """Path of a Node."""
    return f"/api/v1/nodes/{name}"


def annotation(node: Object, key: str) -> str | None:
    """Read an annotation of any object."""
    value: str | None = (node["metadata"].get("annotations") or {}).get(key)
    return value


def is_member(node: Object | None, declared: DeclaredNode) -> bool:
    """Tell whether the Node has joined as the declared generation."""
    return node is not None and annotation(node, GENERATION) == str(declared.generation)


def is_joining(node: Object) -> bool:
    """Tell whether the Node registered with our configuration, and was never made a member."""
    taints = {(taint["key"], taint["effect"]) for taint in node["spec"].get("taints") or []}
    return annotation(node, GENERATION) is None and JOINING_TAINT in taints


def is_ours(node: Object) -> bool:
    """Tell whether the Node joined, or began to join, through us."""
    return annotation(node, GENERATION) is not None or is_joining(node)


def is_elsewhere(node: Object, declared: DeclaredNode) -> bool:
    """Tell whether the Node reports addresses, and none that is declared: another machine's."""
    listed = (node.get("status") or {}).get("addresses") or []
    reported = {a["address"] for a in listed if a["type"] in ("InternalIP", "ExternalIP")}
    return bool(reported) and reported.isdisjoint(declared.addresses)


def kubelet_version(node: Object) -> str:
    """Version that the kubelet reports, such as v1.37.2; empty until it has."""
    return str(((node.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion", ""))


def minor(version: str) -> str:
    """`1.37` of v1.37.2."""
    return ".".join(version.removeprefix("v").split(".")[:2])


def ready_condition(node: Object) -> Mapping[str, Any]:
    """Return the Ready condition; empty until the kubelet has reported one."""
    conditions = (node.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == "Ready"), {})


def is_ready(node: Object) -> bool:
    """Tell whether the kubelet reports Ready."""
    return ready_condition(node).get("status") == "True"


def update(api: Api, name: str, change: Callable[[Object], Object | None]) -> Object | None:
    """Read a Node, and merge what `change` makes of it, again if it changed meanwhile.

    Args:
        api: the API.
        name: the Node's name.
        change: a merge patch for the Node, or None to leave it.

    Returns:
        The Node as it is then; None if there is none.
    """
    for _ in range(_ATTEMPTS):
        node = api.find(node_path(name))
        patch = change(node) if node is not None else None
        if node is None or patch is None:
            return node
        metadata = {**patch.get("metadata", {}), "resourceVersion": _version(node)}
        try:
            return api.merge(node_path(name), {**patch, "metadata": metadata})
        except ApiError as error:
            if error.not_found:
                return None
            if not error.conflict:
                raise
    raise MembershipError(f"the Node {name} keeps changing; something else writes it all the time")


def cordon(api: Api, name: str) -> None:
    """Make a Node unschedulable, and note that it was us; an operator's cordon is left alone."""

    def change(node: Object) -> Object | None:
        if node["spec"].get("unschedulable"):
            return None
        return {
            "spec": {"unschedulable": True},
            "metadata": {"annotations": {CORDONED: "true"}},
        }

    update(api, name, change)


def uncordon(api: Api, name: str) -> bool:
    """Undo our own cordon; False where there is none of ours."""
    undone = False

    def change(node: Object) -> Object | None:
        nonlocal undone
        undone = annotation(node, CORDONED) is not None
        if not undone:
            return None
        return {"spec": {"unschedulable": None}, "metadata": {"annotations": {CORDONED: None}}}

    return update(api, name, change) is not None and undone


def apply_labels(api: Api, node: Object, labels: Mapping[str, str]) -> None:
    """Set the declared labels, and remove those that were declared before.

    Server-side apply remembers which are ours. The uid keeps it from making a Node that has gone.
    """
    metadata = {"name": node["metadata"]["name"], "uid": node["metadata"]["uid"]}
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {**metadata, "labels": dict(labels)}}
    api.apply(node_path(metadata["name"]), body)


def make_member(api: Api, declared: DeclaredNode, uid: str, taints: Iterable[Taint]) -> None:
    """In one write: the node is a member, has its own taints, and our cordon is undone.

    Raises:
        MembershipError: the Node has been deleted, or is another one now.
    """
    wanted = tuple(taints)

    def change(node: Object) -> Object | None:
        if node["metadata"]["uid"] != uid:
            return None
        annotations: dict[str, str | None] = {
            GENERATION: str(declared.generation),
            TAINTS: ",".join(f"{t.key}:{t.effect}" for t in wanted) or None,
            CORDONED: None,
        }
        spec: Object = {}
        current = node["spec"].get("taints") or []
        merged = merge_taints(current, annotation(node, TAINTS), wanted)
        if merged != current:
            spec["taints"] = merged
        if annotation(node, CORDONED) is not None:
            spec["unschedulable"] = None
        return {"metadata": {"annotations": annotations}, "spec": spec}

    node = update(api, declared.name, change)
    if node is None or node["metadata"]["uid"] != uid:
        raise MembershipError(f"the Node {declared.name} was deleted while it joined; run it again")


def merge_taints(current: list[Object], ours: str | None, wanted: Iterable[Taint]) -> list[Object]:
    """Replace our taints in a Node's list; all others stay, with their times.

    Taints are one atomic list: writing only ours would wipe the node controller's, and a taint
    written anew would start its eviction clock again.

    Args:
        current: spec.taints of the Node.
        ours: the annotation TAINTS, as an earlier run wrote it.
        wanted: the taints declared now.
    """
    declared = {(t.key, t.effect): t for t in wanted}
    # The taint that a kubelet registers with is ours from the start.
    before = {
        JOINING_TAINT,
        *(tuple(pair.rsplit(":", 1)) for pair in (ours or "").split(",") if pair),
    }
    merged = []
    for taint in current:
        identity = (taint["key"], taint["effect"])
        if identity in declared:
            if taint.get("value", "") == declared[identity].value:
                merged.append(taint)
                del declared[identity]
        elif identity not in before:
            merged.append(taint)
    return merged + [_taint(taint) for taint in sorted(declared.values())]


def _taint(taint: Taint) -> Object:
    value = {"value": taint.value} if taint.value else {}
    return {"key": taint.key, **value, "effect": taint.effect}


def _version(node: Object) -> str:
    version: str = node["metadata"]["resourceVersion"]
    return version
