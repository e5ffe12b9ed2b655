"""A lab's life: up, one host more or less, down. Each step may be run again at any time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from lab import (
    artifacts,
    cgroups,
    control_plane,
    hosts,
    network,
    pod_network,
    processes,
    rootfs,
    ssh,
)
from lab.errors import LabError
from lab.files import write_atomically
from lab.spec import DEFAULT_BRIDGE, DEFAULT_HOSTS, DEFAULT_SUBNET, FILE, Host, LabSpec, load
from lab.tools import ensure as ensure_tools
from lab.tools.cache import Cache, default_cache_root
from lab.tools.debian import ensure_packages

Report = Callable[[str], None]
_CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What `up` was asked for; None means as it is, and for a new lab the default."""

    hosts: tuple[str, ...] | None = None
    subnet: str | None = None
    bridge: str | None = None
    kubernetes: str | None = None
    pod_cidr: str | None = None


def progress() -> Report:
    """Return a reporter that writes each line with the seconds since now."""
    begin = time.monotonic()

    def report(line: str) -> None:
        print(f"lab: {time.monotonic() - begin:5.1f} s  {line}", file=sys.stderr, flush=True)

    return report


def up(directory: Path, wish: Wish, report: Report) -> LabSpec:
    """Bring the lab to what is wished: starts only what is not running.

    Raises:
        LabError: it cannot run here, the wish contradicts a lab that exists, or a part fails.
    """
    require_linux_root()
    ensure_packages(report=report)
    with locked(directory):
        spec = merge(directory, load(directory), wish)
        network.check(spec)
        programs = ensure_tools(
            (*control_plane.PARTS, *artifacts.PROGRAMS, "kubectl"), spec.kubernetes, report=report
        )
        base = rootfs.ensure(Cache(default_cache_root()), report)
        spec.save()
        _make_backend(spec)
        if network.up(spec):
            report(f"bridge {spec.bridge}: {spec.gateway}, pods {spec.pod_cidr}")
        spec = _start(spec, programs, base, report)
        report(f"ready: {spec.server}, hosts {', '.join(spec.host_names) or 'none'}")
        return spec


def merge(directory: Path, existing: LabSpec | None, wish: Wish) -> LabSpec:
    """Return the lab to bring up: what exists, with hosts and version as wished.

    Raises:
        LabError: the wish is another network, or has not all hosts that exist.
    """
    spec = existing or LabSpec(
        directory=directory,
        subnet=wish.subnet or DEFAULT_SUBNET,
        bridge=wish.bridge or DEFAULT_BRIDGE,
        pod_cidr=wish.pod_cidr or "",
    )
    for name in ("subnet", "bridge", "pod_cidr"):
        wanted, there = getattr(wish, name), getattr(spec, name)
        if wanted not in (None, there):
            raise LabError(
                f"{directory}: this lab has {name} {there}, not {wanted};"
                " `python -m lab down` first, or choose another folder."
            )
    names = wish.hosts if wish.hosts is not None else spec.host_names or DEFAULT_HOSTS
    if missing := [name for name in spec.host_names if name not in names]:
        raise LabError(f"host {missing[0]} exists; `python -m lab remove-host` removes it.")
    return replace(spec, kubernetes=wish.kubernetes or spec.kubernetes).with_hosts(names)


def remove_host(directory: Path, spec: LabSpec, name: str) -> None:
    """Switch one host off and remove it. Its Node object, if any, is the operator's to delete."""
    require_linux_root()
    with locked(directory):
        spec.host(name)
        hosts.remove(spec, name)
        spec = spec.without_host(name)
        spec.save()
        ssh.write_known_hosts(spec)


def down(directory: Path, report: Report) -> list[str]:
    """Remove everything of the lab; return a sentence for each thing that could not be removed."""
    require_linux_root()
    if not directory.is_dir():
        return []
    with locked(directory):
        spec = load(directory)
        if spec is None:
            # Nothing was made before lab.json, but for the lock.
            _remove_folder(directory)
            return []
        problems = _stop_everything(spec)
        for host in spec.hosts:
            hosts.stop(spec, host.name)
        problems += network.down(spec)
        problems += cgroups.remove(spec.identity)
        if problems:
            return problems  # the records stay, so that it can be tried again
        # lab.json goes last: until then `down` can be run again.
        for entry in sorted(directory.iterdir(), key=lambda path: path.name == FILE):
            _remove(entry)
        directory.rmdir()
    report(f"{directory}: removed")
    return []


def require_linux_root() -> None:
    """Refuse to go on where the lab cannot run."""
    if missing := why_not_here():
        raise LabError(missing)


def why_not_here() -> str:
    """Return what is missing on this machine for a lab, in a sentence; empty when nothing is."""
    if sys.platform != "linux":
        return f"the lab needs Linux; this is {sys.platform}."
    if os.geteuid() != 0:
        return "the lab needs root: it makes bridges, mounts and cgroups."
    if not cgroups.hierarchies():
        return "the lab needs cgroups mounted under /sys/fs/cgroup."
    return ""


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Let only one command at a time change this lab. The kernel frees the lock of a killed one."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LabError(
                f"{directory}: another lab command is at it; wait for its end."
            ) from error
        yield


def _make_backend(spec: LabSpec) -> None:
    """Make what Pulumi needs of its own: a folder for states, a passphrase for their secrets."""
    spec.path("backend").mkdir(mode=0o700, exist_ok=True)
    if not spec.path("passphrase").exists():
        write_atomically(spec.path("passphrase"), f"{secrets.token_urlsafe(24)}\n")


def _start(spec: LabSpec, programs: Mapping[str, Path], base: Path, report: Report) -> LabSpec:
    """Start control plane and hosts side by side; return the lab with its host keys."""
    if ssh.start_agent(spec):
        report(f"ssh-agent: {ssh.agent_socket(spec)}")
    artifacts.link_cached(spec, Cache(default_cache_root()))
    artifacts.link(spec, spec.kubernetes, programs)
    artifacts.serve(spec)
    pool = ThreadPoolExecutor(max_workers=8)
    try:
        control = pool.submit(_start_control_plane, spec, programs, report)
        copies = pool.map(lambda host: hosts.ensure_root(spec, host, base), spec.hosts)
        spec = replace(spec, hosts=tuple(copies))
        spec.save()
        ssh.write_known_hosts(spec)
        booted = [pool.submit(_start_host, spec, host, report) for host in spec.hosts]
        # Each is asked for its result, so that the first error of any is not lost.
        for part in (control, *booted):
            part.result()
    except BaseException as error:
        # An error lets the other parts come to their end; an interrupt does not wait for them.
        pool.shutdown(wait=not isinstance(error, KeyboardInterrupt), cancel_futures=True)
        raise
    pool.shutdown()
    return spec


def _start_control_plane(spec: LabSpec, programs: Mapping[str, Path], report: Report) -> None:
    if started := control_plane.start(spec, programs):
        report(f"control plane {spec.kubernetes}: {', '.join(started)}")
    environment = {"PYTHONPATH": str(_CHECKOUT)}
    argv = [sys.executable, "-m", "lab.pod_network", str(spec.directory)]
    processes.ensure(spec, pod_network.NAME, argv, environment)


def _start_host(spec: LabSpec, host: Host, report: Report) -> None:
    booted = hosts.boot(spec, host)
    hosts.wait_reachable(spec, host)
    if booted:
        report(f"host {host.name}: {host.address}")


def _stop_everything(spec: LabSpec) -> list[str]:
    """End each recorded process, then whatever else is in the lab's cgroups."""
    problems = []
    recorded = sorted(path.stem for path in spec.path("pids").glob("*.json"))
    with ThreadPoolExecutor(max_workers=8) as pool:
        for attempt in [pool.submit(processes.kill, spec, name) for name in recorded]:
            try:
                attempt.result()
            except LabError as error:
                problems.append(str(error))
    if left := cgroups.kill(spec.identity):
        problems.append(f"these processes do not end: {sorted(left)}.")
    return problems


def _remove_folder(directory: Path) -> None:
    """Remove a lab's folder before anything else was made in it."""
    if any(path.name != "lock" for path in directory.iterdir()):
        raise LabError(f"{directory}: not a lab (no lab.json), and not empty; nothing was removed.")
    _remove(directory / "lock")
    directory.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        hosts.remove_tree(path)
    else:
        path.unlink()
