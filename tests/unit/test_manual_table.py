"""docs/from-manual-to-code.md leaves no flag of the manual out, and no row without its proof."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_DOCUMENT = (_ROOT / "docs" / "from-manual-to-code.md").read_text(encoding="utf-8")
_MANUAL = _ROOT / "tests" / "golden" / "seed" / "manual"
_ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in _DOCUMENT.splitlines()
    if line.startswith("|") and not line.startswith(("| ---", "| The manual |", "| What |"))
]
_STEPS = [row for row in _ROWS if len(row) == 5]


@pytest.mark.parametrize("row", _STEPS, ids=[row[0][:60] for row in _STEPS])
def test_each_row_says_where_and_how_it_is_proved_or_that_it_is_not_yet(row: list[str]) -> None:
    _, _, here, proof, today = row
    assert all(row)
    assert (here == "not yet") == (proof == "not yet")
    named = re.search(r"`|as above|the same|the unit|nothing|not yet|nowhere", here + proof)
    assert named, today


@pytest.mark.parametrize("unit", ["kubelet.service", "kube-proxy.service"])
def test_each_flag_and_line_of_the_manuals_units_has_a_row(unit: str) -> None:
    text = (_MANUAL / unit).read_text(encoding="utf-8")
    first = "\n".join(row[0] for row in _STEPS)
    flags = set(re.findall(r"--[\w-]+", text)) - {"--dport"}
    assert [flag for flag in sorted(flags) if f"`{flag}" not in first] == []
    lines = [line for line in text.splitlines() if re.match(r"[A-Z]\w+=|\[", line)]
    lines = [line.removesuffix(" \\") for line in lines]
    assert [line for line in lines if f"`{line}`" not in first] == []


def test_there_are_as_many_steps_as_the_manual_has() -> None:
    """A row that is taken out by mistake is missed."""
    assert len(_STEPS) >= 110
