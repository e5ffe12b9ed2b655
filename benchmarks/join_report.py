"""The tables of the join, as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.figures import Figure, figure
from benchmarks.report import show
from benchmarks.timeline import GROUPS, PHASES, by_group, durations

JOIN, BY_HAND, NOTHING = "join", "by hand", "nothing to do"


@dataclass(frozen=True)
class Run:
    """One run that was timed."""

    kind: str
    """One of JOIN, BY_HAND, NOTHING."""
    round: int
    seconds: float
    nodes: int
    marks: Mapping[str, Mapping[str, float]]
    """Of a join: by node, as of timeline.marks."""


def render(runs: Sequence[Run]) -> str:
    """Render what was measured: totals, and where the time of a join goes."""
    return "\n".join([*_totals(runs), "", *_groups(runs), "", *_phases(runs)])


def join_ratio(runs: Sequence[Run]) -> Figure:
    """Return the join's time divided by that by hand of the same round."""
    return figure(
        one.seconds / other.seconds
        for one in runs
        for other in runs
        if (one.kind, other.kind) == (JOIN, BY_HAND) and one.round == other.round
    )


def per_node(runs: Sequence[Run]) -> float | None:
    """Return what one node more costs a run that has nothing to do, in seconds."""
    times: dict[int, list[float]] = {}
    for run in runs:
        if run.kind == NOTHING:
            times.setdefault(run.nodes, []).append(run.seconds)
    if len(times) < 2:
        return None
    few, many = min(times), max(times)
    return (median(times[many]) - median(times[few])) / (many - few)


def _totals(runs: Sequence[Run]) -> Iterator[str]:
    yield "| what | seconds |"
    yield "|---|---|"
    yield f"| `pulumi up`, two nodes Ready and checked | {show(_seconds(runs, JOIN, 2))} |"
    yield f"| the bare sequence by hand | {show(_seconds(runs, BY_HAND, 2))} |"
    yield f"| ratio of the same round | {show(join_ratio(runs))} |"
    yield f"| nothing to do, two nodes | {show(_seconds(runs, NOTHING, 2))} |"
    yield f"| nothing to do, one node | {show(_seconds(runs, NOTHING, 1))} |"
    cost = per_node(runs)
    if cost is not None:
        yield f"| one node more, nothing to do | {cost:.3f} |"


def _seconds(runs: Sequence[Run], kind: str, nodes: int) -> Figure | None:
    values = [run.seconds for run in runs if (run.kind, run.nodes) == (kind, nodes)]
    return figure(values) if values else None


def _groups(runs: Sequence[Run]) -> Iterator[str]:
    """Add up by kind: the median of all nodes and rounds."""
    sums = [by_group(marks) for marks in _joins(runs)]
    yield "| part of a join | seconds |"
    yield "|---|---|"
    for group in GROUPS:
        yield f"| {group} | {median(each[group] for each in sums):.2f} |"


def _phases(runs: Sequence[Run]) -> Iterator[str]:
    """Say each phase in its order; a phase that nothing was seen of in any join is left out."""
    found: dict[str, list[float]] = {}
    for marks in _joins(runs):
        for phase, seconds in durations(marks):
            found.setdefault(phase.mark, []).append(seconds)
    yield "| phase | part | seconds (range) |"
    yield "|---|---|---|"
    for phase in PHASES:
        if phase.mark in found:
            yield f"| {phase.text} | {phase.group} | {show(figure(found[phase.mark]))} |"


def _joins(runs: Sequence[Run]) -> list[Mapping[str, float]]:
    return [marks for run in runs if run.kind == JOIN for marks in run.marks.values()]
