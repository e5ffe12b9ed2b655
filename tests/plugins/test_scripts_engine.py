"""What is sent to a host once, under the real engine: when it is sent, found missing, and removed.

Mocks can't tell that: what the engine takes for a change of a file, what a delete runs, and that
it needs no file of the operator's.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from kube_nodes.model.expectation import HOST_FOLDER
from tests.plugins.engine import CHECKOUT, Engine, Run
from tests.plugins.ssh_server import SshServer

# Of another version of this project some part is another one; `version` is declared by the test.
PROGRAM = """
import signal
from types import SimpleNamespace

import pulumi

from kube_nodes.components.commands import remote_command, send_scripts
from kube_nodes.model.options import SshOptions
from kube_nodes.render import shell

signal.signal(signal.SIGINT, signal.SIG_DFL)
config = pulumi.Config()
of_version = shell.constant_shell
shell.constant_shell = lambda name: of_version(name) + (
    f"version_here={config.require('version')}\\n" if name == "version" else ""
)
declared = config.require_object("host")
host = SimpleNamespace(
    address="127.0.0.1", host_key=declared["key"], ssh=SshOptions(port=declared["port"])
)
log = config.require("log")
ways = {"private_key": config.require("privateKey")}
if config.get("present") != "no":
    scripts = send_scripts(
        "n1-scripts", host, life=config.require("life"), opts=pulumi.ResourceOptions(), **ways
    )
    look = remote_command(
        "n1-preflight",
        host,
        "use version\\necho looked\\n# end\\n",
        at_delete="unsend",
        opts=pulumi.ResourceOptions(depends_on=[scripts]),
        **ways,
    )
    remote_command(
        "n1-units",
        host,
        f'use version\\necho "$1 $version_here" >>{log}\\n# {config.get("text")}\\n# end\\n',
        at_delete="remove",
        opts=pulumi.ResourceOptions(depends_on=[look]),
        **ways,
    )
"""
USERS_KEY = asyncssh.generate_private_key("ssh-ed25519")


@dataclass
class Node:
    """A stack with one host, and what ran there."""

    engine: Engine
    home: Path
    log: Path
    cache: Path
    config: dict[str, Any]

    def up(self, *, ok: bool = True, **config: Any) -> tuple[Run, list[str]]:
        """Declare, run, and return what ran on the host meanwhile."""
        self.config |= config
        self.engine.configure(self.config)
        self.log.write_text("")
        run = self.engine.up()
        assert run.ok is ok, run.output
        return run, self.log.read_text().splitlines()

    def sent(self) -> list[Path]:
        """List what lies in the host's home."""
        return sorted(self.home.rglob("*"))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    home, cache, log = (tmp_path / name for name in ("home", "cache", "log"))
    home.mkdir()
    with SshServer(USERS_KEY, home=home) as server:
        config = {
            "log": str(log),
            "privateKey": USERS_KEY.export_private_key().decode(),
            "host": {"port": server.port, "key": server.host_key_line},
            "version": "1",
            "life": "1",
        }
        variables = {
            "SSH_AUTH_SOCK": "",
            "PYTHONPATH": str(CHECKOUT),
            "XDG_CACHE_HOME": str(cache),
        }
        made = Node(
            Engine(tmp_path / "stack", PROGRAM, config, variables), home, log, cache, config
        )
        _, ran = made.up()
        assert ran == ["apply 1"]
        yield made


def test_the_state_holds_no_text_and_another_operators_file_is_no_change(
    node: Node, tmp_path: Path
) -> None:
    assert "version()" not in node.engine.state_text()
    node.engine.variables["XDG_CACHE_HOME"] = str(tmp_path / "another")
    assert node.engine.preview("--expect-no-changes").ok


def test_a_host_that_lost_them_says_so_and_gets_them_again(node: Node) -> None:
    shutil.rmtree(node.home / HOST_FOLDER)
    run, ran = node.up(ok=False, text="changed")
    assert ran == []
    assert "our scripts are gone; raise the reapply number" in run.output
    run, ran = node.up(life="2")
    assert ran == ["apply 1"]
    assert run.step("n1-scripts")["op"] == "create-replacement"


def test_another_version_is_sent_and_each_delete_finds_its_own(node: Node) -> None:
    # As on a machine that has never run this project.
    shutil.rmtree(node.cache)
    _, ran = node.up(version="2")
    assert ran == ["apply 2"]
    # Two folders, and both.
    assert len(node.sent()) == 4
    # What is recorded was written by the version before.
    _, ran = node.up(version="3", present="no")
    assert ran == ["remove 2"]
    assert node.sent() == []


def test_a_destroy_needs_no_file_of_the_operators(node: Node) -> None:
    shutil.rmtree(node.cache)
    node.log.write_text("")
    run = node.engine.destroy()
    assert run.ok, run.output
    assert node.log.read_text() == "remove 1\n"
    assert node.sent() == []
