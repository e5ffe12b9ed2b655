"""What a run shows of itself while it runs, on the operator's machine and on the lab's hosts.

The hosts share the machine's kernel: one look at /proc sees the processes of all.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

_GONE = (FileNotFoundError, ProcessLookupError, PermissionError, NotADirectoryError)


class Watch:
    """Looks again and again until it is ended, and keeps what it saw, each thing once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_on)
        self.command_lines: set[bytes] = set()
        self.environments: dict[bytes, bytes] = {}
        """Each with the command line of a process that has it."""
        self.files: set[bytes] = set()
        """Contents of files in the folder that others might read."""
        self.dumping: set[str] = set()
        """Our own processes that could leave a core dump."""
        self.seen_ours: set[str] = set()

    @contextlib.contextmanager
    def looking(self) -> Iterator[Watch]:
        """Look on for a while."""
        self._thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            self._thread.join()

    def _look_on(self) -> None:
        known: set[tuple[str, bytes]] = set()
        while not self._ended.wait(0.05):
            for entry in os.scandir("/proc"):
                if entry.name.isdigit():
                    with contextlib.suppress(*_GONE):
                        self._look_at(Path(entry.path), known)
            self._look_at_files()

    def _look_at(self, process: Path, known: set[tuple[str, bytes]]) -> None:
        line = (process / "cmdline").read_bytes()
        if not line or (process.name, line) in known:
            return
        known.add((process.name, line))
        self.command_lines.add(line)
        self.environments[(process / "environ").read_bytes()] = line
        for mark in (b"\0run\0apply\0", b"-m\0kube_nodes.membership\0"):
            if mark in line + b"\0":
                name = mark.decode().replace("\0", " ").strip()
                self.seen_ours.add(name)
                if not _core_limit_is_zero((process / "limits").read_text()):
                    self.dumping.add(name)

    def _look_at_files(self) -> None:
        for path in self._folder.rglob("*"):
            with contextlib.suppress(*_GONE, IsADirectoryError):
                if path.is_file() and path.stat().st_mode & 0o077:
                    self.files.add(path.read_bytes())


def _core_limit_is_zero(limits: str) -> bool:
    line = next(each for each in limits.splitlines() if each.startswith("Max core file size"))
    return line.split()[4] == "0"
