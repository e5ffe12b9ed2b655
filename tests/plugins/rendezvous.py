"""A meeting of shell commands: none of them ends before all have begun."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_PATIENCE_SECONDS = 30


@contextmanager
def all_at_once(folder: Path, count: int) -> Iterator[str]:
    """Yield a command that prints `together` if `count` of it ran at once, else `alone`.

    Args:
        folder: an empty one for the traces of the commands.
    """
    gate, begun = folder / "gate", folder / "begun"
    begun.mkdir()
    with gate.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        opener = threading.Thread(target=_open_gate, args=(lock, gate, begun, count))
        opener.start()
        yield f"touch {begun}/$$; exec flock --shared {gate} cat {gate}"
        opener.join()


def _open_gate(lock: IO[str], gate: Path, begun: Path, count: int) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while len(list(begun.iterdir())) < count and time.monotonic() < end:
        time.sleep(0.02)
    gate.write_text("together" if len(list(begun.iterdir())) == count else "alone")
    fcntl.flock(lock, fcntl.LOCK_UN)
