"""What a host prints is not trusted: its length is bounded, and its control characters go."""

from __future__ import annotations

MOST_CHARACTERS = 20_000
"""What of a script's output goes on to other steps; ours print 2,000 at most."""


def clean(text: str | bytes, most: int = 500) -> str:
    """Return printable text on one line, of at most `most` characters."""
    words = clean_lines(text, most * 4).split()
    line = " ".join(words)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def clean_lines(text: str | bytes, most: int) -> str:
    """Return printable lines, of at most `most` characters in all; what is not UTF-8 becomes ?."""
    if isinstance(text, bytes):
        text = text[: most * 4].decode("utf-8", errors="replace")
    kept = (each if each.isprintable() or each == "\n" else " " for each in text[:most])
    return "".join(kept).replace("\ufffd", "?")


def plain(text: str, most: int = 2000) -> str:
    """Write what cannot be printed as an escape: one line that still says what was there.

    Names of certificate requests may be anything but a slash and a per cent sign.
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"
