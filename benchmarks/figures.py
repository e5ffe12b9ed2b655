"""Figures of a benchmark: medians, spread, ratios, and what counts as slower. Pure."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

SMALLEST_MARGIN = 0.25
"""Less than this above the baseline is never told as slower, however calm the baseline was."""
_SPREADS = 2


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run of one tool that was timed."""

    hosts: int
    case: str
    tool: str
    round: int
    seconds: float


@dataclass(frozen=True)
class Figure:
    """The median of some values, with the least and the greatest of them."""

    median: float
    least: float
    greatest: float

    @property
    def spread(self) -> float:
        """The whole range, as a part of the median."""
        return (self.greatest - self.least) / self.median if self.median else 0.0


def figure(values: Iterable[float]) -> Figure:
    """Return median and range.

    Raises:
        ValueError: there is no value.
    """
    found = list(values)
    if not found:
        raise ValueError("no value to make a figure of")
    return Figure(statistics.median(found), min(found), max(found))


def seconds(samples: Iterable[Sample], hosts: int, case: str, tool: str) -> Figure | None:
    """Return how long a tool took for a case; None where it was not measured."""
    values = [
        each.seconds
        for each in samples
        if (each.hosts, each.case, each.tool) == (hosts, case, tool)
    ]
    return figure(values) if values else None


def ratio(
    samples: Iterable[Sample], hosts: int, case: str, tool: str, *, beside: str
) -> Figure | None:
    """Return a tool's time divided by another's of the same round; None where one is missing.

    Two runs of one round stand close together, so whatever slows the machine for a while slows
    both.
    """
    rounds: dict[int, dict[str, float]] = {}
    for each in samples:
        if (each.hosts, each.case) == (hosts, case):
            rounds.setdefault(each.round, {})[each.tool] = each.seconds
    values = [
        times[tool] / times[beside] for times in rounds.values() if {tool, beside} <= times.keys()
    ]
    return figure(values) if values else None


def per_host(samples: Sequence[Sample], case: str, tool: str) -> float | None:
    """Return the seconds that one host more costs, by the least and the greatest number of hosts.

    What does not depend on the hosts, such as the start of a program, is not in it. None where
    there is one number of hosts alone.
    """
    numbers = sorted({each.hosts for each in samples if (each.case, each.tool) == (case, tool)})
    if len(numbers) < 2:
        return None
    few, many = numbers[0], numbers[-1]
    first, last = (seconds(samples, number, case, tool) for number in (few, many))
    assert first and last  # noqa: S101 - the numbers are of samples
    return (last.median - first.median) / (many - few)


@dataclass(frozen=True)
class Verdict:
    """How a ratio stands to its baseline."""

    found: Figure
    baseline: Figure
    margin: float

    @property
    def is_slower(self) -> bool:
        """Whether it is above the baseline by more than noise.

        By its least value: one run that was disturbed says nothing.
        """
        return self.found.least > self.baseline.median * (1 + self.margin)


def margin(baseline: Figure) -> float:
    """Return what a ratio may be above the baseline's median, as a part of it.

    Twice the whole range that was measured, and never less than SMALLEST_MARGIN.
    """
    return max(SMALLEST_MARGIN, _SPREADS * baseline.spread)


def judge(found: Figure, baseline: Figure) -> Verdict:
    """Hold a ratio against its baseline."""
    return Verdict(found, baseline, margin(baseline))


def next_rounds(samples: Iterable[Sample], count: int) -> range:
    """Number further rounds after those that there are."""
    first = max((each.round for each in samples), default=0) + 1
    return range(first, first + count)


def dump_samples(samples: Iterable[Sample]) -> str:
    """Write samples, one a line."""
    return "".join(f"{json.dumps(asdict(each), sort_keys=True)}\n" for each in samples)


def load_samples(text: str) -> list[Sample]:
    """Read what dump_samples wrote."""
    return [Sample(**json.loads(line)) for line in text.splitlines() if line.strip()]


def dump_baseline(ratios: Mapping[str, Figure]) -> str:
    """Write a baseline: for each case the ratio, with its range."""
    return json.dumps({name: asdict(each) for name, each in ratios.items()}, indent=2) + "\n"


def load_baseline(text: str) -> dict[str, Figure]:
    """Read what dump_baseline wrote."""
    return {name: Figure(**each) for name, each in json.loads(text).items()}
