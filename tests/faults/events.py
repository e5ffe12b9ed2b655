"""The steps of a run, as the engine itself tells of them while it runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# What the engine does itself, or does nothing for, is no step.
_STEPS = {"create", "update", "delete", "replace", "create-replacement", "delete-replaced"}


@dataclass(frozen=True)
class Step:
    """A resource's operation that began."""

    operation: str
    resource: str
    plugin: str

    def __str__(self) -> str:
        return self.resource


class EventLog:
    """The file that `--event-log` writes, read as it grows."""

    def __init__(self, file: Path) -> None:
        self._file, self._read = file, 0
        self._file.unlink(missing_ok=True)

    @property
    def flags(self) -> tuple[str, ...]:
        """The CLI's flags; they need PULUMI_DEBUG_COMMANDS."""
        return ("--event-log", str(self._file))

    @property
    def text(self) -> bytes:
        """Return all of it."""
        return self._file.read_bytes() if self._file.exists() else b""

    def steps(self) -> Iterator[Step]:
        """Return the steps that began since the last call."""
        if not self._file.exists():
            return
        with self._file.open("rb") as log:
            log.seek(self._read)
            lines = log.readlines()
        for line in lines:
            if not line.endswith(b"\n"):
                break  # the engine is still writing it
            self._read += len(line)
            before = json.loads(line).get("resourcePreEvent")
            if before and (step := _step(before["metadata"])):
                yield step


def _step(metadata: dict[str, str]) -> Step | None:
    plugin = metadata["type"].partition(":")[0]
    if metadata["op"] not in _STEPS or plugin in ("kube-nodes", "pulumi"):
        return None
    return Step(metadata["op"], metadata["urn"].rpartition("::")[2], plugin)
