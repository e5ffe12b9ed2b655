"""The Debian packages that the lab needs on this machine: checked, and installed when root."""

import os
import shutil
import subprocess
from collections.abc import Iterable

from lab.tools.cache import Report
from lab.tools.errors import ToolsError
from lab.tools.process import run_with_progress
from lab.tools.toolchain import print_progress

PACKAGES = (
    "systemd-container",  # systemd-nspawn boots the hosts
    "mmdebstrap",  # makes their root directory
    "iproute2",  # the bridge and the routes
    "iptables",
    "nftables",
    "conntrack",
    "ipset",
    "dbus",
    "openssh-client",  # ssh-agent, ssh-keygen, `lab ssh`
)


def missing_packages(packages: Iterable[str] = PACKAGES) -> list[str]:
    """Return those of `packages` that dpkg does not call installed.

    Raises:
        ToolsError: this is no Debian.
    """
    wanted = list(packages)
    if not shutil.which("dpkg-query"):
        raise ToolsError(
            "this machine has no dpkg-query; the lab runs on Debian 12 and its relatives,"
            f" with {' '.join(wanted)}"
        )
    # A package that dpkg never heard of makes it exit with 1, so the status says nothing.
    shown = subprocess.run(  # noqa: PLW1510
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *wanted],
        capture_output=True,
        text=True,
    )
    installed = {
        line.split()[0] for line in shown.stdout.splitlines() if line.endswith(" installed")
    }
    return [package for package in wanted if package not in installed]


def ensure_packages(
    packages: Iterable[str] = PACKAGES, report: Report = print_progress
) -> list[str]:
    """Install what is missing and return its names.

    Raises:
        ToolsError: something is missing and this is not root, or apt-get failed.
    """
    missing = missing_packages(packages)
    if not missing:
        return []
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if os.geteuid() != 0:
        raise ToolsError(
            f"Debian packages are missing: {' '.join(missing)}; run as root: {' '.join(install)}"
        )
    report(f"Debian packages: installing {' '.join(missing)}")
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], install):
        run_with_progress(command, what=" ".join(command[:2]), report=report, env=env)
    still_missing = missing_packages(missing)
    if still_missing:
        raise ToolsError(f"apt-get did not install {' '.join(still_missing)}")
    return missing
