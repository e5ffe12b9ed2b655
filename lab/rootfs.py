"""The root directory that every host is a copy of: a small Debian, made once into the cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from lab.errors import LabError
from lab.processes import tail
from lab.tools.cache import Cache

SUITE = "bookworm"
PACKAGES = (
    # the machine itself
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "sudo", "kmod", "mount", "util-linux"),
    *("iproute2", "procps"),
    # what the kubelet, kube-proxy and the runtime call
    *("containerd", "runc", "containernetworking-plugins", "iptables", "nftables", "conntrack"),
    *("socat", "ethtool", "ipset"),
    # what an administrator, and the lab's images, need
    *("ca-certificates", "curl", "busybox-static"),
)
LIGHT_PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "sudo", "kmod", "mount", "util-linux"),
    *("iproute2", "procps", "ca-certificates", "curl"),
    "python3",  # what Ansible needs of a host
)
"""A host that only configuration is put on: no runtime, so no kubelet comes up there."""

ADMIN = "admin"
"""A user of every host who is not root: logs in with the operator's key, may use sudo."""

_MASKED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer"),
    *("e2scrub_reap.service", "fstrim.timer", "getty@.service", "console-getty.service"),
)
# What no host needs: each copy is smaller by a quarter and made as much faster.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
_HOOKS = (
    f'chroot "$1" useradd --create-home --shell /bin/bash {ADMIN}',
    f'chroot "$1" systemctl mask {" ".join(_MASKED)}',
    # Every host gets its own; one in the image would be everybody's.
    'rm -f "$1"/etc/ssh/ssh_host_*',
)
_SOURCES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))


def command(target: Path, sources: Path | None, packages: tuple[str, ...] = PACKAGES) -> list[str]:
    """Return the command that makes the root directory; without sources, from Debian's default."""
    return [
        "mmdebstrap",
        "--variant=minbase",
        "--mode=root",
        # A power cut costs the run, not the cache: it gets the folder only when it is whole.
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT),
        f"--include={','.join(packages)}",
        *(f"--customize-hook={hook}" for hook in _HOOKS),
        SUITE,
        str(target),
        *([str(sources)] if sources else []),
    ]


def folder(cache: Cache, packages: tuple[str, ...] = PACKAGES) -> Path:
    """Return where the root directory is, or would be: another recipe has another place."""
    recipe = "\n".join(command(Path("root"), None, packages))
    return cache.root / "rootfs" / f"{SUITE}-{hashlib.sha256(recipe.encode()).hexdigest()[:10]}"


def ensure(
    cache: Cache, report: Callable[[str], None], packages: tuple[str, ...] = PACKAGES
) -> Path:
    """Return the root directory, after making it when it is not there (about a minute)."""
    final = folder(cache, packages)
    if final.is_dir():
        return final
    with cache.stage(f"rootfs-{final.name}", report) as stage:
        if final.is_dir():  # made by another run while this one waited
            return final
        report(f"making the root directory of the hosts (Debian {SUITE}, about a minute)")
        root, log = stage.path / "root", cache.root / "rootfs" / "mmdebstrap.log"
        final.parent.mkdir(parents=True, exist_ok=True)
        sources = next((path for path in _SOURCES if path.exists()), None)
        with log.open("wb") as output:
            done = subprocess.run(
                command(root, sources, packages),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[stage.lock_fd],
                check=False,
            )
        if done.returncode != 0:
            raise LabError(f"mmdebstrap failed; its log {log} says:\n{tail(log)}")
        os.sync()  # the new name must not stand on files that a power cut empties
        root.rename(final)
    return final
