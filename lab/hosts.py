"""The node hosts: Debian root directories booted by systemd-nspawn, each like a machine."""

from __future__ import annotations

import os
import shutil
import socket
import time
import uuid
from dataclasses import replace
from pathlib import Path

from lab import mounts, network, processes, ssh
from lab.errors import LabError
from lab.files import write_atomically
from lab.host_files import IMAGES_PATH, File, enabled_units, host_files
from lab.images import archive
from lab.rootfs import ADMIN
from lab.spec import Host, LabSpec

_BUSYBOX = "bin/busybox"
_DMI = Path("/sys/devices/virtual/dmi/id")
_NSPAWN_STATE = Path("/run/systemd/nspawn")
_LIGHT_UNITS = "lab-setup.service ssh.service"
_UNITS = f"{_LIGHT_UNITS} lab-images.service containerd.service"


def process_name(host: str) -> str:
    """Return a host's name among the lab's processes."""
    return f"host-{host}"


def root(spec: LabSpec, host: str) -> Path:
    return spec.path("hosts", host)


def ensure_root(spec: LabSpec, host: Host, base: Path, *, runtime: bool = True) -> Host:
    """Make the host's root directory when it has none; return the host with its public key.

    The copy gets its name only when it is whole, and its keys stay as long as it does. Without
    runtime, as with the functions below, the host is a light one: `rootfs.LIGHT_PACKAGES`.
    """
    target = root(spec, host.name)
    key_path = target / "etc/ssh/ssh_host_ed25519_key"
    if not target.is_dir():
        partial = target.with_name(f".{host.name}.partial")
        processes.kill(spec, f"copy-{host.name}")
        remove_tree(partial)
        partial.parent.mkdir(parents=True, exist_ok=True)
        copy = ["cp", "-a", "--reflink=auto", str(base), str(partial)]
        processes.run(spec, f"copy-{host.name}", copy)
        if runtime:
            images = archive((partial / _BUSYBOX).read_bytes())
            write_atomically(partial / IMAGES_PATH, images, mode=0o644)
        pair = ssh.new_key_pair()
        write_atomically(partial / key_path.relative_to(target), pair.private)
        write_atomically(partial / f"{key_path.relative_to(target)}.pub", f"{pair.public}\n", 0o644)
        (partial / "etc/machine-id").unlink()  # the base's; the host's own follows
        partial.rename(target)
    public = key_path.with_name(f"{key_path.name}.pub").read_text(encoding="utf-8").strip()
    return replace(host, host_key=public)


def boot(spec: LabSpec, host: Host, *, runtime: bool = True) -> bool:
    """Boot the host unless it runs; say whether it was booted."""
    name = process_name(host.name)
    if processes.running(spec, name):
        return False
    stop(spec, host.name)
    _write_files(spec, host, runtime)
    return processes.ensure(spec, name, nspawn_arguments(spec, host), _NSPAWN_ENVIRONMENT)


# Its own filter of system calls would keep the kubelet's and the runtime's from working.
_NSPAWN_ENVIRONMENT = {"SYSTEMD_SECCOMP": "0"}


def nspawn_arguments(spec: LabSpec, host: Host) -> list[str]:
    """Return the command that boots the host."""
    arguments = [
        "systemd-nspawn",
        "--quiet",
        "--register=no",
        "--keep-unit",
        f"--directory={root(spec, host.name)}",
        f"--machine={network.machine(spec, host.name)}",
        f"--hostname={host.name}",
        f"--network-bridge={spec.bridge}",
        "--capability=all",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--console=pipe",
    ]
    if _DMI.is_dir():
        # The machine's own serial numbers: all hosts would have the same, which real ones don't.
        arguments.append(f"--inaccessible={_DMI}")
    return [*arguments, "--boot"]


def wait_reachable(
    spec: LabSpec, host: Host, timeout_seconds: float = 180, *, runtime: bool = True
) -> None:
    """Wait until the host answers SSH and what the lab put there is up, the images imported.

    Other units are no concern of the lab: the kubelet of a node may fail while the host is fine.
    """
    deadline = time.monotonic() + timeout_seconds
    while not answers(host):
        _still_running(spec, host)
        if time.monotonic() > deadline:
            raise LabError(f"{host.name}: no SSH answer after {timeout_seconds:.0f} s.")
        time.sleep(0.1)
    # `start` waits for a unit that is on its way and starts one that was stopped.
    remaining = max(5.0, deadline - time.monotonic())
    try:
        units = _UNITS if runtime else _LIGHT_UNITS
        ssh.on_host(spec, host, f"systemctl start {units}", timeout_seconds=remaining)
    except LabError as error:
        raise LabError(f"{host.name}: {error}") from error


def stop(spec: LabSpec, host: str) -> None:
    """Switch the host off, as pulling its plug would, and clear away what its boot left."""
    processes.kill(spec, process_name(host))
    network.wait_without_port(spec, host)
    for kind in ("propagate", "unix-export"):
        leftover = _NSPAWN_STATE / kind / network.machine(spec, host)
        mounts.unmount_below(leftover)
        if leftover.is_dir():
            leftover.rmdir()
    if root(spec, host).is_dir():
        status = root(spec, host).stat()
        lock = f"inode-{status.st_dev}:{status.st_ino}"
        (_NSPAWN_STATE / "locks" / lock).unlink(missing_ok=True)


def remove(spec: LabSpec, host: str) -> None:
    """Switch the host off and remove all that is its own."""
    stop(spec, host)
    remove_tree(root(spec, host))
    remove_tree(root(spec, f".{host}.partial"))
    root(spec, f".#{host}.lck").unlink(missing_ok=True)  # systemd-nspawn's own lock file


def remove_tree(path: Path) -> None:
    """Remove a folder, but never through a mount: what is mounted in it is not ours to delete."""
    mounts.unmount_below(path)
    if path.exists():
        shutil.rmtree(path)


def _write_files(spec: LabSpec, host: Host, runtime: bool) -> None:
    target = root(spec, host.name)
    machine_id = target / "etc/machine-id"
    files = host_files(
        spec,
        host,
        machine_id=machine_id.read_text().strip() if machine_id.exists() else uuid.uuid4().hex,
        private_key=(target / "etc/ssh/ssh_host_ed25519_key").read_text(encoding="utf-8"),
        operator_key=ssh.ensure_operator_key(spec),
        runtime=runtime,
    )
    for file in files:
        _write(target, file)
    for unit, wants in enabled_units(runtime=runtime).items():
        folder = "/lib/systemd/system" if unit.startswith("systemd-") else "/etc/systemd/system"
        link = target / "etc/systemd/system" / wants / unit
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(f"{folder}/{unit}")
    passwd = (target / "etc/passwd").read_text(encoding="utf-8").splitlines()
    uid, gid = next(line.split(":")[2:4] for line in passwd if line.startswith(f"{ADMIN}:"))
    for path in (f"home/{ADMIN}/.ssh", f"home/{ADMIN}/.ssh/authorized_keys"):
        os.chown(target / path, int(uid), int(gid), follow_symlinks=False)


def _write(target: Path, file: File) -> None:
    path = target / file.path
    if path.is_symlink():
        path.unlink()
    write_atomically(path, file.content, file.mode)


def answers(host: Host) -> bool:
    """Say whether the host's SSH server answers."""
    try:
        with socket.create_connection((host.address, 22), timeout=1) as connection:
            connection.settimeout(2)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _still_running(spec: LabSpec, host: Host) -> None:
    name = process_name(host.name)
    if not processes.running(spec, name):
        log = spec.path("logs", f"{name}.log")
        raise LabError(f"{host.name}: the host ended; its log {log} says:\n{processes.tail(log)}")
