"""Names of many nodes in few words: `w1…w40, w50`."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NUMBERED = re.compile(r"(?P<before>.*?)(?P<number>0|[1-9]\d{0,8}|0\d{1,8})")
# Two names are no shorter as a range.
_SHORTEST_RANGE = 3


def list_names(names: Iterable[str]) -> str:
    """List names, sorted as people count; three or more that follow each other are a range."""
    runs: list[list[str]] = []
    for name in sorted(set(names), key=name_order):
        if runs and _follows(runs[-1][-1], name):
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(_write(run) for run in runs)


def _write(run: list[str]) -> str:
    return f"{run[0]}…{run[-1]}" if len(run) >= _SHORTEST_RANGE else ", ".join(run)


def name_order(name: str) -> tuple[str, int, str]:
    """Sort names as people count: w2 before w10."""
    found = _NUMBERED.fullmatch(name)
    return (found["before"], int(found["number"]), name) if found else (name, -1, name)


def _follows(before: str, name: str) -> bool:
    """Say whether a name is the next number after another one, written in the same way."""
    one, two = _NUMBERED.fullmatch(before), _NUMBERED.fullmatch(name)
    if not one or not two or one["before"] != two["before"]:
        return False
    width = len(one["number"]) if one["number"].startswith("0") else 0
    return two["number"] == str(int(one["number"]) + 1).zfill(width)
