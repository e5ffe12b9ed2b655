"""Nothing of the benchmark of a large fleet outlives whoever started it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.scale.world import enter
from lab.errors import LabError

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="namespaces need Linux and root"
)


@pytest.fixture
def starter(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has started a world in which a server runs."""
    arguments = ["--bind", "127.0.0.1", "--directory", str(tmp_path), "8099"]
    text = f"from benchmarks.scale.world import enter; enter('http.server', {arguments!r}, 60)"
    with subprocess.Popen([sys.executable, "-c", text], stderr=subprocess.DEVNULL) as process:
        _until(lambda: _servers(tmp_path))
        yield process
        process.kill()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_world_ends_with_the_process_that_started_it(
    starter: subprocess.Popen[bytes], tmp_path: Path, ending: signal.Signals
) -> None:
    starter.send_signal(ending)
    _until(lambda: not _servers(tmp_path))


def test_a_world_ends_with_its_time(tmp_path: Path) -> None:
    arguments = ["--bind", "127.0.0.1", "--directory", str(tmp_path), "8099"]
    with pytest.raises(LabError, match="not over after 2 s"):
        enter("http.server", arguments, 2)
    # Its end is sent; the kernel takes a moment.
    _until(lambda: not _servers(tmp_path))


def test_what_runs_in_a_world_is_its_first_process_without_the_machines_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "looks_around.py").write_text(
        "import os, socket, sys\n"
        "links = [name for _, name in socket.if_nameindex()]\n"
        "sys.exit(0 if os.getpid() == 1 and links == ['lo'] else 1)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert enter("looks_around", [], 30) == 0


def _servers(folder: Path) -> list[str]:
    """List the processes whose command line names this folder, but for the starter's own text."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = file.read_bytes().decode().split("\0")
            if str(folder) in words and words[0] == sys.executable:
                found.append(file.parent.name)
    return found


def _until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.1)
