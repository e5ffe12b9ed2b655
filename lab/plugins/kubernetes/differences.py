"""Compare declared inputs with the last read object: what changed, and what must be replaced.

The rules are those of pulumi/pulumi-kubernetes provider/pkg/provider/provider.go (Diff,
convertPatchToDiff), provider/diff.go (forceNewProperties) and openapi/match.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab.plugins.diffs import Change, Kind
from lab.plugins.kubernetes.objects import Object, is_secret, kind_of
from lab.plugins.values import UNKNOWN

Path = tuple[str | int, ...]

IDENTITY = ("metadata.name", "metadata.namespace")
_SELECTOR = ("spec.selector",)
_SECRET = ("type", "stringData", "data")
_CONFIG_MAP = ("binaryData", "data")

# Fields whose change replaces the object, for the kinds that this project declares.
FORCE_NEW: dict[tuple[str, str], tuple[str, ...]] = {
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): ("roleRef",),
    ("apps/v1", "DaemonSet"): _SELECTOR,
    ("apps/v1", "Deployment"): _SELECTOR,
    ("v1", "Service"): ("spec.clusterIP",),
}

_MISSING = object()


def force_new(obj: Object, *, mutable_secrets: bool, mutable_config_maps: bool) -> tuple[str, ...]:
    """Return the paths whose change replaces this object.

    A Secret's or ConfigMap's data is among them unless the provider says that they are mutable
    (`enableSecretMutable`, `enableConfigMapMutable`) and the object is not marked immutable.
    """
    immutable = obj.get("immutable") is True
    by_kind: tuple[str, ...]
    if is_secret(obj):
        by_kind = ("type",) if mutable_secrets and not immutable else _SECRET
    elif kind_of(obj) == ("v1", "ConfigMap"):
        by_kind = () if mutable_config_maps and not immutable else _CONFIG_MAP
    else:
        by_kind = FORCE_NEW.get(kind_of(obj), ())
    return IDENTITY + by_kind


def compare_objects(live: Object, inputs: Object, replace_on: tuple[str, ...]) -> dict[str, Change]:
    """Return each changed path between the pruned live object and the new inputs.

    A live field that the inputs lack counts as deleted, because pruning left only fields that
    an earlier deployment declared.
    """
    patterns = [tuple(pattern.split(".")) for pattern in replace_on]
    changes = {}
    for path, kind, value in _compare((), live, inputs):
        replace = any(_touches(path, value, pattern) for pattern in patterns)
        changes[render_path(path)] = Change(kind, replace, input_diff=kind == "delete")
    return changes


def _compare(path: Path, old: Any, new: Any) -> Iterator[tuple[Path, Kind, Any]]:
    if new is UNKNOWN:
        yield path, "add" if old is _MISSING else "update", new
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _compare((*path, key), old.get(key, _MISSING), new.get(key, _MISSING))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from _compare((*path, index), _at(old, index), _at(new, index))
    elif _absent(old) and _absent(new):
        return
    elif new is _MISSING or new is None:
        yield path, "delete", None
    elif old is _MISSING or old is None:
        yield path, "add", new
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield path, "update", new


def _at(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else _MISSING


def _absent(value: Any) -> bool:
    # The API server drops false, 0, [] and {} where they are the default (Go's omitempty); the
    # official plugin drops them from the inputs too. A "" is kept: it may be a label's value.
    return value is _MISSING or value is None or (value != "" and not value)


def _touches(path: Path, value: Any, pattern: tuple[str, ...]) -> bool:
    """Tell whether a change of `path` to `value` reaches the field named by `pattern`."""
    keys = tuple(key for key in path if isinstance(key, str))
    if keys[: len(pattern)] == pattern:
        return True
    if pattern[: len(keys)] != keys:
        return False
    for key in pattern[len(keys) :]:
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True


def is_ignored(path: str, ignored: tuple[str, ...]) -> bool:
    """Tell whether a changed path is one of the ignored ones, or lies in one."""
    return any(path == one or path.startswith((f"{one}.", f"{one}[")) for one in ignored)


def render_path(path: Path) -> str:
    """Write a property path as the official plugin does: spec.ports[0]["a.b/c"]."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        elif any(mark in key for mark in '."[]'):
            quoted = key.replace('"', '\\"')
            text += f'["{quoted}"]'
        else:
            text += f".{key}" if text else key
    return text
