"""What a program declares, as plain data for the rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pulumi_policy import PolicyResource, ResourceValidationArgs, Secret
from pulumi_policy.proxy import UnknownValueError


class NotKnown(Enum):
    """Stands for a value that only an update will know."""

    YET = "not known before the update"


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One resource with its inputs; those that are secret are wrapped in Secret."""

    type: str
    name: str
    inputs: Mapping[str, Any] = field(repr=False)

    def get(self, *path: str) -> Any:
        """Give an input, secret or not; None where there is none."""
        value: Any = self.inputs
        for key in path:
            value = open_value(value)
            value = value.get(key) if isinstance(value, Mapping) else None
        return open_value(value)


def read(resource: ResourceValidationArgs | PolicyResource) -> Declared:
    """Take a resource out of the SDK's wrapping."""
    return Declared(type=resource.resource_type, name=resource.name, inputs=_plain(resource.props))


def open_value(value: Any) -> Any:
    """Give a value without the mark of a secret."""
    return value.value if isinstance(value, Secret) else value


def open_texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text that anybody can see, with the path to it."""
    if isinstance(value, Secret):
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from open_texts(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from open_texts(inner, f"{path}[{index}]")
    elif isinstance(value, str):
        yield path, value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_item(value, index) for index in range(len(value))]
    return value


def _item(value: Any, key: Any) -> Any:
    try:
        return _plain(value[key])
    except UnknownValueError:
        return NotKnown.YET
