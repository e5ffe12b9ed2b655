"""What the processes of a run take: memory, open files, how many there are at once."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_EVERY_SECONDS = 0.5
_PLUGINS = ("command", "kubernetes", "random", "tls")
_KIB = 1024


def kind_of(argv: list[str]) -> str | None:
    """Say what a process is to this benchmark, by its command line; None: it does not count."""
    words = [Path(word).name for word in argv]
    plugin = "pulumi-resource-"
    if "launch.py" in words[:4]:
        # A stand-in of the lab's.
        words = [f"{plugin}{word}" for word in words if word in _PLUGINS]
    match words:
        case ["pulumi", *more] if {"up", "preview", "destroy"} & set(more):
            kind = "engine"
        case ["pulumi-language-python", *_]:
            kind = "language host"
        case [first, *_] if first.startswith(plugin):
            kind = f"plugin {first.removeprefix(plugin)}"
        case [*_] if "pulumi-language-python-exec" in words:
            kind = "program"
        case [*_] if "kube_nodes.membership" in words:
            kind = "local command"
        case _:
            return None
    return kind


@dataclass
class Watch:
    """The most that was seen of each kind of process."""

    memory_mib: dict[str, float] = field(default_factory=dict)
    """Peak resident memory of one process, as the kernel keeps it."""
    open_files: dict[str, int] = field(default_factory=dict)
    at_once: dict[str, int] = field(default_factory=dict)

    def look(self, proc: Path = Path("/proc")) -> None:
        """Look at all processes once."""
        found: Counter[str] = Counter()
        for folder in proc.iterdir():
            if not folder.name.isdigit():
                continue
            # A process may end while it is looked at.
            with contextlib.suppress(OSError):
                argv = (folder / "cmdline").read_text(encoding="utf-8").rstrip("\0").split("\0")
                if kind := kind_of(argv):
                    found[kind] += 1
                    self._take(kind, folder)
        for kind, count in found.items():
            self.at_once[kind] = max(count, self.at_once.get(kind, 0))

    def _take(self, kind: str, folder: Path) -> None:
        peak = peak_mib((folder / "status").read_text(encoding="utf-8"))
        self.memory_mib[kind] = max(peak, self.memory_mib.get(kind, 0.0))
        files = sum(1 for _ in (folder / "fd").iterdir())
        self.open_files[kind] = max(files, self.open_files.get(kind, 0))


def peak_mib(status: str) -> float:
    """Read the peak of the resident memory, in MiB, from a process's `status`."""
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / _KIB
    return 0.0


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch while the block runs."""
    watch, ended = Watch(), threading.Event()

    def look() -> None:
        while not ended.wait(_EVERY_SECONDS):
            watch.look()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()
