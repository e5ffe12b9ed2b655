"""Run one long command with progress lines, and leave no part of it running."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from lab.tools.cache import Report
from lab.tools.errors import ToolsError

REPORT_EVERY_SECONDS = 15.0
_KEPT_LINES = 15
_PATIENCE_SECONDS = 5.0
"""How long a command that is told to end may take before it is killed."""


@dataclass
class _Output:
    """What the command printed so far: counts for progress, the last lines for an error."""

    downloads: int = 0
    packages: int = 0
    last: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))

    def read(self, stream: IO[str]) -> None:
        for line in stream:
            if line.startswith("go: downloading "):
                self.downloads += 1
            elif " " not in line.strip() and "/" in line:  # `go build -v` names each package
                self.packages += 1
            else:
                self.last.append(line.rstrip())

    def progress(self) -> str:
        counts = {"modules downloaded": self.downloads, "packages compiled": self.packages}
        return "".join(f", {count} {what}" for what, count in counts.items() if count)


def run_with_progress(
    argv: Sequence[str],
    *,
    what: str,
    report: Report,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    hold_fd: int | None = None,
    every_seconds: float = REPORT_EVERY_SECONDS,
) -> None:
    """Run `argv` to its end and report every few seconds how long it took so far.

    Args:
        what: names the work in every line.
        hold_fd: a lock that the command inherits, and so holds for as long as it runs.

    Raises:
        ToolsError: the command failed; its last lines are in the text.
    """
    started = time.monotonic()
    output = _Output()
    running: list[subprocess.Popen[str]] = []
    try:
        with _interrupts_deferred():  # one between the start and its record would lose the process
            running.append(process := _start(argv, cwd, env, hold_fd))
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        reader = threading.Thread(target=output.read, args=(process.stdout,), daemon=True)
        reader.start()
        while process.poll() is None:
            try:
                process.wait(timeout=every_seconds)
            except subprocess.TimeoutExpired:
                report(f"{what}: {duration(time.monotonic() - started)}{output.progress()}")
        reader.join(timeout=5)
    except BaseException:  # Ctrl-C too: nothing may go on working after we return
        for started_process in running:
            _end_group(started_process)
        raise
    finally:
        for started_process in running:
            if started_process.stdout:
                started_process.stdout.close()
    if process.returncode != 0:
        tail = "\n".join(f"    {line}" for line in output.last)
        raise ToolsError(f"{what}: `{argv[0]}` ended with {process.returncode}:\n{tail}")


def _start(
    argv: Sequence[str], cwd: Path | None, env: dict[str, str] | None, hold_fd: int | None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        argv,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=[] if hold_fd is None else [hold_fd],
        process_group=0,  # a compiler's children are ended with it
    )


def _end_group(process: subprocess.Popen[str]) -> None:
    """End a process and its children, and return when all are gone."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            process.poll()  # a zombie of ours would count as a member of the group
            os.killpg(process.pid, 0)
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def _interrupts_deferred() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM take effect at the end of the block, not within."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled in the main thread only
        return
    caught: list[int] = []
    handlers = {
        number: signal.signal(number, lambda caught_number, _frame: caught.append(caught_number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for caught_number in caught:
        signal.raise_signal(caught_number)


def duration(seconds: float) -> str:
    """Write a time as people say it: 8 s, 2 min 05 s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
