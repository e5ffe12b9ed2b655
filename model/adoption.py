"""What a program of Kubernetes is told on a host, and what it would be told: compared as one text.

Somebody else's set-up says in flags what ours says in a file, or the other way round. Both are read
as fields, so that only what has another value differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from kube_nodes.model.component_settings import flags
from kube_nodes.model.configuration_fields import field_type
from kube_nodes.model.drift import line_diff
from kube_nodes.model.host_facts import HostFacts

WITHHELD = "# its text looks as if it held a credential, and is not shown\n"
_FLAGS = "flags"
_CONFIG = "config"
# Two units that have nothing in common, each with its sandbox.
_MOST_LINES = 200


@dataclass(frozen=True, kw_only=True)
class SetUp:
    """How one unit runs, or is to run."""

    unit_file: str = ""
    """Path of its unit; empty: there is none."""
    unit: str = ""
    """Text of its unit, with its drop-ins."""
    arguments: tuple[str, ...] = ()
    """Its command's, without the program."""
    configuration: str = ""
    """Text of the file that --config names."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What would be another text."""

    what: str
    diff: tuple[str, ...]
    """`-` is on the host, `+` is what would be written."""


def read_set_up(facts: HostFacts, unit: str) -> SetUp:
    """Read how a unit runs on a host."""
    properties = facts.units.get(unit)
    arguments = facts.arguments.get(unit, ())[1:]
    path = properties.get("FragmentPath") if properties else ""
    drop_ins = properties.get("DropInPaths").split() if properties else []
    return SetUp(
        unit_file=path,
        unit="".join(f"# {each}\n{_text(facts, each)}" for each in (path, *drop_ins) if each),
        arguments=arguments,
        configuration=_text(facts, read_flags(arguments).get(_CONFIG, "")),
    )


def differences(kind: str, name: str, there: SetUp, declared: SetUp) -> Iterator[Difference]:
    """Compare two set-ups of one program.

    Args:
        kind: KUBELET or KUBE_PROXY, of its configuration.
        name: of the unit.
        there: on the host.
        declared: what would be written.
    """
    texts = settings_text(kind, there), settings_text(kind, declared)
    if diff := _diff(*texts):
        yield Difference(what=f"settings of {name}, in flags and file together", diff=diff)
    own = f"# {declared.unit_file}\n{declared.unit}"
    if diff := _diff(there.unit, own):
        yield Difference(what=f"unit {name}", diff=diff)


def settings_text(kind: str, set_up: SetUp) -> str:
    """Write everything that a program is told as YAML: fields by their paths, then other flags."""
    try:
        document = yaml.safe_load(set_up.configuration) or {}
    except yaml.YAMLError:
        document = {}
    found = dict(_walk(kind, document if isinstance(document, Mapping) else {}))
    known, others = flags(kind), []
    for name, value in read_flags(set_up.arguments).items():
        flag = known.get(f"--{name}")
        if name == _CONFIG:
            continue
        if flag and flag.field:
            found[flag.field] = _read(field_type(kind, flag.field), value, flag.form)
        else:
            others.append(f"--{name}={value}")
    found = {path: value for path, value in found.items() if value not in ("", None, [], {})}
    if others:
        found[_FLAGS] = sorted(others)
    return str(yaml.safe_dump(found, width=4096)) if found else ""


def read_flags(arguments: tuple[str, ...]) -> dict[str, str]:
    """Read a command's flags by name, as pflag does: the last one counts, `_` is `-`."""
    found: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            continue
        name, sign, value = word.lstrip("-").partition("=")
        if not sign:
            value = "true" if not rest or rest[0].startswith("-") else rest.pop(0)
        found[name.replace("_", "-")] = value
    return found


def _walk(kind: str, values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and field_type(kind, path) == "object":
            yield from _walk(kind, value, f"{path}.")
        elif path not in ("apiVersion", "kind"):
            yield path, value


def _read(kind: str, value: str, form: str) -> Any:
    """Read a flag's value as the file's field has it."""
    if kind == "boolean":
        return value == "true"
    if kind in ("integer", "number"):
        return int(value) if value.lstrip("-").isdecimal() else value
    if kind == "list":
        return value.split(",")
    if kind == "map":
        sign = "<" if form == "thresholds" else "="
        return {key: inner for key, _, inner in (each.partition(sign) for each in value.split(","))}
    return value


def _text(facts: HostFacts, path: str) -> str:
    text = facts.contents.get(path, "")
    return WITHHELD if text is None else text


def _diff(there: str, declared: str) -> tuple[str, ...]:
    if there == declared:
        return ()
    return line_diff(there, declared, "on the host", "declared", _MOST_LINES)
