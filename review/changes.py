"""What a preview means for each node: joins, changes with or without a drain, leaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from kube_nodes.model.requests import LABELS_VARIABLE, TAINTS_VARIABLE, VERSION_VARIABLE
from kube_nodes.model.versions import KubernetesVersion
from kube_nodes.render.host_script import Binary
from kube_nodes.render.script_reading import Script, parse_units_script
from kube_nodes.review.names import name_order
from kube_nodes.review.preview import MEMBERSHIP, UNITS, Preview, Step

_NO_SCRIPT = Script(settings={})
_KUBELET = "kubelet"
AROUND = "the script around the files"
# As components/worker_node.py declares them; the engine's own order differs from run to run.
_PARTS = (
    "scripts", "preflight", "binaries", "token-id", "token-secret", "token", "prepare",
    "credentials", UNITS, MEMBERSHIP, "service-check",
)  # fmt: skip


class Kind(StrEnum):
    """What happens to a node, in the words of the table; the most important ones first."""

    REMOVE = "remove"
    REPLACE = "replace"
    REJOIN = "join anew"
    DRAIN = "update, drained"
    UPDATE = "update"
    CREATE = "create"


@dataclass(frozen=True, kw_only=True)
class State:
    """A node before or after the change."""

    script: Script = _NO_SCRIPT
    labels: str = ""
    taints: str = ""
    version: str = ""
    """Such as v1.37.2; "" where nothing tells."""

    @property
    def generation(self) -> str:
        """The node's generation, as its script has it."""
        return self.script.settings.get("generation", "")

    @property
    def minor(self) -> int | None:
        """The minor of the version."""
        try:
            return KubernetesVersion.parse(self.version).minor
        except ValueError:
            return None

    @property
    def texts(self) -> dict[str, str]:
        """What a reviewer reads, by what it is called: files by path, and the rest of the host."""
        files = {f"`{file.path}`": file.content for file in self.script.files}
        rest = {
            "programs": "".join(map(_describe, self.script.binaries)),
            AROUND: self.script.rest,
            "labels": _lines(self.labels),
            "taints": _lines(self.taints),
        }
        return files | {name: text for name, text in rest.items() if text}


@dataclass(frozen=True, kw_only=True)
class NodeChange:
    """What happens to one node."""

    node: str
    steps: Mapping[str, Step] = field(repr=False)
    """By part."""
    old: State
    new: State

    @property
    def kind(self) -> Kind:
        """What happens, in one word."""
        ops = {part: step.op for part, step in self.steps.items()}
        if ops.get("") == "delete" or ops.get(UNITS) == "delete":
            return Kind.REMOVE
        if ops.get("") == "create" or "create" in (ops.get(UNITS), ops.get(MEMBERSHIP)):
            return Kind.CREATE
        if self.old.generation != self.new.generation:
            return Kind.REJOIN
        if UNITS in ops and "replace" in ops[UNITS]:
            return Kind.REPLACE
        return Kind.DRAIN if self._changes_minor and self._has_kubelet else Kind.UPDATE

    @property
    def drains(self) -> bool:
        """Whether its pods are moved away, or end."""
        return self._has_kubelet and self.kind in (
            Kind.REMOVE, Kind.REPLACE, Kind.REJOIN, Kind.DRAIN,
        )  # fmt: skip

    @property
    def is_hidden(self) -> bool:
        """Whether a side of its script is secret, or not known before the update."""
        return UNITS in self.steps and _is_hidden(self.steps[UNITS])

    @property
    def restarts(self) -> tuple[str, ...]:
        """The units that restart, as far as they run already."""
        before = _restarting(self.old.script)
        after = _restarting(self.new.script)
        changed = {
            thing for thing in before.keys() | after.keys() if before.get(thing) != after.get(thing)
        }
        units = {
            unit for thing in changed for unit in (*_units(before, thing), *_units(after, thing))
        }
        return tuple(unit for unit in self.new.script.units if unit in units)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that change, in the order of a node's life."""
        return tuple(sorted(filter(None, self.steps), key=_part_order))

    @property
    def _changes_minor(self) -> bool:
        return self.old.minor != self.new.minor and None not in (self.old.minor, self.new.minor)

    @property
    def _has_kubelet(self) -> bool:
        return MEMBERSHIP in self.steps or _KUBELET in (
            *self.old.script.units,
            *self.new.script.units,
        )


def _part_order(part: str) -> tuple[int, str]:
    return (_PARTS.index(part) if part in _PARTS else len(_PARTS), part)


def find_changes(preview: Preview) -> list[NodeChange]:
    """Sort a preview's steps by node, in the order of their names; what is of none is left out."""
    by_node: dict[str, dict[str, Step]] = {}
    for step in preview.steps:
        if step.node is not None:
            by_node.setdefault(step.node, {})[step.part] = step
    return [
        NodeChange(node=node, steps=steps, old=_state(steps, "old"), new=_state(steps, "new"))
        for node, steps in sorted(by_node.items(), key=lambda each: name_order(each[0]))
    ]


def _state(steps: Mapping[str, Step], side: str) -> State:
    script, environment = _NO_SCRIPT, dict[str, str]()
    # With one side alone, all of it would seem to change.
    if UNITS in steps and not _is_hidden(steps[UNITS]):
        text = getattr(steps[UNITS], side).script
        script = _read(text) if text else _NO_SCRIPT
    if MEMBERSHIP in steps:
        environment = dict(getattr(steps[MEMBERSHIP], side).environment or {})
    # The node's version is its kubelet's; kube-proxy may have another.
    programs = sorted(script.binaries, key=lambda each: not each.path.endswith(f"/{_KUBELET}"))
    return State(
        script=script,
        labels=environment.get(LABELS_VARIABLE, ""),
        taints=environment.get(TAINTS_VARIABLE, ""),
        version=environment.get(VERSION_VARIABLE) or (programs[0].version if programs else ""),
    )


def _is_hidden(units: Step) -> bool:
    before = units.old.script is not None or units.op == "create"
    after = units.new.script is not None or units.op == "delete"
    return not (before and after)


def _read(text: str) -> Script:
    try:
        return parse_units_script(text)
    except ValueError:
        # Written by another version of this project: still text to compare, as a whole.
        return Script(settings={}, rest=text)


def _restarting(script: Script) -> dict[str, tuple[object, tuple[str, ...]]]:
    """Give by path what is there, and the units that read it."""
    files = {file.path: (file, file.restarts) for file in script.files}
    programs = {each.path: ((each.version, each.digest), each.restarts) for each in script.binaries}
    return {**files, **programs}


def _units(things: Mapping[str, tuple[object, tuple[str, ...]]], path: str) -> Iterable[str]:
    return things[path][1] if path in things else ()


def _describe(program: Binary) -> str:
    sources = "".join(f"  from {source}\n" for source in program.sources)
    digest = f"  digest {program.digest}\n" if program.digest else ""
    return f"{program.path} {program.version}\n{digest}{sources}"


def _lines(text: str) -> str:
    return f"{text}\n" if text else ""
