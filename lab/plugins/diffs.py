"""Compare two sets of inputs the way the engine's own libraries do.

The rules are those of pulumi/pulumi sdk/go/common/resource/properties_diff.go and
`NewDetailedDiffFromObjectDiff` in sdk/go/common/resource/plugin/provider.go: maps and
lists are compared by element, all else as a whole; so a secret, whatever is in it, is
one value, and a value that became secret has changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["add", "delete", "update"]
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_]*\Z")


@dataclass(frozen=True)
class Change:
    """What became of the property at one path."""

    kind: Kind
    replace: bool = False
    """Whether the resource must be replaced for it."""
    input_diff: bool = False
    """Whether the display compares with the old inputs; else with the old state."""


@dataclass(frozen=True)
class Diff:
    """The answer to the engine's question what has changed."""

    changes: Mapping[str, Change] = field(default_factory=dict)
    """By property path, as in `spec.ports[0]["a.b"]`."""
    delete_before_replace: bool = False
    stables: tuple[str, ...] = ()

    @property
    def replaces(self) -> list[str]:
        """Top-level properties that ask for a replacement, sorted."""
        return sorted({top_key(path) for path, one in self.changes.items() if one.replace})

    @property
    def changed_keys(self) -> list[str]:
        """Top-level properties that have changed, sorted."""
        return sorted({top_key(path) for path in self.changes})


def compare(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    must_replace: Callable[[str], bool] = lambda _: False,
    input_diff: bool = False,
) -> dict[str, Change]:
    """Return each changed path between two maps of properties.

    Args:
        old: the inputs of the last deployment.
        new: the inputs of this one.
        must_replace: told a whole path, says whether its change replaces the resource.
        input_diff: see `Change.input_diff`.
    """
    return {
        path: Change(kind, must_replace(path), input_diff)
        for path, kind in _compare_maps("", old, new)
    }


def ignoring(
    old: Mapping[str, Any], new: Mapping[str, Any], ignored: tuple[str, ...]
) -> dict[str, Any]:
    """Return the new inputs with the old value of each top-level ignored property."""
    kept = {key: old[key] for key in ignored if key in old}
    return {**new, **kept}


def top_key(path: str) -> str:
    """Return the first key of a property path."""
    match = re.match(r'\["((?:[^"\\]|\\.)*)"\]', path)
    return match.group(1).replace('\\"', '"') if match else re.split(r"[.\[]", path, maxsplit=1)[0]


def join(prefix: str, key: str | int) -> str:
    """Append a key or an index to a property path."""
    if isinstance(key, int):
        return f"{prefix}[{key}]"
    if not _PLAIN_KEY.match(key):
        quoted = key.replace('"', '\\"')
        return f'{prefix}["{quoted}"]'
    return f"{prefix}.{key}" if prefix else key


def _compare_maps(
    prefix: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[tuple[str, Kind]]:
    for key in sorted({*old, *new}):
        yield from _compare(join(prefix, key), old.get(key), new.get(key))


def _compare(path: str, old: Any, new: Any) -> Iterator[tuple[str, Kind]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _compare_maps(path, old, new)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            # A missing element is a deletion or an addition even where null is a value.
            before = old[index] if index < len(old) else None
            after = new[index] if index < len(new) else None
            yield from _compare(join(path, index), before, after)
    elif not equal(old, new):
        yield path, "add" if old is None else "delete" if new is None else "update"


def equal(old: Any, new: Any) -> bool:
    """Compare two values; unlike Python's ==, true is not 1."""
    if isinstance(old, bool) != isinstance(new, bool):
        return False
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return not any(_compare_maps("", old, new))
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(equal, old, new))
    return bool(old == new)
