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
    if not words:
        return None
    if words[0] == "pulumi" and {"up", "preview", "destroy"} & set(words):
        return "engine"
    if words[0] == "pulumi-language-python":
        return "language host"
    if any(word == "pulumi-language-python-exec" for word in words):
        return "program"
    if "launch.py" in words[:4]:
        return next((f"plugin {name}" for name in _PLUGINS if name in words), None)
    if words[0].startswith("pulumi-resource-"):
        return f"plugin {words[0].removeprefix('pulumi-resource-')}"
    return "local command" if "kube_nodes.membership" in argv else None


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
