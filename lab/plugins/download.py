"""Let the Pulumi CLI download plugins, and give up soon where it cannot reach its site.

The CLI alone would retry for minutes behind a firewall that drops packets. Each download gets a
temporary folder of its own: the CLI writes what arrives into a file there (pulumi
sdk/go/common/workspace/plugins.go, tryDownloadToFile), so a byte in it is the sign of life.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

FIRST_BYTE_SECONDS = 5.0
STALLED_SECONDS = 30.0
_POLL_SECONDS = 0.1


class Plugin(Protocol):
    """What is to be downloaded."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def server(self) -> str: ...


@dataclass
class _Download:
    name: str
    process: subprocess.Popen[bytes]
    folder: Path
    received: int = 0
    deadline: float = 0.0

    def is_over(self) -> bool:
        """Look at the process; stop it once it has received nothing for too long."""
        if self.process.poll() is not None:
            return True
        received = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        if received > self.received:
            self.received, self.deadline = received, time.monotonic() + STALLED_SECONDS
        if time.monotonic() < self.deadline:
            return False
        self.stop()
        return True

    def stop(self) -> None:
        """End the process with all that it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def download(plugins: Iterable[Plugin], pulumi_home: Path, pulumi: Path) -> set[str]:
    """Install plugins at the same time; return the names of those that were installed."""
    with tempfile.TemporaryDirectory(prefix="kube-nodes-plugins-") as scratch:
        running = [_start(plugin, pulumi_home, pulumi, Path(scratch)) for plugin in plugins]
        try:
            pending = running
            while pending := [one for one in pending if not one.is_over()]:
                time.sleep(_POLL_SECONDS)
        finally:
            for one in running:
                one.stop()
        return {one.name for one in running if one.process.returncode == 0}


def _start(plugin: Plugin, pulumi_home: Path, pulumi: Path, scratch: Path) -> _Download:
    folder = scratch / plugin.name
    folder.mkdir()
    command = [str(pulumi), "plugin", "install", "resource", plugin.name, plugin.version, "--exact"]
    command += ["--server", plugin.server] if plugin.server else []
    process = subprocess.Popen(
        [*command, "--non-interactive", "--color=never"],
        cwd=folder,
        env={
            **os.environ,
            "PULUMI_HOME": str(pulumi_home),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "TMPDIR": str(folder),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return _Download(plugin.name, process, folder, deadline=time.monotonic() + FIRST_BYTE_SECONDS)
