"""Folders of a host that cannot be written: full, or read-only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.lab.host_script.script_host import ScriptHost


@contextlib.contextmanager
def full(host: ScriptHost, folder: str) -> Iterator[Callable[[], str]]:
    """Put a small file system, full, in the folder's place, with all that is in the folder."""
    fill = f"{folder}/filler"
    # A mount below a shared one cannot be moved, so the content goes by way of /run. What fills is
    # bounded, and runs only where the small file system is: the disk below is this machine's own.
    host.sh(
        f"mkdir -p {folder} && cp -a {folder} /run/full-copy"
        f" && mount -t tmpfs -o mode=0755,size=3m tmpfs {folder}"
        f" && cp -a /run/full-copy/. {folder}/; rm -rf /run/full-copy;"
        f' [ "$(stat -f -c %T {folder})" = tmpfs ] && head -c 8M /dev/zero >{fill} 2>/dev/null'
    )
    assert host.sh(f"df --output=avail {folder} | tail -n 1").strip() == "0"
    try:
        yield lambda: host.sh(
            f"cd {folder} && find . -type f -size +0 ! -name filler -exec sha256sum {{}} +"
        )
    finally:
        host.sh(f"rm -f {fill}; mountpoint -q {folder} && umount -l {folder}")


@contextlib.contextmanager
def full_run(host: ScriptHost, folder: str) -> Iterator[Callable[[], str]]:
    """Fill the tmpfs that is there: other programs' files in it stay."""
    size = host.sh("df --output=size /run | tail -n 1").strip()
    host.sh(
        "mount -o remount,size=$(($(df --output=used /run | tail -n 1) + 64))k /run;"
        " head -c 8M /dev/zero >/run/filler 2>/dev/null"
    )
    try:
        yield lambda: ""
    finally:
        host.sh(f"rm -f /run/filler; mount -o remount,size={size}k /run")


@contextlib.contextmanager
def read_only(host: ScriptHost, folder: str) -> Iterator[Callable[[], str]]:
    host.sh(f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}")
    assert host.sh(f"touch {folder}/x && echo written") == ""
    try:
        yield lambda: host.sh(f"cd {folder} && find . -type f -newer /run/began")
    finally:
        host.sh(f"umount -l {folder}")


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A folder that cannot be written."""

    name: str
    folder: str
    spoil: Callable[[ScriptHost, str], contextlib.AbstractContextManager[Callable[[], str]]]


DISKS = (
    *(
        Disk(name=f"disk full: {folder}", folder=folder, spoil=full)
        for folder in (
            "/etc/kubernetes",
            "/etc/systemd/system",
            "/usr/local/bin",
            "/var/lib/kubelet",
            "/var/lib/kube-proxy",
            "/var/lib/kube-nodes",
        )
    ),
    Disk(name="disk full: /run", folder="/run", spoil=full_run),
    Disk(name="read-only /etc", folder="/etc", spoil=read_only),
)
