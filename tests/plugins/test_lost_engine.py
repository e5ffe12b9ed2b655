"""A lost host under the real engine: what is recorded of it goes without a connection.

The mocks of tests/components can't tell that: which inputs are ignored, what a removal calls, and
what the engine knows of the state is its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tests.plugins.engine import CHECKOUT, Engine, Run
from tests.plugins.ssh_server import SshServer

PROGRAM = """
import signal
from types import SimpleNamespace

import pulumi
from pulumi_command import local

from kube_nodes.components.commands import local_command, remote_command, send_scripts
from kube_nodes.components.kept_steps import OVER_SSH, keep_recorded
from kube_nodes.components.recorded import read_recorded
from kube_nodes.model.options import SshOptions

signal.signal(signal.SIGINT, signal.SIG_DFL)
config = pulumi.Config()
recorded = read_recorded()
for name, node in sorted(recorded.nodes.items()):
    pulumi.log.info(f"recorded {name} in {node.pool}: lost {node.lost}")


class WorkerNode(pulumi.ComponentResource):
    def __init__(self, name, declared):
        told = {"pool": "workers", "lost": declared["lost"]}
        super().__init__("kube-nodes:index:WorkerNode", name, told)
        ssh = SshOptions(port=declared["port"])
        host = SimpleNamespace(id=name, address="127.0.0.1", host_key=declared["key"], ssh=ssh)
        key = config.require("privateKey")
        if declared["lost"]:
            keep_recorded(self, host, recorded, OVER_SSH, retain=True)
        else:
            after = [
                send_scripts(
                    f"{name}-scripts",
                    host,
                    life="",
                    private_key=key,
                    opts=pulumi.ResourceOptions(parent=self),
                )
            ]
            for step in ("preflight", "credentials", "units", "service-check"):
                fails = "exit 3" if declared.get("fails") == step else "true"
                script = f'{fails}; echo "$1 {name}-{step}" >>{config.require("log")}\\n# end\\n'
                command = remote_command(
                    f"{name}-{step}",
                    host,
                    script,
                    private_key=key,
                    at_delete="remove" if step in ("credentials", "units") else "",
                    secret_output=step == "credentials",
                    opts=pulumi.ResourceOptions(parent=self, depends_on=after),
                )
                after = [command]
        text = "lost" if declared["lost"] else after[0].stdout
        membership = local.Command(
            f"{name}-membership", create="cat", stdin=text, opts=pulumi.ResourceOptions(parent=self)
        )
        self.register_outputs({**told, "version": membership.stdout})


for name, declared in config.require_object("nodes").items():
    WorkerNode(name, declared)
"""
USERS_KEY = asyncssh.generate_private_key("ssh-ed25519")
STEPS = ("preflight", "credentials", "units", "service-check")


@dataclass
class Fleet:
    """A stack, the sshd of each of its hosts, and what ran there."""

    engine: Engine
    log: Path
    servers: dict[str, SshServer]
    declared: dict[str, dict[str, Any]]

    def declare(self, name: str, **changes: Any) -> None:
        """Declare a node, or change it; its host starts with it."""
        if name not in self.servers:
            # A machine that takes another one's place has nothing of it.
            home = tempfile.mkdtemp(dir=self.log.parent)
            self.servers[name] = SshServer(USERS_KEY, home=Path(home)).__enter__()
        server = self.servers[name]
        known = {"port": server.port, "key": server.host_key_line, "lost": False}
        self.declared[name] = {**known, **self.declared.get(name, {}), **changes}
        self.engine.configure({"nodes": self.declared})

    def remove(self, name: str) -> None:
        """Take a node out of the configuration."""
        del self.declared[name]
        self.engine.configure({"nodes": self.declared})

    def die(self, name: str) -> None:
        """Let a node's host be gone for ever."""
        self.servers.pop(name).__exit__()

    def up(self, *, ok: bool = True) -> tuple[Run, list[str]]:
        """Run, and return what ran on hosts meanwhile."""
        self.log.write_text("")
        run = self.engine.up("--continue-on-error")
        assert run.ok is ok, run.output
        return run, self.log.read_text().splitlines()


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """n1 and n2 have joined."""
    log = tmp_path / "log"
    config = {"log": str(log), "privateKey": USERS_KEY.export_private_key().decode(), "nodes": {}}
    variables = {"SSH_AUTH_SOCK": "", "PYTHONPATH": str(CHECKOUT)}
    made = Fleet(Engine(tmp_path / "stack", PROGRAM, config, variables), log, {}, {})
    try:
        made.declare("n1")
        made.declare("n2")
        _, ran = made.up()
        assert sorted(ran) == sorted(
            f"apply {name}-{step}" for name in ("n1", "n2") for step in STEPS
        )
        yield made
    finally:
        for name in list(made.servers):
            made.die(name)


def test_a_lost_host_is_never_reached_and_goes_without_it(fleet: Fleet) -> None:
    fleet.die("n1")
    fleet.declare("n1", lost=True)
    preview = fleet.engine.preview("--diff")
    assert preview.changes == {"update": 2, "same": 12}, preview.output
    assert preview.step("n1-membership")["op"] == "update"
    run, ran = fleet.up()
    assert (run.changes, ran) == ({"update": 2, "same": 12}, [])
    for step in STEPS:
        assert fleet.engine.resource(f"n1-{step}")["retainOnDelete"] is True
    # What the host was given is still on record, secret as before.
    assert "apply" in fleet.engine.resource("n1-units")["inputs"]["create"]
    assert fleet.engine.preview("--expect-no-changes").ok
    assert "recorded n1 in workers: lost True" in fleet.engine.preview().output

    fleet.remove("n1")
    run, ran = fleet.up()
    assert (run.changes, ran) == ({"delete": 7, "same": 7}, [])
    assert "::n1" not in fleet.engine.state_text()


def test_without_it_a_removal_fails_for_want_of_the_host(fleet: Fleet) -> None:
    """The opposite: what the tests above would do if nothing were retained."""
    fleet.die("n1")
    fleet.remove("n1")
    run, ran = fleet.up(ok=False)
    assert ran == []
    assert "connection refused" in run.output
    assert "::n1-units" in fleet.engine.state_text()


def test_a_host_that_was_lost_half_way_and_one_that_never_joined(fleet: Fleet) -> None:
    fleet.declare("n3", fails="units")
    run, ran = fleet.up(ok=False)
    assert ran == ["apply n3-preflight", "apply n3-credentials"]
    fleet.die("n3")
    fleet.declare("n3", lost=True)
    fleet.declare("n4", lost=True)
    fleet.die("n4")
    run, ran = fleet.up()
    assert ran == []
    assert run.changes == {"create": 3, "update": 1, "same": 17}
    there = {step for step in STEPS if f"::n3-{step}" in fleet.engine.state_text()}
    assert there == {"preflight", "credentials"}
    fleet.remove("n3")
    fleet.remove("n4")
    run, ran = fleet.up()
    assert (run.changes, ran) == ({"delete": 7, "same": 14}, [])


def test_a_new_machine_takes_its_place_when_it_is_lost_no_more(fleet: Fleet) -> None:
    fleet.die("n1")
    fleet.declare("n1", lost=True)
    fleet.up()
    del fleet.declared["n1"]
    fleet.declare("n1")
    run, ran = fleet.up()
    assert ran == [f"apply n1-{step}" for step in STEPS]
    # The scripts are sent to it, too.
    assert run.changes["update"] == 6 and run.step("n1-scripts")["op"] == "create-replacement"
    assert "retainOnDelete" not in fleet.engine.resource("n1-units")
    fleet.remove("n1")
    _, ran = fleet.up()
    assert ran == ["remove n1-units", "remove n1-credentials"]


def test_a_node_whose_outputs_never_came_is_told_of_too(fleet: Fleet) -> None:
    fleet.declare("n3", fails="preflight")
    fleet.up(ok=False)
    assert "recorded n3 in workers: lost False" in fleet.engine.preview().output


def test_a_destroy_needs_no_lost_host(fleet: Fleet) -> None:
    fleet.die("n1")
    fleet.declare("n1", lost=True)
    fleet.up()
    fleet.log.write_text("")
    run = fleet.engine.destroy()
    assert run.ok, run.output
    assert fleet.log.read_text().splitlines() == ["remove n2-units", "remove n2-credentials"]
