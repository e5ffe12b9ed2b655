"""The cgroups of a lab: one folder for the lab, one in it for each of its processes and hosts.

They do two things. A host in a cgroup of its own gets its own cgroup namespace, so that the
kubelets of several hosts don't collide. And whatever a part of the lab forked is found here, also
when the part itself was killed before it could be recorded.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def hierarchies(mountinfo: str | None = None) -> list[Path]:
    """Return the mount point of each cgroup hierarchy: nine or so with v1, one with v2."""
    text = mountinfo or Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    found = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        if after.split(" ", 1)[0] in ("cgroup", "cgroup2"):
            found.append(Path(before.split(" ")[4]))
    return [path for path in found if path.is_relative_to(ROOT)]


def create(group: str) -> list[Path]:
    """Make the cgroup (such as `kube-nodes-1a2b/n1`) in every hierarchy and return its folders."""
    folders = []
    for hierarchy in hierarchies():
        folder = hierarchy
        for part in Path(group).parts:
            parent, folder = folder, folder / part
            _delegate(parent)
            folder.mkdir(exist_ok=True)
            _fill_cpuset(parent, folder)
        folders.append(folder)
    return folders


def _delegate(parent: Path) -> None:
    """Let the children of a v2 cgroup have its controllers: the kubelet sets limits with them."""
    controllers = parent / "cgroup.controllers"
    if not controllers.exists():
        return
    for name in controllers.read_text(encoding="utf-8").split():
        # Some cannot be passed on, such as cpu with realtime processes: the lab does without.
        with contextlib.suppress(OSError):
            (parent / "cgroup.subtree_control").write_text(f"+{name}", encoding="utf-8")


def _fill_cpuset(parent: Path, folder: Path) -> None:
    """Copy the parent's cpuset: one of v1 starts empty, and no process can enter an empty one."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = folder / name
        if (parent / name).exists() and file.exists() and not file.read_text().strip():
            file.write_text((parent / name).read_text())


def existing(group: str) -> list[Path]:
    """Return the folders of this cgroup that are there, in all hierarchies."""
    return [path for path in (base / group for base in hierarchies()) if path.is_dir()]


def processes(group: str) -> set[int]:
    """Return the ids of all processes in this cgroup and below it."""
    found: set[int] = set()
    for folder in existing(group):
        for directory, _, _ in os.walk(folder):
            with contextlib.suppress(OSError):
                text = Path(directory, "cgroup.procs").read_text(encoding="utf-8")
                found.update(int(line) for line in text.split())
    return found


def kill(group: str, timeout_seconds: float = 10) -> set[int]:
    """Kill every process in this cgroup and below it; return those that would not go."""
    deadline = time.monotonic() + timeout_seconds
    while left := processes(group):
        if time.monotonic() > deadline:
            return left
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    return set()


def remove(group: str, timeout_seconds: float = 5) -> list[str]:
    """Remove this empty cgroup with everything below it; return a sentence for what stayed."""
    deadline = time.monotonic() + timeout_seconds
    while folders := existing(group):
        problems = []
        for folder in folders:
            for directory, _, _ in os.walk(folder, topdown=False):
                try:
                    Path(directory).rmdir()
                except FileNotFoundError:
                    continue
                except OSError as error:
                    problems.append(f"cgroup {directory}: {error.strerror}")
        if problems and time.monotonic() > deadline:
            return problems
        if problems:
            time.sleep(0.05)
    return []
