"""Mounts of this machine under a folder of the lab: found and taken away before files are."""

from __future__ import annotations

import re
import time
from pathlib import Path

from lab.commands import run
from lab.errors import LabError


def below(folder: Path, mountinfo: str | None = None) -> list[Path]:
    """Return the mount points at and under this folder, the innermost first."""
    text = mountinfo or Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    points = [Path(_unescape(line.split(" ")[4])) for line in text.splitlines()]
    return [point for point in reversed(points) if point.is_relative_to(folder)]


def unmount_below(folder: Path, timeout_seconds: float = 5) -> None:
    """Unmount everything under this folder, or refuse to go on.

    Raises:
        LabError: a mount stays; removing files now would reach through it.
    """
    deadline = time.monotonic() + timeout_seconds
    while points := below(folder):
        for point in points:
            run(["umount", str(point)], check=False)
        if time.monotonic() > deadline and (left := below(folder)):
            raise LabError(f"{left[0]}: still mounted and in use; nothing under it was removed.")
        time.sleep(0.05)


def _unescape(field: str) -> str:
    """Undo the kernel's octal escapes (\\040 is a space)."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
