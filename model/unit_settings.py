"""Settings of a systemd unit that a user adds, or puts in the place of this program's own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kube_nodes.model.declaration import show

SECTIONS = ("Unit", "Service", "Install")
# What the unit runs has its own options.
_OWNED = {"Service.ExecStart": "is written by this program; remove it"}
_KEY = re.compile(r"[A-Z][A-Za-z0-9]*")
# With its name, less than LINE_MAX (2048) of systemd before 236: every systemd reads it whole.
_LONGEST_LINE = 2000
_LINES = "is neither one line of text nor a list of such; quote it, or write [] for no such line"


def check_unit(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find what can't be written into a unit; yields `section.setting` and a rule with remedy."""
    for section, settings in values.items():
        if section not in SECTIONS:
            yield section, f"is not a section; use one of {', '.join(SECTIONS)}"
        elif not isinstance(settings, Mapping):
            yield section, f"{show(settings)} is not a mapping; write keys and values"
        else:
            for key, value in settings.items():
                yield from _check(f"{section}.{key}", str(key), value)


def _check(path: str, key: str, value: Any) -> Iterator[tuple[str, str]]:
    lines = value if isinstance(value, list | tuple) else [value]
    if path in _OWNED:
        yield path, _OWNED[path]
    elif not _KEY.fullmatch(key):
        yield path, "is not a setting of a unit; write such as Restart"
    elif not all(isinstance(line, str) and line.isprintable() for line in lines):
        yield path, f"{show(value)} {_LINES}"
    elif any(line.endswith("\\") for line in lines):
        yield path, f"{show(value)} ends with a backslash, which joins the next line; remove it"
    elif any(len(line) > _LONGEST_LINE for line in lines):
        yield path, f"{show(value)} is too long; give at most {_LONGEST_LINE} characters a line"
