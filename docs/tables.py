"""Markdown tables."""

from __future__ import annotations

from collections.abc import Iterator


def render_table(head: tuple[str, ...], lines: Iterator[tuple[str, ...]]) -> str:
    """Render a Markdown table."""
    rule = tuple("---" for _ in head)
    cells = [tuple(cell.replace("|", "\\|") for cell in line) for line in (head, rule, *lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
