"""The common base of everything that a user declares in the stack's configuration.

Keys are camelCase, as Pulumi's and Kubernetes' own are; an unknown key is an error, never ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel


class Declaration(BaseModel):
    """A frozen part of the configuration, read from camelCase keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        strict=True,
        hide_input_in_errors=True,
    )


_NO_MAPPING = "is not a mapping; write keys and values"

# Pydantic's error types, as a rule and a remedy in this project's words.
_NO_STRING = "is not a string; write one text"
_RULES = {
    "missing": "is missing; set it",
    "int_type": "is not a whole number; write it without quotes and fraction",
    "bool_type": "is neither true nor false; write one of them, without quotes",
    "list_type": "is not a list; write a list, one entry a line with a dash",
    "dict_type": _NO_MAPPING,
    "model_type": _NO_MAPPING,
    "model_attributes_type": _NO_MAPPING,
}

_CREDENTIALS = re.compile(r"//\S*@")


def explain(
    error: ValidationError, prefix: str, schema: type[Declaration], others: Iterable[str] = ()
) -> list[str]:
    """Turn pydantic's findings into lines of `path: value rule; remedy`.

    Args:
        error: what pydantic found.
        prefix: what the path of every value begins with, such as `kube-nodes:`.
        schema: the declaration that was validated; it knows the keys that exist.
        others: keys that exist beside those of the schema.

    Returns:
        One line a finding, in the order in which pydantic found them.
    """
    return [_line(dict(finding), prefix, schema, others) for finding in error.errors()]


def _line(
    finding: dict[str, Any], prefix: str, schema: type[Declaration], others: Iterable[str]
) -> str:
    location = [part for part in finding["loc"] if part != "[key]"]
    path = join_path(prefix, location)
    kind, value = finding["type"], finding["input"]
    message = finding["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return f"{path}: is not a known key; {_guess(location, prefix, schema, others)}"
    if kind == "missing":
        return f"{path}: {_RULES[kind]}"
    if value is None:
        return f"{path}: is null; give it a value, or remove the key"
    if kind == "literal_error":
        expected = finding["ctx"]["expected"].replace("'", "")
        return f"{path}: {show(value)} is not allowed; use {expected}"
    # A rule that begins with "!" is about a text that must not be shown, or is too long.
    if message.startswith("!"):
        return f"{path}: {message[1:]}"
    rule = no_string(value) if kind == "string_type" else _RULES.get(kind, message)
    return f"{path}: {show(value)} {rule}"


def no_string(value: Any) -> str:
    """Say that a value is no string: what YAML made of a text without quotes may look unlike it."""
    if isinstance(value, bool):
        return "is a truth value and no string; quote what you wrote"
    if isinstance(value, int | float):
        return "is a number and no string; quote what you wrote, such as '1.30', '1e3' or '010'"
    return _NO_STRING


def _guess(
    location: Sequence[Any], prefix: str, schema: type[Declaration], others: Iterable[str]
) -> str:
    """Guess what an unknown key was meant to be: a near name here, or the same name elsewhere."""
    *parents, key = map(str, location)
    level = schema
    for part in parents:
        level = next(_declarations(_fields(level).get(part)), level)
    here = {name: name for name in (*_fields(level), *(() if parents else others))}
    below = _homes(level)
    anywhere = {name: f"{prefix}{home}" for name, home in _homes(schema).items()}
    same = (below, 1.0), (anywhere, 1.0)
    for known, cutoff in (*same, (here, 0.6), (below, 0.8), (anywhere, 0.8)):
        close = get_close_matches(key, known, n=1, cutoff=cutoff)
        if close:
            return f"did you mean {known[close[0]]}?"
    return "remove it"


def _fields(schema: type[Declaration]) -> dict[str, Any]:
    return {str(field.alias): field.annotation for field in schema.model_fields.values()}


def _homes(schema: type[Declaration]) -> dict[str, str]:
    """Tell where the keys of a declaration, and of all below it, are written; nearest first."""
    fields = _fields(schema)
    homes = {name: name for name in fields}
    for name, annotation in fields.items():
        named = f".<{name.removesuffix('s')}>" if get_origin(annotation) is dict else ""
        for inner in _declarations(annotation):
            for key, home in _homes(inner).items():
                homes.setdefault(key, f"{name}{named}.{home}")
    return homes


def _declarations(annotation: Any) -> Iterator[type[Declaration]]:
    if isinstance(annotation, type) and issubclass(annotation, Declaration):
        yield annotation
    for inner in get_args(annotation):
        yield from _declarations(inner)


def join_path(prefix: str, location: Sequence[Any]) -> str:
    """Write a place in the configuration as `pools.workers.nodes.n1.taints[0]`."""
    path = prefix
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            key = show(str(part), most=100).removeprefix('"').removesuffix('"')
            path += f".{key}" if path and not path.endswith(":") else key
    return path


def show(value: Any, most: int = 60) -> str:
    """Show a value in an error: on one line that no terminal obeys, bounded, never a secret."""
    if isinstance(value, Mapping | list | tuple):
        return "{…}" if isinstance(value, Mapping) else "[…]"
    if not isinstance(value, str):
        return json.dumps(value) if isinstance(value, bool | int | float) else str(value)
    if "PRIVATE KEY" in value:
        return "a private key"
    text = _CREDENTIALS.sub("//…@", value)
    text = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(
        each if each.isprintable() else json.dumps(each).strip('"')
        for each in json.dumps(text, ensure_ascii=False)
    )
