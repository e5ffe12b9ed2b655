"""What docs/troubleshooting.md says that a user sees, for the tests that provoke it.

A test that brings about a failure holds what was printed against the document itself, so that
neither of the two changes alone.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_DOCUMENT = Path(__file__).parents[1] / "docs" / "troubleshooting.md"
_SECTION = re.compile(r"^### (.+)\n\n```\n((?:.+\n)+)```\n\n((?:.+\n)+)", re.MULTILINE)


@cache
def failures() -> dict[str, tuple[str, ...]]:
    """Return the texts that are printed, by the heading of the failure."""
    text = _DOCUMENT.read_text(encoding="utf-8")
    return {name: tuple(lines.splitlines()) for name, lines, _ in _SECTION.findall(text)}


def remedies() -> dict[str, str]:
    """Return what the document says to do, by the heading of the failure."""
    text = _DOCUMENT.read_text(encoding="utf-8")
    return {name: remedy for name, _, remedy in _SECTION.findall(text)}


def assert_documented(said: str, failure: str, number: int = 1) -> None:
    """Make sure that a line of what was printed ends as the document has it.

    Args:
        said: what was printed.
        failure: heading of the failure in the document.
        number: which of its texts, from 1 on; `…` in it stands for what differs.
    """
    text = failures()[failure][number - 1]
    pattern = ".+".join(re.escape(part) for part in text.removeprefix("…").split("…"))
    assert re.search(f"{pattern}$", said, re.MULTILINE), f"not as documented: {text}\n{said}"
