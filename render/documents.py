"""The serializers: YAML documents as Kubernetes reads them, and systemd units."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from unicodedata import category

import yaml


class _Dumper(yaml.SafeDumper):
    """Quotes also what Go's YAML library takes for a boolean or a number, and Python's does not.

    Source: resolve.go of sigs.k8s.io/yaml/goyaml.v2; a node named `n` or `1e3` would be none.
    """


_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"[yYnN]$"), list("yYnN"))
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(0[bBoOxX][\da-fA-F_]+|\.?\d[\d_]*(\.\d*)?([eE][-+]?\d+)?)$"),
    list("-+.0123456789"),
)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Write a text with line breaks and the like on one line, with escapes."""
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _text)


def render_yaml(document: Mapping[str, Any]) -> str:
    """Write a YAML document with sorted keys, one value a line, so that a diff shows one line."""
    text: str = yaml.dump(
        _plain(document),
        Dumper=_Dumper,
        sort_keys=True,
        default_flow_style=False,
        width=4096,
    )
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value


def merge_documents(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two nested documents; what `over` says wins, lists are replaced."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        result[key] = merge_documents(below or {}, value) if both else value
    return result


def render_unit(sections: Mapping[str, Iterable[tuple[str, str]]]) -> str:
    """Write a systemd unit; a key may stand more than once, order is kept.

    Raises:
        ValueError: a value has a control character, as a line break, which would begin another
            setting, or ends with a backslash, which would swallow the next one.
    """
    lines: list[str] = []
    for name, settings in sections.items():
        lines += ["", f"[{name}]"] if lines else [f"[{name}]"]
        for key, value in settings:
            if any(category(character) == "Cc" for character in value):
                raise ValueError(f"{name}.{key}: a unit's value must be one line of text")
            if value.endswith("\\"):
                raise ValueError(f"{name}.{key}: ends with a backslash, which joins the next line")
            lines.append(f"{key}={value}")
    return "\n".join(lines) + "\n"


def replace_settings(
    sections: Mapping[str, Iterable[tuple[str, str]]], over: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[tuple[str, str]]]:
    """Put settings in the place of a unit's own, or behind them; a list is a line each.

    An empty list takes a setting away.
    """
    result = {name: list(settings) for name, settings in sections.items()}
    for name, settings in over.items():
        for key, value in settings.items():
            lines = [(key, line) for line in (value if isinstance(value, list) else [value])]
            own = [index for index, setting in enumerate(result[name]) if setting[0] == key]
            rest = [setting for setting in result[name] if setting[0] != key]
            place = own[0] if own else len(rest)
            result[name] = [*rest[:place], *lines, *rest[place:]]
    return result


def render_command(program: str, flags: Iterable[str]) -> str:
    """Write an ExecStart= value, one word each; `%` and `$` mean themselves.

    Source: systemd.service(5), "Command lines".
    """
    return " ".join([program, *(_unit_word(flag) for flag in flags)])


def _unit_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    plain = not any(character.isspace() or character in "\"'\\;" for character in word)
    return escaped if plain and word else f'"{escaped}"'
