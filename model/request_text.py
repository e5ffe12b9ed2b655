"""How a request to a local command is written and read: JSON with a schema.

The engine stores this text in the state and feeds it to the delete of a resource, too, so
today's code must read yesterday's text: a field is only ever added, with a default; anything
else raises SCHEMA. Unknown fields are ignored, so that an older checkout can still remove a node.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, asdict, fields, is_dataclass
from types import UnionType
from typing import Any, Final, Self, TypeVar, get_args, get_origin, get_type_hints

SCHEMA: Final = 1

Rule = tuple[bool, str, str]
"""Whether it holds; the field that it is about; what is wrong where it does not hold."""


class RequestError(ValueError):
    """A field of the request that breaks a rule; the text names it and never shows a secret."""


class Request:
    """What a verb of membership/ reads on stdin; a frozen dataclass of plain values."""

    @property
    def subject(self) -> str:
        """What it is about: errors begin with it."""
        raise NotImplementedError

    def rules(self) -> Iterator[Rule]:
        """Give every rule that its types alone do not say."""
        raise NotImplementedError

    def completed(self) -> Self:
        """Return it with what follows from its own fields."""
        return self

    def to_json(self) -> str:
        """Write the request, sorted and compact: equal requests are equal texts."""
        return dump(self)


AnyRequest = TypeVar("AnyRequest", bound=Request)


def dump(request: Any, leave_out: Iterable[str] = ()) -> str:
    """Write a dataclass, but for some of its fields."""
    document = {"schema": SCHEMA, **asdict(request)}
    for name in leave_out:
        del document[name]
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def parse(kind: type[AnyRequest], text: str) -> AnyRequest:
    """Read the request of this kind from what arrived on stdin.

    Raises:
        RequestError: not JSON, another schema, or a field that is missing or breaks its rule.
    """
    try:
        document = json.loads(text)
    except ValueError:
        # The parser's own message may quote the input, which can hold a secret.
        raise RequestError("stdin is not JSON; run this command through Pulumi") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA or isinstance(schema, bool):
        raise RequestError(
            f"schema: {schema!r} is not known here; this version reads schema {SCHEMA}:"
            " use the version of this project that wrote the stack"
        )
    decoded: AnyRequest = _decode(kind, document, "")
    request = decoded.completed()
    for holds, path, rule in request.rules():
        if not holds:
            raise RequestError(f"{path}: {rule}")
    return request


def _decode(kind: Any, value: Any, path: str) -> Any:
    """Turn parsed JSON into the type that a dataclass declares, or say what is wrong where."""
    if isinstance(kind, UnionType):
        return None if value is None else _decode(get_args(kind)[0], value, path)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise RequestError(f"{path}: expected a list")
        return tuple(_decode(get_args(kind)[0], v, f"{path}[{i}]") for i, v in enumerate(value))
    if is_dataclass(kind):
        return _decode_object(kind, value, path)
    if type(value) is not kind:
        raise RequestError(f"{path}: expected {kind.__name__}, not {type(value).__name__}")
    return value


def _decode_object(kind: Any, value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise RequestError(f"{path or 'stdin'}: expected an object")
    hints = get_type_hints(kind)
    prefix = f"{path}." if path else ""
    known = {}
    for item in fields(kind):
        if item.name in value:
            known[item.name] = _decode(hints[item.name], value[item.name], prefix + item.name)
        elif item.default is MISSING:
            raise RequestError(f"{prefix}{item.name}: is missing")
    return kind(**known)
