"""The cache of built tools: a folder is there whole or not at all.

Layout: <cache>/bin/<tool>-<version>/… is written once, by a rename, and never changed after.
Work in progress is under <cache>/staging/, held by a lock, so that two runs never build the same
thing at once and what a killed run left behind is removed by the next one.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

Report = Callable[[str], None]


def default_cache_root() -> Path:
    """Return the project's cache folder by the XDG rules (a relative path there is ignored)."""
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "kube-nodes"


@dataclass(frozen=True)
class Stage:
    """A private folder for work in progress, and the lock that keeps others away from it."""

    path: Path
    lock_fd: int
    """Handed to child processes: the lock then lasts as long as the longest-lived of them, even
    if this process is killed, and nobody cleans the folder under a compiler that still writes."""


@dataclass(frozen=True)
class Cache:
    """One cache folder."""

    root: Path

    def folder(self, name: str, version: str) -> Path:
        """Return where `name` in `version` is, or would be."""
        return self.root / "bin" / f"{name}-{version}"

    @contextmanager
    def stage(self, name: str, report: Report) -> Iterator[Stage]:
        """Lock the work on `name` and give it an empty folder, removed at the end.

        Waits for another run that holds the lock, so look again for the result once inside.
        """
        path = self.root / "staging" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(path.suffix + ".lock").open("w") as lock:
            _wait_for_lock(lock.fileno(), name, report)
            _remove(path)  # left by a run that was killed
            path.mkdir(mode=0o700)
            try:
                yield Stage(path, lock.fileno())
            finally:
                _remove(path)

    def publish(self, staged: Path, name: str, version: str) -> Path:
        """Move a finished folder to its place in one step and return that place."""
        final = self.folder(name, version)
        final.parent.mkdir(parents=True, exist_ok=True)
        os.sync()  # after a power cut the new name must not stand on files that are still empty
        staged.chmod(0o755)
        _remove(final)  # someone took a part of it away; a whole one is never published again
        staged.rename(final)
        return final


def _wait_for_lock(lock_fd: int, name: str, report: Report) -> None:
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        report(f"{name}: another run is at it; waiting for that run to end")
        fcntl.flock(lock_fd, fcntl.LOCK_EX)


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
