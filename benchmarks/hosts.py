"""The hosts that are configured: light ones of the lab, without a cluster or a runtime.

Each is a systemd with sshd and Python, and two programs in it that only sleep.
"""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from benchmarks.work import STAND_INS, UNITS, Plan
from lab import hosts, lifecycle, network, rootfs, spec, ssh
from lab.errors import LabError
from lab.files import write_atomically
from lab.spec import Host, LabSpec
from lab.tools.cache import Cache, default_cache_root
from lab.tools.debian import ensure_packages

_INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
_ENOUGH_INOTIFY = 512
"""A host needs about ten, and 128 is usual."""
_Result = TypeVar("_Result")

_RESET = """\
systemctl -q disable --now kubelet kube-proxy 2>/dev/null
rm -rf /etc/kubernetes /var/lib/kubelet /var/lib/kube-proxy /var/lib/kube-nodes /root/.ansible
rm -f /etc/systemd/system/kubelet.service /etc/systemd/system/kube-proxy.service
systemctl daemon-reload
systemctl reset-failed
"""
_LOOK = """\
import hashlib, json, os, subprocess, sys
def run(*words):
    return subprocess.run(words, capture_output=True, text=True).stdout.split()
found = {}
for path in json.load(sys.stdin):
    if not os.path.exists(path):
        found[path] = "not there"
        continue
    status = os.stat(path)
    owned = f"{status.st_mode & 0o777:04o} {status.st_uid}:{status.st_gid}"
    text = "" if os.path.isdir(path) else hashlib.sha256(open(path, "rb").read()).hexdigest()
    found[path] = f"{owned} {text}".strip()
units = "UNITS".split()
active, enabled = run("systemctl", "is-active", *units), run("systemctl", "is-enabled", *units)
show = ("systemctl", "show", "--value", "-p", "ExecMainStartTimestampMonotonic")
started = [run(*show, unit)[0] for unit in units]
for unit, *states in zip(units, active, enabled):
    found[unit] = " ".join(states)
print(json.dumps({"found": found, "started": dict(zip(units, started))}))
""".replace("UNITS", " ".join(UNITS))


@dataclass(frozen=True)
class Look:
    """What is on a host."""

    found: dict[str, str]
    """Mode, owner and SHA-256 of each file, mode and owner of each folder, state of each unit."""
    started: dict[str, str]
    """When each unit was last started, in microseconds since boot."""


@contextmanager
def lab(
    wanted: LabSpec, count: int, report: Callable[[str], None], keep: bool
) -> Iterator[LabSpec]:
    """Have so many light hosts up in the block; afterwards nothing of them is left, unless kept."""
    lifecycle.require_linux_root()
    if (existing := spec.load(wanted.directory)) and existing.path("pki", "ca.crt").exists():
        raise LabError(f"{wanted.directory}: a lab with a cluster is there; choose another folder.")
    try:
        with _enough_inotify():
            yield _up(existing or wanted, count, report)
    finally:
        if not keep:
            take_down(wanted.directory, report)


@contextmanager
def _enough_inotify() -> Iterator[None]:
    """Let the hosts share more inotify instances than a machine has by default."""
    before = _INOTIFY.read_text(encoding="utf-8")
    if int(before) < _ENOUGH_INOTIFY:
        _INOTIFY.write_text(str(_ENOUGH_INOTIFY), encoding="utf-8")
    try:
        yield
    finally:
        if int(before) < _ENOUGH_INOTIFY:
            _INOTIFY.write_text(before, encoding="utf-8")


def take_down(directory: Path, report: Callable[[str], None]) -> None:
    """Take the lab away; another Ctrl-C does not cut that short."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    for problem in lifecycle.down(directory, report):
        report(f"not removed: {problem}")


def _up(wanted: LabSpec, count: int, report: Callable[[str], None]) -> LabSpec:
    ensure_packages(report=report)
    with lifecycle.locked(wanted.directory):
        lab = wanted.with_hosts(tuple(f"n{number}" for number in range(1, count + 1)))
        network.check(lab)
        base = rootfs.ensure(Cache(default_cache_root()), report, rootfs.LIGHT_PACKAGES)
        lab.save()
        lifecycle.make_backend(lab)
        network.up(lab)
        ssh.start_agent(lab)
        with ThreadPoolExecutor(max_workers=4) as pool:
            made = pool.map(lambda host: _make(lab, host, base), lab.hosts)
            lab = replace(lab, hosts=tuple(made))
        lab.save()
        ssh.write_known_hosts(lab)
        write_ssh_config(lab, lab.path("ssh_config"))
        in_parallel(lambda host: _boot(lab, host), lab.hosts)
        report(f"{count} light hosts are up")
        return lab


def _make(lab: LabSpec, host: Host, base: Path) -> Host:
    made = hosts.ensure_root(lab, host, base, runtime=False)
    for unit, text in STAND_INS.items():
        program = hosts.root(lab, host.name) / "usr/local/bin" / unit
        write_atomically(program, text, mode=0o755)
    return made


def _boot(lab: LabSpec, host: Host) -> None:
    hosts.boot(lab, host, runtime=False)
    hosts.wait_reachable(lab, host, runtime=False)


def write_ssh_config(lab: LabSpec, file: Path) -> None:
    """Write the one SSH configuration that all here use but for Pulumi, which needs none."""
    lines = {
        "User": "root",
        "IdentityFile": ssh.key_file(lab),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": lab.path("ssh", "known_hosts"),
        "StrictHostKeyChecking": "yes",
        "LogLevel": "ERROR",
    }
    text = "".join(f"  {name} {value}\n" for name, value in lines.items())
    write_atomically(file, f"Host *\n{text}")


def in_parallel(do: Callable[[Host], _Result], on: Iterable[Host]) -> list[_Result]:
    """Do it on all hosts at once; return what came of it, in their order."""
    with ThreadPoolExecutor(max_workers=16) as pool:
        return list(pool.map(do, on))


def reset(lab: LabSpec, on: Iterable[Host]) -> None:
    """Take everything of the measured work off these hosts."""
    in_parallel(lambda host: ssh.on_host(lab, host, _RESET), on)


def look(lab: LabSpec, on: Iterable[Host], plan: Plan) -> dict[str, Look]:
    """Look at what is on the hosts, by their names."""
    named = [*(file.path for file in plan.files), *(folder.path for folder in plan.directories)]
    asked = f"echo {shlex.quote(json.dumps(named))} | python3 -c {shlex.quote(_LOOK)}"

    def one(host: Host) -> tuple[str, Look]:
        return host.name, Look(**json.loads(ssh.on_host(lab, host, asked)))

    return dict(in_parallel(one, on))
