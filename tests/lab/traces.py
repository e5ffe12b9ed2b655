"""Everything on this machine that belongs to one lab, found without the lab's own records."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lab.spec import LabSpec

KINDS = ("processes", "mounts", "links", "routes", "packet rules", "cgroups", "state", "files")


def traces(spec: LabSpec) -> dict[str, list[str]]:
    """Return what is there of the lab, by kind; a kind with nothing is left out.

    Other labs may come and go meanwhile, so it looks for what only this one's names are in.
    """
    names = (spec.bridge, spec.identity, str(spec.directory))
    subnets = (spec.subnet.rpartition(".")[0] + ".", spec.pod_cidr.rpartition(".0.0")[0] + ".")

    def about(text: str, marks: tuple[str, ...] = names) -> list[str]:
        return [line for line in text.splitlines() if any(mark in line for mark in marks)]

    found = {
        "processes": _processes(spec),
        "mounts": about(Path("/proc/self/mountinfo").read_text(encoding="utf-8")),
        "links": about(_output("ip", "-oneline", "link", "show")),
        "routes": about(_output("ip", "-4", "route", "show", "table", "all"), (*names, *subnets)),
        "packet rules": about(_output("iptables", "-w", "-S"), (*names, *subnets)),
        "cgroups": [
            str(path) for path in Path("/sys/fs/cgroup").glob("**/kube-nodes-*") if about(str(path))
        ],
        "state": [
            str(path) for path in Path("/run/systemd/nspawn").glob("*/*") if about(str(path))
        ],
        "files": [str(spec.directory)] if spec.directory.exists() else [],
    }
    assert set(found) == set(KINDS)
    return {kind: lines for kind, lines in found.items() if lines}


def _processes(spec: LabSpec) -> list[str]:
    """Find processes that are in the lab's cgroups, run in its folder or name it."""
    found = []
    marks = (spec.identity.encode(), str(spec.directory).encode())
    for path in Path("/proc").glob("[0-9]*"):
        if path.name == str(os.getpid()):
            continue
        try:
            text = (path / "cmdline").read_bytes() + (path / "cgroup").read_bytes()
            text += os.fsencode((path / "cwd").readlink()) + os.fsencode((path / "root").readlink())
        except OSError:
            continue
        if any(mark in text for mark in marks):
            found.append(path.name)
    return found


def _output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
