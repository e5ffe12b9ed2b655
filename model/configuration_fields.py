"""Which fields KubeletConfiguration and KubeProxyConfiguration have, by version.

The table beside this file is the one home of these facts; free fields in the stack's configuration
are checked against it, since the kubelet itself only logs an unknown one. A field that a version
does not have yet, but a flag for, is as good: it is rendered as that flag.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from kube_nodes.model.component_settings import KUBE_PROXY, KUBELET, check_gates, flag_of
from kube_nodes.model.declaration import no_string, show
from kube_nodes.model.versions import KubernetesVersion, Span

__all__ = [
    "FIRST_FILE_MINOR", "KUBELET", "KUBE_PROXY", "check_fields", "field_type", "has_field",
    "walk_fields",
]  # fmt: skip

# The first minor whose kubelet reads a configuration file. kube-proxy's of 1.9 is left out: its
# feature gates are one string there.
FIRST_FILE_MINOR = 10

# Type of a field: which Python types its value may have, how it is written, rule and remedy.
_TEXT = (str,)
# No field needs as much: what is longer is a slip, and would be stored twice for each node.
_LONGEST_TEXT = 4096
_DURATION = r"0|(\d+(\.\d+)?(ns|us|ms|s|m|h))+"
_QUANTITY = r"\d+(\.\d+)?([mkMGTPE]|[KMGTPE]i)?"
_NO_MAPPING = "is not a mapping; write keys and values"
_TYPES: dict[str, tuple[tuple[type, ...], str, str]] = {
    "boolean": ((bool,), "", "is neither true nor false; write one of them, without quotes"),
    "integer": ((int,), "", "is not a whole number; write it without quotes and fraction"),
    "number": ((int, float), "", "is not a number; write it without quotes"),
    "string": (_TEXT, "", ""),
    "duration": (_TEXT, _DURATION, 'is not a duration; write such as "1m30s"'),
    "quantity": ((str, int), _QUANTITY, 'is not a quantity; write such as "100Mi"'),
    "list": ((list, tuple), "", "is not a list; write a list, one entry a line with a dash"),
    "map": ((Mapping,), "", _NO_MAPPING),
    "object": ((Mapping,), "", _NO_MAPPING),
}


@cache
def _table() -> dict[str, dict[str, dict[str, str]]]:
    text = files(__package__).joinpath("configuration_fields.yaml").read_text()
    table: dict[str, dict[str, dict[str, str]]] = yaml.safe_load(text)
    return table


@cache
def _field_span(kind: str, path: str) -> Span | None:
    entry = _table()[kind].get(path)
    return Span.read(entry, since=FIRST_FILE_MINOR) if entry is not None else None


def has_field(kind: str, path: str, minor: int) -> bool:
    """Say whether a minor's configuration file has a field."""
    span = _field_span(kind, path)
    return span is not None and minor in span


def field_type(kind: str, path: str) -> str:
    """Name a field's type, whatever version has it; empty: there is no such field."""
    return _table()[kind].get(path, {}).get("type", "")


def walk_fields(kind: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each field with its path, going into the mappings that have fields of their own."""
    return _walk(values, _table()[kind], "")


def check_fields(
    kind: str, values: Mapping[str, Any], version: KubernetesVersion, owned: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Find what the given version would not read as meant.

    Args:
        kind: KUBELET or KUBE_PROXY.
        values: free fields, nested as in the file.
        version: whose file it is.
        owned: fields that have another home, with what to use instead.

    Yields:
        For each fault the field's path and a rule with its remedy.
    """
    fields = _table()[kind]
    for path, value in walk_fields(kind, values):
        if path in owned:
            yield path, owned[path]
        elif path not in fields:
            close = get_close_matches(path, fields, n=1)
            remedy = f"did you mean {close[0]}?" if close else "remove it"
            yield path, f"is not a field of {kind}; {remedy}"
        else:
            yield from _check_version(kind, path, version)
            yield from _check(path, value, fields[path])
        if kind == KUBELET and path == "featureGates" and isinstance(value, Mapping):
            for name, rule in check_gates(value, version):
                yield f"{path}.{name}", rule


def _walk(
    values: Mapping[str, Any], fields: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, Any]]:
    """Yield each field with its path, going into the mappings that have fields of their own."""
    for key, value in values.items():
        path = f"{prefix}{key}"
        inner = isinstance(value, Mapping) and fields.get(path, {}).get("type") == "object"
        if not inner:
            yield path, value
        else:
            yield from _walk(value, fields, f"{path}.")


def _check_version(kind: str, path: str, version: KubernetesVersion) -> Iterator[tuple[str, str]]:
    """Look whether the version has the field, or a flag that says the same."""
    field, flag = _field_span(kind, path), flag_of(kind, path)
    spans = [span for span in (field, flag.span if flag else None) if span]
    if not any(version.minor in span for span in spans):
        whole = Span(min(span.since for span in spans), max(span.until for span in spans))
        yield path, f"{whole.refuse(version)}; remove it"


def _check(path: str, value: Any, field: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield from _check_type(path, value, field["type"])
    if isinstance(value, Mapping) and field["type"] == "map":
        for key, inner in value.items():
            yield from _check_type(f"{path}.{key}", inner, field.get("of", "string"))
    if isinstance(value, list | tuple) and field["type"] == "list":
        for index, inner in enumerate(value):
            yield from _check_type(f"{path}[{index}]", inner, field.get("of", "string"))


def _check_type(path: str, value: Any, kind: str) -> Iterator[tuple[str, str]]:
    types, pattern, rule = _TYPES[kind]
    # bool is an int to Python, and not to Kubernetes
    right = isinstance(value, types) and (not isinstance(value, bool) or bool in types)
    if kind == "string" and not right:
        yield path, f"{show(value)} {no_string(value)}"
    elif isinstance(value, str) and len(value) > _LONGEST_TEXT:
        yield path, f"{show(value)} is too long; give at most {_LONGEST_TEXT} characters"
    elif not right or (pattern and not re.fullmatch(pattern, str(value), re.ASCII)):
        yield path, f"{show(value)} {rule}"
