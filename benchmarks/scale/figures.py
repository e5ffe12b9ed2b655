"""The figures of a large fleet: what was measured, growth, goals. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

CASES = (
    "all new, preview",
    "create",
    "nothing to do, up",
    "nothing to do, preview",
    "one added",
    "one changed",
    "one pool changed",
    "destroy",
)
MOST_GROWTH = 1.1
"""Of what a node costs, from 100 nodes to the most that were measured."""
MOST_STATE_BYTES = 50_000
MOST_STORED_BYTES = 25_000
"""As `make env` has it stored, with gzip."""
MOST_PROGRAM_MIB = 500
_FEW, _MANY = 100, 1000


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run of the engine."""

    case: str
    nodes: int
    """How many there are after it, or before a destroy."""
    changed: int
    """How many were made, changed or removed."""
    seconds: float
    processor_seconds: float = 0.0
    """Of all processes of the run, hosts and cluster not among them."""
    load: float = 0.0
    """Of the machine in the minute before; above its processors' number others were at work."""
    settings: str = ""
    """What of the engine was set other than by default."""
    memory_mib: dict[str, float] = field(default_factory=dict)
    open_files: dict[str, int] = field(default_factory=dict)
    state_bytes: int = 0
    state_gzip_bytes: int = 0


def growth(
    measured: Iterable[Measured], case: str, few: int, many: int, settings: str = ""
) -> float | None:
    """Return how many times longer a case takes with many nodes than with few."""
    found = {
        each.nodes: each.seconds
        for each in measured
        if each.case == case and each.settings == settings
    }
    return found[many] / found[few] if few in found and many in found else None


def render(measured: Sequence[Measured]) -> str:
    """Render a table of seconds, one of memory and files, one of the state."""
    heads = ("case", "nodes", "changed", "engine's settings", "seconds", "of a changed node")
    lines = [f"| {' | '.join((*heads, 'processor seconds', 'load before'))} |", f"|{'---|' * 8}"]
    ordered = sorted(measured, key=lambda each: (CASES.index(each.case), each.nodes))
    for one in ordered:
        each = f"{one.seconds / one.changed:.2f}" if one.changed else "-"
        lines.append(
            f"| {one.case} | {one.nodes} | {one.changed} | {one.settings or 'as by default'} "
            f"| {one.seconds:.1f} | {each} | {one.processor_seconds:.1f} | {one.load:.1f} |"
        )
    lines += ["", *_memory(ordered), "", *_state(ordered), "", *_goals(ordered)]
    return "\n".join(lines)


def _memory(measured: Sequence[Measured]) -> Iterator[str]:
    kinds = sorted({kind for one in measured for kind in one.memory_mib})
    if not kinds:
        return
    yield "Peak memory in MiB, and most open files, of one process:"
    yield ""
    yield f"| nodes | case | {' | '.join(kinds)} |"
    yield f"|---|---|{'---|' * len(kinds)}"
    for one in measured:
        cells = [
            f"{one.memory_mib[kind]:.0f}, {one.open_files.get(kind, 0)}"
            if kind in one.memory_mib
            else "-"
            for kind in kinds
        ]
        yield f"| {one.nodes} | {one.case} | {' | '.join(cells)} |"


def _state(measured: Sequence[Measured]) -> Iterator[str]:
    sizes = {one.nodes: one for one in measured if one.case == "create" and one.state_bytes}
    if not sizes:
        return
    yield "| nodes | state, MB | kB a node | with gzip, MB | kB a node |"
    yield "|---|---|---|---|---|"
    for nodes, one in sorted(sizes.items()):
        plain, packed = one.state_bytes, one.state_gzip_bytes
        yield (
            f"| {nodes} | {plain / 1e6:.2f} | {plain / nodes / 1e3:.1f} "
            f"| {packed / 1e6:.2f} | {packed / nodes / 1e3:.1f} |"
        )


def _goals(measured: Sequence[Measured]) -> Iterator[str]:
    """Hold what was measured against what is aimed at."""
    yield "| goal | found | met |"
    yield "|---|---|---|"
    for case in CASES:
        many = max((one.nodes for one in measured if one.case == case), default=0)
        if many > _FEW and (found := growth(measured, case, _FEW, many)) is not None:
            bound = MOST_GROWTH * many / _FEW
            goal = f"{case}: {many} nodes take at most {bound:.3g} times as long as {_FEW}"
            yield f"| {goal} | {found:.1f} times | {_met(found <= bound)} |"
    created = [one for one in measured if one.case == "create" and one.state_bytes]
    if created:
        most = max(created, key=lambda one: one.nodes)
        found = most.state_bytes / most.nodes
        goal = f"state of at most {MOST_STATE_BYTES // 1000} kB a node"
        met = _met(found <= MOST_STATE_BYTES)
        yield f"| {goal} | {found / 1e3:.0f} kB, of {most.nodes} | {met} |"
        stored = most.state_gzip_bytes / most.nodes
        goal = f"at most {MOST_STORED_BYTES // 1000} kB a node as it is stored, with gzip"
        met = _met(stored <= MOST_STORED_BYTES)
        yield f"| {goal} | {stored / 1e3:.0f} kB, of {most.nodes} | {met} |"
    # That of few nodes says nothing.
    programs = [one for one in measured if "program" in one.memory_mib and one.nodes >= _MANY]
    if programs:
        most = max(programs, key=lambda one: one.memory_mib["program"])
        found = most.memory_mib["program"]
        goal = f"program of at most {MOST_PROGRAM_MIB} MiB"
        yield f"| {goal} | {found:.0f} MiB, of {most.nodes} | {_met(found <= MOST_PROGRAM_MIB)} |"


def _met(is_met: bool) -> str:
    return "yes" if is_met else "no"


def dump(measured: Iterable[Measured]) -> str:
    """Write what was measured, one a line."""
    return "".join(f"{json.dumps(asdict(each), sort_keys=True)}\n" for each in measured)


def load(text: str) -> list[Measured]:
    """Read what dump wrote."""
    return [Measured(**json.loads(line)) for line in text.splitlines() if line.strip()]
