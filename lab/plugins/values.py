"""Translate between the values on the plugin wire and plain Python values.

A property arrives as a protobuf value in which secrets, unknowns and outputs are
marked by signature. Here a secret is a `Secret`, an unknown is `UNKNOWN`, and all
else is what JSON would give: str, bool, int, float, None, list, dict. The SDK has
such a translation (`pulumi.provider.experimental.property_value`), but it takes the
mark of an unknown for an ordinary string and cannot write one, which a preview needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import struct_pb2

SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
SECRET_MARK = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a mark, no password
OUTPUT_MARK = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
ASSET_MARK = "c44067f5952c0a294b673a41bacd8c17"

# One mark per type; all mean "not known during this preview"
# (pulumi/pulumi sdk/go/common/resource/plugin/rpc.go). The second is the one we send.
UNKNOWN_MARKS = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
UNKNOWN_STRING_MARK = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

Value = Any
Properties = dict[str, Any]


class Unknown:
    """The type of `UNKNOWN`, a value that a preview does not have yet."""

    _instance: Unknown | None = None

    def __new__(cls) -> Unknown:
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that must be shown to nobody; its repr does not show it either."""

    value: Value = field(repr=False)


@dataclass(frozen=True)
class Asset:
    """A file of the operator's; two of the same content are equal wherever they lie.

    Source: pulumi/pulumi sdk/go/common/resource/asset/asset.go `Equals`.
    """

    path: str = field(compare=False)
    hash: str
    """SHA-256, which the engine adds."""


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """Read a map of properties from the wire."""
    return {key: from_value(value) for key, value in struct.fields.items()}


def from_value(value: struct_pb2.Value) -> Value:
    """Read one property from the wire."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value in UNKNOWN_MARKS else value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [from_value(item) for item in value.list_value.values]
    if kind == "struct_value":
        return _from_marked_struct(value.struct_value)
    return None


def _from_marked_struct(struct: struct_pb2.Struct) -> Value:
    signature = struct.fields[SIGNATURE_KEY].string_value if SIGNATURE_KEY in struct.fields else ""
    if signature == SECRET_MARK:
        return secret(from_value(struct.fields["value"]))
    if signature == OUTPUT_MARK:
        known = from_value(struct.fields["value"]) if "value" in struct.fields else UNKNOWN
        is_secret = "secret" in struct.fields and struct.fields["secret"].bool_value
        return secret(known) if is_secret else known
    if signature == ASSET_MARK and "path" in struct.fields:
        named = from_struct(struct)
        return Asset(path=named["path"], hash=named.get("hash") or "")
    return from_struct(struct)


def to_struct(properties: Mapping[str, Value]) -> struct_pb2.Struct:
    """Write a map of properties for the wire."""
    return struct_pb2.Struct(fields={key: to_value(item) for key, item in properties.items()})


def to_value(value: Value) -> struct_pb2.Value:
    """Write one property for the wire.

    Raises:
        TypeError: for a value of a type that has no form on the wire.
    """
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if value is UNKNOWN:
        value = UNKNOWN_STRING_MARK
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, (int, float)):
        return struct_pb2.Value(number_value=value)
    return _to_nested_value(value)


def _to_nested_value(value: Value) -> struct_pb2.Value:
    if isinstance(value, Secret):
        marked = {SIGNATURE_KEY: SECRET_MARK, "value": value.value}
        return struct_pb2.Value(struct_value=to_struct(marked))
    if isinstance(value, Asset):
        marked = {SIGNATURE_KEY: ASSET_MARK, "path": value.path, "hash": value.hash}
        return struct_pb2.Value(struct_value=to_struct(marked))
    if isinstance(value, Mapping):
        return struct_pb2.Value(struct_value=to_struct(value))
    if isinstance(value, (list, tuple)):
        items = [to_value(item) for item in value]
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=items))
    raise TypeError(f"no wire form for a {type(value).__name__}")


def secret(value: Value) -> Secret:
    """Mark a value as secret, once: a secret in a secret is the same secret."""
    return value if isinstance(value, Secret) else Secret(value)


def reveal(value: Value) -> Value:
    """Take every secret mark out of a value, at any depth."""
    if isinstance(value, Secret):
        return reveal(value.value)
    if isinstance(value, Mapping):
        return {key: reveal(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [reveal(item) for item in value]
    return value


def contains_secret(value: Value) -> bool:
    """Tell whether a secret is anywhere in a value."""
    return _any(value, lambda item: isinstance(item, Secret))


def contains_unknown(value: Value) -> bool:
    """Tell whether an unknown is anywhere in a value."""
    return _any(value, lambda item: item is UNKNOWN)


def _any(value: Value, matches: Any) -> bool:
    if matches(value):
        return True
    if isinstance(value, Secret):
        return _any(value.value, matches)
    if isinstance(value, Mapping):
        return any(_any(item, matches) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_any(item, matches) for item in value)
    return False
