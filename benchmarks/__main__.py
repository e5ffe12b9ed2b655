"""The command line of the benchmarks: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks import cases, quick, report
from benchmarks.command_line import exit_status
from benchmarks.figures import (
    Sample,
    dump_baseline,
    dump_samples,
    load_baseline,
    load_samples,
    next_rounds,
)
from benchmarks.hosts import lab
from benchmarks.tools import OTHERS, TOOLS, Tool
from lab.errors import LabError
from lab.lifecycle import progress
from lab.spec import LabSpec

_SUBNET, _BRIDGE = "10.98.250.0/24", "knbench"


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; return its exit status."""
    options = _parser().parse_args(arguments)
    return exit_status(lambda: int(options.run(options)))


def _parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    compare = commands.add_parser("compare", help="compare this program with the other tools")
    compare.add_argument("--hosts", type=_numbers, default=(2, 8, 16), help="such as 2,8,16")
    compare.add_argument("--rounds", type=int, default=3, help="times that all is measured")
    compare.add_argument("--tools", type=_tools, default=tuple(TOOLS), help="such as script")
    compare.add_argument("--samples", type=Path, help="go on with what was measured in this file")
    compare.add_argument("--page", type=Path, help="write the tables into this page")
    compare.set_defaults(run=_compare)
    tables = commands.add_parser("tables", help="show the tables of what was measured")
    tables.add_argument("samples", type=Path)
    tables.add_argument("--page", type=Path, help="write the tables into this page")
    tables.set_defaults(run=_tables)
    short = commands.add_parser("quick", help="hold this program against the baseline")
    short.add_argument("--write", action="store_true", help="write the baseline anew")
    short.add_argument("--rounds", type=int, help="times that all is measured")
    short.set_defaults(run=_quick)
    for one in (compare, short):
        one.add_argument("--dir", type=Path, help="the lab's folder (default: a new one)")
        one.add_argument("--subnet", default=_SUBNET)
        one.add_argument("--bridge", default=_BRIDGE)
        one.add_argument("--keep", action="store_true", help="leave the hosts running")
    return top


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(sorted({int(word) for word in text.split(",")}))


def _tools(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := set(names) - TOOLS.keys():
        raise argparse.ArgumentTypeError(f"{sorted(unknown)[0]} is none of {', '.join(TOOLS)}")
    return names


def _compare(options: argparse.Namespace) -> int:
    if min(options.hosts) < 2:
        raise ValueError("with less than 2 hosts none can be added; give 2 or more")
    if {"Ansible", "pyinfra"} & set(options.tools) and not (OTHERS / "pyinfra").exists():
        raise LabError(f"{OTHERS.parent}: Ansible and pyinfra are not there; use `make bench`.")
    found: list[Sample] = []
    if options.samples and options.samples.exists():
        found = load_samples(options.samples.read_text(encoding="utf-8"))

    def take(sample: Sample) -> None:
        found.append(sample)
        if options.samples:
            with options.samples.open("a", encoding="utf-8") as file:
                file.write(dump_samples([sample]))

    rounds = next_rounds(found, options.rounds)
    _measure(options, options.hosts, rounds, options.tools, take)
    return _publish(found, options.page)


def _tables(options: argparse.Namespace) -> int:
    return _publish(load_samples(options.samples.read_text(encoding="utf-8")), options.page)


def _publish(samples: list[Sample], page: Path | None) -> int:
    text = report.render(samples)
    if page:
        report.write_part(page, "comparison", text)
    print(text)
    return 0


def _quick(options: argparse.Namespace) -> int:
    rounds = options.rounds or (2 * quick.ROUNDS if options.write else quick.ROUNDS)
    names = (report.PROGRAM, report.SCRIPT)
    samples: list[Sample] = []
    _measure(options, (quick.HOSTS,), range(1, rounds + 1), names, samples.append)
    found = quick.ratios(samples)
    if options.write:
        quick.BASELINE.write_text(dump_baseline(found), encoding="utf-8")
        return 0
    baseline = load_baseline(quick.BASELINE.read_text(encoding="utf-8"))
    verdicts = quick.judge_all(found, baseline)
    print(quick.render(verdicts))
    return 1 if any(verdict.is_slower for verdict in verdicts.values()) else 0


def _measure(
    options: argparse.Namespace,
    numbers: Sequence[int],
    rounds: Iterable[int],
    names: Iterable[str],
    take: Callable[[Sample], None],
) -> None:
    """Measure with hosts that are taken away at the end, also after an error or Ctrl-C."""
    tell = progress()
    tell(f"{report.machine()}; load {os.getloadavg()[0]:.2f}")
    directory = options.dir or Path(tempfile.mkdtemp(prefix="kn-bench-", dir="/var/tmp"))
    spec = LabSpec(directory=directory.resolve(), subnet=options.subnet, bridge=options.bridge)
    with lab(spec, max(numbers), tell, options.keep) as up:
        tools = list(_make_tools(up, names, tell))
        for number in rounds:
            for count in numbers:
                for sample in cases.run_round(up, tools, count, number, tell):
                    take(sample)


def _make_tools(up: LabSpec, names: Iterable[str], tell: Callable[[str], None]) -> Iterator[Tool]:
    for name in names:
        tool = TOOLS[name](up)
        yield tool
        if plugins := getattr(tool, "plugins", ""):
            tell(plugins)


if __name__ == "__main__":
    sys.exit(main())
