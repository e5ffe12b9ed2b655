"""The tables of a benchmark, as Markdown. Pure but for what it reads of the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.figures import Figure, Sample, per_host, ratio, seconds

PROGRAM, SCRIPT = "this program", "script"
OTHERS = ("Ansible", "pyinfra")
_BEGIN, _END = "<!-- {} begin -->", "<!-- {} end -->"


def render(samples: Sequence[Sample]) -> str:
    """Render every number of hosts as a table of seconds and one of ratios."""
    parts = []
    for hosts in sorted({each.hosts for each in samples}):
        rounds = len({each.round for each in samples if each.hosts == hosts})
        times = "once" if rounds == 1 else f"{rounds} times each"
        parts += [f"### {hosts} hosts ({times})", "", *_table(samples, hosts), ""]
    if costs := list(_per_host(samples)):
        parts += ["### What one host more costs", "", *costs, ""]
    return "\n".join(parts)


def _table(samples: Sequence[Sample], hosts: int) -> Iterator[str]:
    columns = (PROGRAM, *OTHERS, SCRIPT)
    found = [name for name in columns if any(each.tool == name for each in samples)]
    beside = [name for name in found if name in OTHERS]
    heads = [
        *(f"{name}, s" for name in found),
        *(f"{name} / {PROGRAM}" for name in beside),
        *([f"{PROGRAM} / {SCRIPT}"] if SCRIPT in found else []),
    ]
    yield f"| case | {' | '.join(heads)} |"
    yield f"|---{'|---' * len(heads)}|"
    for case in CASES:
        cells = [
            *(show(seconds(samples, hosts, case, name)) for name in found),
            *(show(ratio(samples, hosts, case, name, beside=PROGRAM)) for name in beside),
        ]
        if SCRIPT in found:
            cells.append(show(ratio(samples, hosts, case, PROGRAM, beside=SCRIPT)))
        yield f"| {case} | {' | '.join(cells)} |"


def _per_host(samples: Sequence[Sample]) -> Iterator[str]:
    """Say the difference between the most and the fewest hosts, by one host, in milliseconds."""
    tools = [name for name in (PROGRAM, *OTHERS, SCRIPT) if any(s.tool == name for s in samples)]
    rows = []
    for case in CASES:
        costs = [per_host(samples, case, name) for name in tools]
        if all(cost is not None for cost in costs):
            shown = " | ".join(f"{cost * 1000:.0f}" for cost in costs if cost is not None)
            rows.append(f"| {case} | {shown} |")
    if rows:
        yield f"| case | {' | '.join(f'{name}, ms' for name in tools)} |"
        yield f"|---{'|---' * len(tools)}|"
        yield from rows


def show(found: Figure | None) -> str:
    """Show a median, and the range where there is one."""
    if found is None:
        return "-"
    median = _number(found.median)
    if found.least == found.greatest:
        return median
    return f"{median} ({_number(found.least)} to {_number(found.greatest)})"


def _number(value: float) -> str:
    """Three digits say enough of what varies by some per cent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def machine() -> str:
    """Describe this machine in a sentence."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{os.cpu_count()} processors ({platform.machine()}), {pages:.0f} GiB, kernel {kernel}"


def write_part(page: Path, name: str, text: str) -> None:
    """Write a generated part of a page anew, between its two marks.

    Raises:
        ValueError: the page has not both marks.
    """
    begin, end = _BEGIN.format(name), _END.format(name)
    old = page.read_text(encoding="utf-8")
    if begin not in old or end not in old:
        raise ValueError(f"{page}: has no {begin} and {end}; put them where the tables belong")
    before, _, rest = old.partition(begin)
    after = rest.partition(end)[2]
    page.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}", encoding="utf-8")
