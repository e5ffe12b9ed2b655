"""The common base of everything that a user declares in the stack's configuration.

Keys are camelCase, as Pulumi's and Kubernetes' own are; an unknown key is an error, never ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel


class Declaration(BaseModel):
    """A frozen part of the configuration, read from camelCase keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        strict=True,
        hide_input_in_errors=True,
    )


# Pydantic's error types, as a rule and a remedy in this project's words.
_RULES = {
    "missing": "is missing; set it",
    "string_type": "is not a string; quote it",
    "int_type": "is not a whole number; write it without quotes and fraction",
    "bool_type": "is neither true nor false; write one of them, without quotes",
    "list_type": "is not a list; write a list, one entry a line with a dash",
    "dict_type": "is not a mapping; write keys and values",
    "model_type": "is not a mapping; write keys and values",
    "model_attributes_type": "is not a mapping; write keys and values",
}


def explain(error: ValidationError, prefix: str, schema: type[Declaration]) -> list[str]:
    """Turn pydantic's findings into lines of `path: value rule; remedy`.

    Args:
        error: what pydantic found.
        prefix: what the path of every value begins with, such as `kube-nodes:`.
        schema: the declaration that was validated; it knows the keys that exist.

    Returns:
        One line a finding, in the order in which pydantic found them.
    """
    return [_line(dict(finding), prefix, schema) for finding in error.errors()]


def _line(finding: dict[str, Any], prefix: str, schema: type[Declaration]) -> str:
    location = [part for part in finding["loc"] if part != "[key]"]
    path = join_path(prefix, location)
    kind, message = finding["type"], finding["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        close = get_close_matches(str(location[-1]), _all_keys(schema), n=1)
        return (
            f"{path}: is not a known key; {f'did you mean {close[0]}?' if close else 'remove it'}"
        )
    if kind == "missing":
        return f"{path}: {_RULES[kind]}"
    if kind == "literal_error":
        expected = finding["ctx"]["expected"].replace("'", "")
        return f"{path}: {show(finding['input'])} is not allowed; use {expected}"
    # A rule that begins with "!" is about a text too long to show.
    if message.startswith("!"):
        return f"{path}: {message[1:]}"
    return f"{path}: {show(finding['input'])} {_RULES.get(kind, message)}"


def _all_keys(schema: type[Declaration]) -> set[str]:
    """Collect the keys of a declaration and of all below it, to guess what was meant."""
    keys = set()
    for field in schema.model_fields.values():
        keys.add(str(field.alias))
        for inner in _declarations(field.annotation):
            keys |= _all_keys(inner)
    return keys


def _declarations(annotation: Any) -> Iterator[type[Declaration]]:
    if isinstance(annotation, type) and issubclass(annotation, Declaration):
        yield annotation
    for inner in get_args(annotation):
        yield from _declarations(inner)


def join_path(prefix: str, location: list[Any]) -> str:
    """Write a place in the configuration as `pools.workers.nodes.n1.taints[0]`."""
    path = prefix
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path and not path.endswith(":") else str(part)
    return path


def show(value: Any, most: int = 60) -> str:
    """Show a value in an error, on one line and bounded."""
    text = f'"{value}"' if isinstance(value, str) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
