"""What all scripts for hosts are made of: checked values, settings, files in here-documents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import takewhile
from string import ascii_letters

from kube_nodes.render.quoting import shell_word

NODE_ID = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
PATH = re.compile(r"(/[A-Za-z0-9_@%+=:,-][A-Za-z0-9._@%+=:,-]*)+")
MODE = re.compile(r"0[0-7]{3}")
SUM = re.compile(r"([0-9a-f]{64}|[0-9a-f]{128})?")
VERSION = re.compile(r"v\d+\.\d+\.\d+")
URL = re.compile(r"https?://[^\s@/]+(/[^\s]*)?")
SOURCE = re.compile(f"{URL.pattern}|{PATH.pattern}")
UNIT = re.compile(r"[A-Za-z0-9_-]+")
RUN_ID = re.compile(r"[0-9a-f-]{1,64}")
DELIMITERS = ("END", *(f"{letter}END" for letter in ascii_letters))


def assign(settings: Mapping[str, str]) -> list[str]:
    """Return a line for each setting, with its value as one word."""
    return [f"{name}={shell_word(value)}\n" for name, value in settings.items()]


def heredoc(call: str, content: str, subject: str) -> str:
    """Return `call` with `content` on its stdin, byte for byte."""
    if "\0" in content:
        raise ValueError(f"{subject} content: holds a NUL character; give text")
    if content and not content.endswith("\n"):
        raise ValueError(f"{subject} content: does not end with a line break; add one")
    lines = content.split("\n")
    end = next((word for word in DELIMITERS if not any(_breaks(line, word) for line in lines)), "")
    if not end:
        raise ValueError(f"{subject} content: every possible delimiter stands in it")
    return f"{call} <<'{end}'\n{content}{end}\n"


def _breaks(line: str, end: str) -> bool:
    """Say whether a line ends the here-document, or loses a byte in it.

    dash 0.5.12 drops the first byte of a character beyond ASCII that follows a beginning of the
    delimiter at the start of a line.
    """
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(line, end, strict=False)))
    return line == end or (0 < same < len(line) and not line[same].isascii())


def closed(parts: Iterable[str], last: str) -> str:
    """Join the parts; the last line lets the receiver see that nothing was cut off."""
    return "".join(parts) + last + "# end\n"


def checked_path(path: str) -> str:
    """Return an absolute path without anything that a shell would read otherwise."""
    return checked(PATH, path, "path")


def checked(pattern: re.Pattern[str], value: str, subject: str) -> str:
    """Return a value that matches the pattern as a whole; subject names it in the error."""
    if not pattern.fullmatch(value):
        raise ValueError(f"{subject}: {value!r} does not match {pattern.pattern}")
    return value
