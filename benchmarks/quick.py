"""A short benchmark that is held against the committed baseline.

Seconds of two machines do not compare, so each case of this program is divided by what the
hand-written script took for all cases of the same round, on the same hosts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.figures import Figure, Sample, Verdict, figure, judge
from benchmarks.report import PROGRAM, SCRIPT, show

BASELINE = Path(__file__).resolve().parent / "baseline.json"
HOSTS, ROUNDS = 2, 3


def ratios(samples: Iterable[Sample]) -> dict[str, Figure]:
    """Return each case of this program beside the script's whole round.

    Raises:
        ValueError: a round has not all cases of both.
    """
    rounds: dict[int, dict[tuple[str, str], float]] = {}
    for each in samples:
        rounds.setdefault(each.round, {})[each.tool, each.case] = each.seconds
    for number, times in rounds.items():
        if missing := {(tool, case) for tool in (PROGRAM, SCRIPT) for case in CASES} - times.keys():
            raise ValueError(f"round {number}: {sorted(missing)[0]} was not measured")
    return {
        case: figure(
            times[PROGRAM, case] / sum(times[SCRIPT, each] for each in CASES)
            for times in rounds.values()
        )
        for case in CASES
    }


def judge_all(found: Mapping[str, Figure], baseline: Mapping[str, Figure]) -> dict[str, Verdict]:
    """Hold each case against the baseline.

    Raises:
        ValueError: the baseline is of other cases.
    """
    if found.keys() != baseline.keys():
        raise ValueError("the baseline is of other cases; write it anew (make bench-base)")
    return {case: judge(found[case], baseline[case]) for case in found}


def render(verdicts: Mapping[str, Verdict]) -> str:
    """Say how each case stands, one a line."""
    width = max(len(case) for case in verdicts)
    lines = [f"{'':{width}}  ratio (range), baseline, fails above"]
    for case, verdict in verdicts.items():
        limit = verdict.baseline.median * (1 + verdict.margin)
        word = "SLOWER" if verdict.is_slower else "ok"
        lines.append(
            f"{case:{width}}  {show(verdict.found)}, {verdict.baseline.median:.2f},"
            f" {limit:.2f}: {word}"
        )
    return "\n".join(lines)
