"""The table of faults: what was done, what was seen, what held."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass
class Row:
    """One kind of fault, over all its cases."""

    done: str
    places: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    held: int = 0
    skipped: str = ""

    @property
    def where(self) -> str:
        """What was done, with the steps at which it was done."""
        places = sorted(set(self.places))
        return f"{self.done}: {', '.join(places)}" if any(places) else self.done

    @property
    def sight(self) -> str:
        """What was seen, each thing once, with how often."""
        counted = {each: self.seen.count(each) for each in sorted(self.seen)}
        return "; ".join(f"{each} ({n})" if n > 1 else each for each, n in counted.items())

    @property
    def verdict(self) -> str:
        """How many cases were tried, and in how many all that must hold held."""
        return self.skipped or f"{self.held} of {len(self.places)}"


class Faults:
    """What was tried. A case that did not end in `held` failed."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}

    def tried(self, done: str, place: str = "") -> Row:
        """Begin a case; return its kind's row."""
        row = self._rows.setdefault(done, Row(done))
        row.places.append(place)
        return row

    def skip(self, done: str, why: str) -> None:
        """Say why a fault was not tried."""
        self._rows.setdefault(done, Row(done)).skipped = f"not tried: {why}"

    def told(self) -> list[dict[str, Any]]:
        """Return all rows as plain values, to be sent from one process to another."""
        return [asdict(row) for row in self._rows.values()]

    def take(self, told: Iterable[dict[str, Any]]) -> None:
        """Add what a test tried, in whichever process it ran."""
        for each in told:
            row = self._rows.setdefault(each["done"], Row(each["done"]))
            row.places += each["places"]
            row.seen += each["seen"]
            row.held += each["held"]
            row.skipped = each["skipped"]

    @property
    def rows(self) -> list[Row]:
        """All kinds, in the same order whatever was tried first."""
        return [row for _, row in sorted(self._rows.items())]

    @property
    def sum(self) -> str:
        """Count all cases."""
        tried, held = sum(len(row.places) for row in self.rows), sum(row.held for row in self.rows)
        return f"{tried} faults were tried; in {held} of them all that must hold held."


def render_console(faults: Faults) -> str:
    """Draw the table for a terminal."""
    table = Table("DONE", "SEEN", "HELD", show_lines=True)
    for row in faults.rows:
        table.add_row(row.where, row.sight, row.verdict)
    console = Console(width=150, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text() + faults.sum


def render_markdown(faults: Faults, preface: Iterable[str]) -> str:
    """Write the table as a page of the documentation."""
    lines = [*preface, "", "| done | seen | held |", "|---|---|---|"]
    for row in faults.rows:
        cells = (each.replace("|", "\\|").replace("\n", " ") for each in _cells(row))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", faults.sum, ""])


def _cells(row: Row) -> tuple[str, str, str]:
    return row.where, row.sight or "-", row.verdict
