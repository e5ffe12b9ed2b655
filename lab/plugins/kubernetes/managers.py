"""Make objects and change them, with field managers as the official plugin has them.

An object is made with a plain POST, under the manager "pulumi-kubernetes", so that an existing one
is an error (since 4.29). Its first update hands those fields to the resource's own manager
and applies with that one. The rules are those of pulumi/pulumi-kubernetes
provider/pkg/await/await.go (Creation, ssaUpdate, fixCSAFieldManagers, patchForce), and of
fluxcd/pkg ssa/patch.go, which it hands fields over with.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from lab.plugins.kubernetes.api_server import ApiError, ApiServer, NoSuchKindError
from lab.plugins.kubernetes.configuration import Settings
from lab.plugins.kubernetes.objects import (
    PATCH_FORCE,
    Object,
    annotation,
    kind_of,
    metadata,
    name_of,
    namespace_of,
)

CREATOR = "pulumi-kubernetes"
CREATE_RETRIES = 5
FIRST_RETRY_SECONDS = 0.5

# Whose fields an update takes over: a manager is meant by the beginning of its name.
_TAKEN_OVER = (
    ("kubectl", "Apply"),
    ("kubectl", "Update"),
    ("before-first-apply", "Update"),
    (CREATOR, "Update"),
    ("pulumi-resource-kubernetes", "Update"),
)


def make(
    server: ApiServer, obj: Object, settings: Settings, manager: str, *, preview: bool
) -> Object:
    """Make an object, or preview that, and return it as the API server has it.

    A missing namespace or kind may be on its way: outside of previews that is tried again.

    Raises:
        ApiError: the API server refused it.
        NoSuchKindError: the API server does not serve this kind.
    """
    wait = FIRST_RETRY_SECONDS
    for retries_left in range(CREATE_RETRIES, -1, -1):
        try:
            resource = server.resource(*kind_of(obj))
            if settings.upsert:
                force = preview or _is_forced(obj, settings)
                return server.apply(resource, obj, manager=manager, force=force, dry_run=preview)
            return server.create(resource, obj, manager=CREATOR, dry_run=preview)
        except (ApiError, NoSuchKindError) as error:
            missing = isinstance(error, NoSuchKindError) or error.status == 404
            if preview or not missing or not retries_left:
                raise
        time.sleep(wait)
        wait *= 2
    raise AssertionError("unreachable")


@dataclass(frozen=True)
class Change:
    """An update of one object."""

    inputs: Object
    old_name: str
    manager: str
    preview: bool


def apply_change(server: ApiServer, change: Change, settings: Settings) -> Object:
    """Apply an object's new inputs, or preview that, and return it as the API server has it.

    Raises:
        ApiError: it is not there, the API server refused it, or another manager owns a field.
        NoSuchKindError: the API server does not serve this kind.
    """
    obj, manager, preview = change.inputs, change.manager, change.preview
    resource = server.resource(*kind_of(obj))
    place = namespace_of(obj), change.old_name
    live = server.get(resource, *place)
    if not preview:
        entries = hand_over(metadata(live).get("managedFields") or [], manager)
        if entries is not None:
            step = {"op": "replace", "path": "/metadata/managedFields", "value": entries}
            live = server.patch(resource, *place, [step])
    force = _is_forced(obj, settings) or _owned_by_nobody(live, preview)
    return server.apply(resource, obj, manager=manager, force=force, dry_run=preview)


def relinquish(server: ApiServer, obj: Object, manager: str) -> None:
    """Give up all fields of an object that a manager holds."""
    api_version, kind = kind_of(obj)
    meta = {"name": name_of(obj), "namespace": namespace_of(obj) or None}
    empty = {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {key: value for key, value in meta.items() if value},
    }
    server.apply(server.resource(api_version, kind), empty, manager=manager, force=False)


def hand_over(entries: list[Object], manager: str) -> list[Object] | None:
    """Return managedFields with the fields of `_TAKEN_OVER` in `manager`'s hands.

    None where there is nothing to hand over. Entries of subresources stay as they are.
    """
    own: Object | None = None
    others = []
    taken = False
    for entry in entries:
        if entry.get("manager") == manager and entry.get("operation") == "Apply":
            own = entry if own is None else _merged(own, entry)
    for entry in entries:
        if entry.get("manager") == manager and entry.get("operation") == "Apply":
            continue
        if not _is_taken_over(entry):
            others.append(entry)
            continue
        taken = True
        own = (
            {**entry, "manager": manager, "operation": "Apply"}
            if own is None
            else _merged(own, entry)
        )
    return [*others, own] if taken and own is not None else None


def _is_taken_over(entry: Object) -> bool:
    name, operation = str(entry.get("manager", "")), entry.get("operation")
    return not entry.get("subresource") and any(
        name.startswith(prefix) and operation == kind for prefix, kind in _TAKEN_OVER
    )


def _merged(own: Object, entry: Object) -> Object:
    return {**own, "fieldsV1": _union(own.get("fieldsV1") or {}, entry.get("fieldsV1") or {})}


def _union(one: Any, other: Any) -> Any:
    merged = dict(one)
    for key, value in other.items():
        merged[key] = _union(merged[key], value) if key in merged else value
    return merged


def _is_forced(obj: Object, settings: Settings) -> bool:
    return settings.patch_force or annotation(obj, PATCH_FORCE) == "true"


def _owned_by_nobody(live: Object, preview: bool) -> bool:
    entries = metadata(live).get("managedFields") or []
    if not entries:
        return True
    # A preview hands nothing over, so it must look past the manager of the POST.
    return preview and any(
        entry.get("operation") == "Update"
        and entry.get("manager") in {CREATOR, "pulumi-resource-kubernetes"}
        for entry in entries
    )
