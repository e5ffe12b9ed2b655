"""Start and stop the long-running processes of a lab.

Each has a record (pid, start time, boot, command) and a cgroup of its own. A pid alone proves
nothing after a crash, as the kernel gives it out again: only with its start time does it name a
process, and only until the machine boots anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import cgroups, commands
from lab.errors import LabError
from lab.files import write_atomically
from lab.spec import LabSpec

# Enters each cgroup, then becomes the command. In a shell of its own because a process must be in
# the cgroups before it makes namespaces or children.
_ENTER = """\
cd /
while [ "$1" != -- ]; do
  echo $$ > "$1/cgroup.procs" || exit 1
  shift
done
shift
exec "$@"
"""


@dataclass(frozen=True)
class Record:
    """A process as it was started."""

    pid: int
    start: int
    boot: str
    argv: tuple[str, ...]

    @property
    def alive(self) -> bool:
        return self.boot == boot_id() and start_time(self.pid) == self.start


def boot_id() -> str:
    """Return the kernel's name for the time since this machine booted."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()


def start_time(pid: int) -> int | None:
    """Return when the process started, in clock ticks since boot; None when it is gone.

    A zombie is gone: nobody here will ever wait for it.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command in parentheses may hold anything; the fields after it are numbers.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def group(spec: LabSpec, name: str) -> str:
    return f"{spec.identity}/{name}"


def read(spec: LabSpec, name: str) -> Record | None:
    """Return the record of this process, None when there is none or it cannot be read."""
    try:
        data = json.loads(spec.path("pids", f"{name}.json").read_text(encoding="utf-8"))
        return Record(data["pid"], data["start"], data["boot"], tuple(data["argv"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def running(spec: LabSpec, name: str) -> bool:
    record = read(spec, name)
    return record is not None and record.alive


def ensure(
    spec: LabSpec, name: str, argv: Sequence[str], environment: Mapping[str, str] | None = None
) -> bool:
    """Start the process unless it runs with this very command; say whether it was started."""
    record = read(spec, name)
    if record is not None and record.alive and record.argv == tuple(argv):
        return False
    stop(spec, name)
    folders = [str(folder) for folder in cgroups.create(group(spec, name))]
    log = spec.path("logs", f"{name}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    pid = _spawn([*folders, "--", *argv], log, {**os.environ, **(environment or {})})
    start = start_time(pid)
    if start is None:
        raise LabError(f"{name} ended at once; its log {log} says:\n{tail(log)}")
    data = {"pid": pid, "start": start, "boot": boot_id(), "argv": list(argv)}
    write_atomically(spec.path("pids", f"{name}.json"), json.dumps(data) + "\n")
    return True


def run(spec: LabSpec, name: str, argv: Sequence[str]) -> None:
    """Run a command to its end in a cgroup of its own.

    When `lab up` is killed meanwhile, the next command that uses the name ends it first, and
    `lab down` finds it.
    """
    kill(spec, name)
    folders = [str(folder) for folder in cgroups.create(group(spec, name))]
    commands.run(["sh", "-c", _ENTER, "lab", *folders, "--", *argv], timeout_seconds=600)
    kill(spec, name)


def stop(spec: LabSpec, name: str, timeout_seconds: float = 5) -> None:
    """End the process and all that it forked: kindly first, then with SIGKILL."""
    record = read(spec, name)
    if record is not None and record.alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(record.pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout_seconds
        while record.alive and time.monotonic() < deadline:
            _reap(record.pid)
            time.sleep(0.02)
    kill(spec, name)


def kill(spec: LabSpec, name: str) -> None:
    """End the process and all that it forked, at once, and forget it."""
    record = read(spec, name)
    if record is not None and record.alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(record.pid, signal.SIGKILL)
    if left := cgroups.kill(group(spec, name)):
        raise LabError(f"{name}: these processes do not end: {sorted(left)}.")
    if record is not None:
        _reap(record.pid)
    if problems := cgroups.remove(group(spec, name)):
        raise LabError(f"{name}: {'; '.join(problems)}.")
    spec.path("pids", f"{name}.json").unlink(missing_ok=True)


def tail(log: Path, lines: int = 15) -> str:
    """Return the end of a log, for an error message."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"


def _spawn(arguments: list[str], log: Path, environment: dict[str, str]) -> int:
    """Start the shell above in a session of its own; return its pid, which the command keeps."""
    return os.posix_spawnp(
        "sh",
        ["sh", "-c", _ENTER, "lab", *arguments],
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def _reap(pid: int) -> None:
    """Collect the exit status where the process is our own child, so that no zombie stays."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
