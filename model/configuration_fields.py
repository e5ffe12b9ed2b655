"""Which fields KubeletConfiguration and KubeProxyConfiguration have, by version.

The table beside this file is the one home of these facts; free fields in the stack's configuration
are checked against it, since the kubelet itself only logs an unknown one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from kube_nodes.model.versions import KubernetesVersion

KUBELET = "KubeletConfiguration"
KUBE_PROXY = "KubeProxyConfiguration"

_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "boolean": ((bool,), "true or false"),
    "integer": ((int,), "a whole number"),
    "number": ((int, float), "a number"),
    "string": ((str,), "a string"),
    "duration": ((str,), 'a duration such as "30s"'),
    "quantity": ((str, int), 'a quantity such as "100Mi"'),
    "list": ((list, tuple), "a list"),
    "map": ((Mapping,), "a mapping"),
    "object": ((Mapping,), "a mapping"),
}


@cache
def _table() -> dict[str, dict[str, dict[str, str]]]:
    text = files(__package__).joinpath("configuration_fields.yaml").read_text()
    table: dict[str, dict[str, dict[str, str]]] = yaml.safe_load(text)
    return table


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
    for path, value in _walk(values, fields, ""):
        if path in owned:
            yield path, owned[path]
        elif path not in fields:
            close = get_close_matches(path, fields, n=1)
            remedy = f"did you mean {close[0]}?" if close else "remove it"
            yield path, f"is not a field of {kind}; {remedy}"
        else:
            yield from _check(path, value, fields[path], version)


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


def _check(
    path: str, value: Any, field: Mapping[str, str], version: KubernetesVersion
) -> Iterator[tuple[str, str]]:
    since, until = field.get("since"), field.get("until")
    if since and version.minor < int(since.split(".")[1]):
        yield path, f"exists only since {since}, and this is {version}; remove it"
    if until and version.minor > int(until.split(".")[1]):
        yield path, f"was removed after {until}, and this is {version}; remove it"
    types, wanted = _TYPES[field["type"]]
    # bool is an int to Python, and not to Kubernetes
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        yield path, f"is not {wanted}; write {wanted}"
