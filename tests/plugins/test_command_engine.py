"""The command stand-in under the real engine: what an operator sees and what is recorded.

What must hold was tried with the official plugin 1.2.1 and CLI 3.259.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tests.plugins.engine import Engine, is_secret, plain
from tests.plugins.ssh_server import SshServer

PROGRAM = """
import signal

import pulumi
from pulumi_command import local, remote

# At its end the engine interrupts the program, which otherwise waits for its own calls first:
# in one run of three that took the 5 s after which the engine kills it.
signal.signal(signal.SIGINT, signal.SIG_DFL)
config = pulumi.Config()
quiet = {"logging": "none", "add_previous_output_in_env": False}
units = remote.Command(
    "units",
    create="cat; echo run",
    delete=f"cat > {config.require('deleted')}",
    stdin=config.require("text"),
    connection={
        "host": "127.0.0.1",
        "port": config.require_int("port"),
        "host_key": config.require("hostKey"),
        "private_key": config.require("privateKey"),
        "per_dial_timeout": config.get_int("dialTimeout") or 15,
        "dial_error_limit": 0,
    },
    **quiet,
)
local.Command(
    "credentials",
    create="cat",
    stdin=pulumi.Output.secret("the token secret"),
    opts=pulumi.ResourceOptions(additional_secret_outputs=["stdout", "stderr"]),
    **quiet,
)
local.Command("membership", create="cat; pwd", stdin=units.stdout, environment={"A": "1"}, **quiet)
if config.get("more"):
    local.Command("more", create=config.require("more"), **quiet)
"""
USERS_KEY = asyncssh.generate_private_key("ssh-ed25519")
FIRST = "".join(f"line {number}\n" for number in range(20))
SECOND = FIRST.replace("line 9\n", "line nine\n")


@pytest.fixture(scope="module")
def server() -> Iterator[SshServer]:
    with SshServer(USERS_KEY) as running:
        yield running


@pytest.fixture(scope="module")
def engine(server: SshServer, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A deployed stack; each test leaves it as it was."""
    folder = tmp_path_factory.mktemp("engine")
    config: dict[str, Any] = {
        "text": FIRST,
        "port": server.port,
        "hostKey": server.host_key_line,
        "privateKey": USERS_KEY.export_private_key().decode(),
        "deleted": str(folder / "deleted"),
    }
    engine = Engine(folder / "stack", PROGRAM, config, {"SSH_AUTH_SOCK": ""})
    run = engine.up()
    assert run.ok, run.output
    assert run.changes == {"create": 3}
    return engine


def test_a_command_runs_in_the_project_folder(engine: Engine) -> None:
    printed = engine.resource("membership")["outputs"]["stdout"]
    assert printed == f"{FIRST}run{engine.program}"


def test_the_same_program_again_changes_nothing_and_connects_to_nobody(
    engine: Engine, server: SshServer
) -> None:
    before = server.connections
    run = engine.preview("--diff", "--expect-no-changes", "--refresh")
    assert run.ok, run.output
    assert server.connections == before


def test_secrets_are_encrypted_in_the_state_and_the_connection_as_a_whole(engine: Engine) -> None:
    outputs = engine.resource("credentials")["outputs"]
    assert is_secret(outputs["stdin"])
    assert is_secret(outputs["stdout"])
    assert is_secret(engine.resource("units")["inputs"]["connection"])
    state = engine.state_text()
    assert "the token secret" not in state
    assert "PRIVATE KEY" not in state
    recorded = plain(engine.resource("units", decrypted=True)["outputs"]["connection"])
    assert recorded["user"] == "root"
    assert engine.resource("units")["outputs"]["stdin"] == FIRST


def test_preview_shows_the_changed_line_of_stdin_alone_and_what_follows_as_unknown(
    engine: Engine, server: SshServer
) -> None:
    before = server.connections
    engine.configure({"text": SECOND})
    run = engine.preview("--diff")
    engine.configure({"text": FIRST})
    assert run.ok, run.output
    assert run.changes == {"update": 2, "same": 1}
    changed = [line.split() for line in run.output.splitlines() if " line " in f" {line}"]
    marked = [words for words in changed if words[0] in {"-", "+"}]
    assert marked == [["-", "line", "9"], ["+", "line", "nine"]]
    assert len(changed) < 12  # the context, not the whole text
    assert "the token secret" not in run.output
    assert "PRIVATE KEY" not in run.output
    assert run.step("membership")["new"]["inputs"]["stdin"] != FIRST
    assert "output<string>" in run.output or "[unknown]" in run.output
    assert server.connections == before


def test_a_changed_connection_runs_the_script_again_in_place(
    engine: Engine, server: SshServer
) -> None:
    before = server.connections
    engine.configure({"dialTimeout": 5})
    run = engine.up("--diff")
    assert run.ok, run.output
    assert run.changes == {"update": 1, "same": 2}
    assert server.connections == before + 1
    assert "PRIVATE KEY" not in run.output


def test_a_failed_create_is_not_recorded_and_shows_its_command_and_output(engine: Engine) -> None:
    engine.configure({"more": "seq 20000; echo because; exit 3"})
    run = engine.up()
    assert not run.ok
    assert 'exit status 3: running "seq 20000; echo because; exit 3":' in run.output
    assert "because" in run.output
    assert "::more" not in engine.state_text()
    assert '"pending_operations"' not in engine.state_text()


def test_a_failed_update_is_not_recorded_so_that_the_old_input_reads_as_unchanged(
    engine: Engine,
) -> None:
    engine.configure({"more": "true"})
    assert engine.up().ok
    engine.configure({"more": "exit 4"})
    assert not engine.up().ok
    assert engine.resource("more")["inputs"]["create"] == "true"
    engine.configure({"more": "true"})
    assert engine.preview("--expect-no-changes").ok


def test_ctrl_c_kills_a_local_command_and_gives_the_terminal_back(
    engine: Engine, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    engine.configure({"more": f"echo $$ > {pid_file}; exec sleep 60"})
    up = subprocess.Popen(
        [engine._pulumi, "up", "--yes", "--skip-preview", "--non-interactive", "--color=never"],
        cwd=engine.program,
        env=engine.variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    )
    while not pid_file.exists() or not pid_file.read_text():
        assert up.poll() is None, up.communicate()
        time.sleep(0.05)
    begun = time.monotonic()
    up.send_signal(signal.SIGINT)
    output, _ = up.communicate(timeout=20)
    assert time.monotonic() - begun < 3
    assert up.returncode != 0
    assert "signal: killed: running" in output
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_destroy_gives_the_recorded_stdin_to_the_delete_command(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = engine.destroy()
    assert run.ok, run.output
    assert (engine.directory.parent / "deleted").read_text() == FIRST
