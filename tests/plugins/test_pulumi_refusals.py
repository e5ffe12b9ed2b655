"""What the engine itself refuses, as docs/troubleshooting.md has it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.documented import assert_documented
from tests.plugins.engine import STACK, Engine

PROGRAM = """
import signal

import pulumi
from pulumi_command import local

signal.signal(signal.SIGINT, signal.SIG_DFL)
local.Command("one", create=pulumi.Config().require("create"), logging="none")
"""


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """A stack whose one command succeeds."""
    return Engine(tmp_path / "stack", PROGRAM, {"create": "true"})


@contextmanager
def holding(engine: Engine, begun: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Hold the stack by an `up` that does not end, and end it in order."""
    engine.configure({"create": f"touch {begun}; exec sleep 60"})
    running = subprocess.Popen(
        [engine._pulumi, "up", "--yes", "--skip-preview", "--non-interactive", "--stack", STACK],
        cwd=engine.program,
        env=engine.variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while not begun.exists():
            assert running.poll() is None
            time.sleep(0.05)
        yield running
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGINT)
        running.wait(20)
        engine.configure({"create": "true"})


def test_a_second_run_finds_the_stack_locked(engine: Engine, tmp_path: Path) -> None:
    with holding(engine, tmp_path / "begun"):
        second = engine.up()
    assert not second.ok
    assert_documented(second.output, "State locked")
    assert engine.up().ok


def test_a_run_that_was_killed_leaves_the_stack_locked_until_cancel(
    engine: Engine, tmp_path: Path
) -> None:
    with holding(engine, tmp_path / "begun") as running:
        os.killpg(running.pid, signal.SIGKILL)
    assert_documented(engine.up().output, "State locked")
    assert engine.cli("cancel", "--yes", "--stack", STACK).returncode == 0
    assert engine.up().ok


def test_a_stack_without_its_passphrase_is_not_read(engine: Engine) -> None:
    del engine.variables["PULUMI_CONFIG_PASSPHRASE"]
    run = engine.preview()
    assert not run.ok
    assert_documented(run.output, "Passphrase missing")
    engine.variables["PULUMI_CONFIG_PASSPHRASE"] = "another"
    wrong = engine.preview()
    assert not wrong.ok
    assert_documented(wrong.output, "Passphrase missing", 2)


def test_a_plugin_that_is_not_there_is_named_with_the_command_that_gets_it(engine: Engine) -> None:
    (folder,) = engine.home.glob("plugins/resource-command-*")
    assert engine.preview().ok
    shutil.rmtree(folder)
    assert_documented(engine.preview().output, "Plugin missing", 2)
    del engine.variables["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"]
    with socket.socket() as closed:  # bound and not listening: no way to the download site
        closed.bind(("127.0.0.1", 0))
        for name in ("HTTPS_PROXY", "https_proxy"):
            engine.variables[name] = f"http://127.0.0.1:{closed.getsockname()[1]}"
        for name in ("NO_PROXY", "no_proxy"):
            engine.variables[name] = "127.0.0.1,localhost"
        run = engine.preview()
    assert not run.ok
    assert_documented(run.output, "Plugin missing")
