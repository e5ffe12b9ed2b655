"""Several stacks' engines at once, each a process of its own: so many at a time, and no more.

What they print comes with the stack's name before it. Ctrl-C is passed on to each of them once, and
waited for: an engine ends its steps in order. A second Ctrl-C is passed on, too.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from kube_nodes.fleet.errors import FleetError


class Result(StrEnum):
    """How a stack's run ended."""

    OK = "ok"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    NOT_RUN = "not run"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One stack's run."""

    stack: str
    result: Result
    seconds: float = 0
    changes: Mapping[str, int] = field(default_factory=dict)
    """Number of resources by what was done to them, `same` among them; the engine's words."""
    reason: str = ""
    """Why it was not run."""


@dataclass
class Engines:
    """Runs one command of the CLI over several stacks.

    Args:
        command: the CLI's words before `--stack`, such as `("up", "--yes")`.
        limit: how many stacks at a time.
        width: of the names before the lines.
    """

    command: Sequence[str]
    limit: int
    width: int = 0
    interrupted: bool = False
    _running: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, stacks: Sequence[str]) -> list[Outcome]:
        """Run them; one that fails stops no other. Returns their outcomes in the same order."""
        with self._passing_on_signals(), ThreadPoolExecutor(max_workers=self.limit) as workers:
            begun = [workers.submit(self._run_one, stack) for stack in stacks]
            return [each.result() for each in begun]

    def _run_one(self, stack: str) -> Outcome:
        if self.interrupted:
            return Outcome(stack=stack, result=Result.NOT_RUN, reason="interrupted before")
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="kube-nodes-") as folder:
            events = Path(folder, "events")
            arguments = (*self.command, "--non-interactive", "--event-log", str(events))
            status = self._pulumi(stack, *arguments)
            changes = _changes(events)
        result = Result.OK
        if status:
            result = Result.INTERRUPTED if self.interrupted else Result.FAILED
        seconds = time.monotonic() - begin
        return Outcome(stack=stack, result=result, seconds=seconds, changes=changes)

    def _pulumi(self, stack: str, *arguments: str) -> int:
        """Run the CLI to its end, showing its lines; return its exit status."""
        process = subprocess.Popen(
            ["pulumi", *arguments, "--stack", stack],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # The hidden option --event-log, which Pulumi's own Automation API uses, wants it.
            env={**os.environ, "PULUMI_DEBUG_COMMANDS": "true"},
            # The terminal's Ctrl-C comes to this process alone, which passes it on.
            start_new_session=True,
        )
        with self._lock:
            self._running[stack] = process
            # One that came between the look at `interrupted` and here was passed on to the others.
            if self.interrupted:
                process.send_signal(signal.SIGINT)
        for line in process.stdout or ():
            if line.strip():
                with self._lock:
                    print(f"{stack:{self.width}} | {line.rstrip()}", flush=True)
        status = process.wait()
        with self._lock:
            del self._running[stack]
        return status

    @contextmanager
    def _passing_on_signals(self) -> Iterator[None]:
        def pass_on(*_: Any) -> None:
            # No lock: the thread that was interrupted may hold it.
            self.interrupted = True
            running = dict(self._running)
            for process in running.values():
                process.send_signal(signal.SIGINT)
            names = ", ".join(running) or "none"
            sys.stderr.write(f"interrupted: waiting for what runs ({names}); nothing more begins\n")

        signals = (signal.SIGINT, signal.SIGTERM)
        previous = {each: signal.signal(each, pass_on) for each in signals}
        try:
            yield
        finally:
            for each, handler in previous.items():
                signal.signal(each, handler)


def _changes(events: Path) -> dict[str, int]:
    """Read the summary among the engine's events; a run that did not begin has none."""
    if not events.exists():
        return {}
    found: dict[str, int] = {}
    for line in events.read_text(encoding="utf-8").splitlines():
        if '"summaryEvent"' in line:
            summary = json.loads(line).get("summaryEvent") or {}
            found = {key: int(count) for key, count in summary["resourceChanges"].items()}
    return found


def check_limit(limit: int) -> int:
    """Return how many stacks at a time.

    Raises:
        FleetError: none, or so many that no machine runs them.
    """
    if not 1 <= limit <= 64:
        raise FleetError(f"LIMIT: {limit} is out of range; give 1 to 64 stacks at a time")
    return limit
