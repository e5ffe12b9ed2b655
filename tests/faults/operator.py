"""Processes of a run on the operator's machine."""

from __future__ import annotations

import re
import time
from pathlib import Path

from lab import processes

# Pulumi's own, which looks once in five minutes whether its engine is still there. It is given no
# secret; the program that it starts for us is not it.
_LANGUAGE_HOST = re.compile(r"^\S*/pulumi-language-python( |$)")
# A process: its pid, and when it was started, as a pid is given out again.
Process = tuple[int, int]


def family(pid: int) -> dict[Process, str]:
    """Return a process and all that descend from it, each with its command line."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents.setdefault(int(status[1]), []).append(int(folder.name))
    found: dict[Process, str] = {}
    todo = [pid]
    while todo:
        one = todo.pop()
        start = processes.start_time(one)
        if start is not None:
            found[one, start] = command_line(one)
        todo += parents.get(one, [])
    return found


def command_line(pid: int) -> str:
    """Return the command line of a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def find_plugin(pid: int, name: str) -> int | None:
    """Return the pid of the plugin that a run started, official or stand-in."""
    marks = (f"lab/plugins/launch.py {name} ", f"pulumi-resource-{name}")
    for (one, _), line in family(pid).items():
        if any(mark in f"{line} " for mark in marks):
            return one
    return None


def left_of(family: dict[Process, str], seconds: float) -> list[str]:
    """Return what of it still runs after it had time to end."""
    end = time.monotonic() + seconds
    while True:
        left = [
            line
            for (pid, start), line in family.items()
            if processes.start_time(pid) == start and not _LANGUAGE_HOST.search(line)
        ]
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.1)
