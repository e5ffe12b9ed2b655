"""What kubelet and kube-proxy can be told by version, beside their configuration files' fields.

The table beside this file is the one home of these facts: flags, feature gates, and the options of
this program that not every version has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from kube_nodes.model.versions import KubernetesVersion, Span, parse_minor

KUBELET = "KubeletConfiguration"
KUBE_PROXY = "KubeProxyConfiguration"
_PROGRAMS = {KUBELET: "kubelet", KUBE_PROXY: "kube-proxy"}


@dataclass(frozen=True)
class Flag:
    """A flag of a program, in the minors in which it is written."""

    name: str
    span: Span
    field: str
    form: str


@cache
def _table() -> dict[str, Any]:
    text = files(__package__).joinpath("component_settings.yaml").read_text()
    table: dict[str, Any] = yaml.safe_load(text)
    return table


@cache
def flags(kind: str) -> Mapping[str, Flag]:
    """Give the flags of the program that a kind of configuration file is of, by name."""
    return {
        name: Flag(name, Span.read(entry), entry.get("field", ""), entry.get("form", ""))
        for name, entry in _table()["flags"][_PROGRAMS[kind]].items()
    }


@cache
def _flags_by_field(kind: str) -> Mapping[str, Flag]:
    return {flag.field: flag for flag in flags(kind).values() if flag.field}


def flag_of(kind: str, field: str) -> Flag | None:
    """Give the flag that says what a field says, in whatever version."""
    return _flags_by_field(kind).get(field)


@cache
def written_since(field: str) -> int:
    """Give the first minor in which this program writes a kubelet's field on its own account."""
    return parse_minor(_table()["written_since"].get(field, "1.0"))


def gpu_gates(gpu: str | None, version: KubernetesVersion) -> dict[str, bool]:
    """Give the feature gates that a kind of GPU needs in a version."""
    gates = _table()["gpu_gates"].get(gpu, {})
    return {name: True for name, last in gates.items() if version.minor <= parse_minor(last)}


def refuse_option(name: str, version: KubernetesVersion) -> str:
    """Say why a version does not have an option, with what to use instead, or "".

    Args:
        name: `option`, `option.key` or `option=value`.
        version: of the node.
    """
    return _refuse(_table()["options"].get(name), version)


def check_gates(gates: Mapping[str, Any], version: KubernetesVersion) -> Iterator[tuple[str, str]]:
    """Find the feature gates that are known to be none of a version, which would not start."""
    for name in gates:
        rule = _refuse(_table()["gates"].get(name), version)
        if rule:
            yield name, rule


def _refuse(entry: Mapping[str, Any] | None, version: KubernetesVersion) -> str:
    rule = Span.read(entry).refuse(version) if entry else ""
    return f"{rule}; {entry['instead']}" if entry and rule else ""
