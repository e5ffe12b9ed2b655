"""A run that would remove too many nodes, under the real engine and by the real program."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.components.stacks import configuration
from tests.plugins.engine import CHECKOUT, STACK, Engine

# Nodes as far as the state knows them; each says when it is deleted.
BEFORE = """
import signal

import pulumi
from pulumi_command import local

signal.signal(signal.SIGINT, signal.SIG_DFL)


class WorkerNode(pulumi.ComponentResource):
    def __init__(self, name):
        told = {"pool": "workers", "lost": False}
        super().__init__("kube-nodes:index:WorkerNode", name, told)
        delete = f"echo {name} >>{pulumi.Config().require('log')}"
        child = pulumi.ResourceOptions(parent=self)
        local.Command(f"{name}-membership", create="true", delete=delete, opts=child)
        self.register_outputs(told)


for number in range(1, 5):
    WorkerNode(f"n{number}")
"""
PROGRAM = f"import runpy\nrunpy.run_path({str(CHECKOUT / '__main__.py')!r}, run_name='__main__')\n"


def declare(engine: Engine, **changes: object) -> None:
    """Configure the real program with one node."""
    path = engine.program / f"Pulumi.{STACK}.yaml"
    settings = yaml.safe_load(path.read_text())
    own = {f"kube-nodes:{key}": value for key, value in configuration(1, **changes).items()}
    settings["config"] |= own
    path.write_text(yaml.safe_dump(settings))
    engine.write(PROGRAM)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def engine(tmp_path: Path, log: Path) -> Engine:
    """A stack with four nodes."""
    variables = {
        "SSH_AUTH_SOCK": "",
        "PYTHONPATH": str(CHECKOUT),
        "KUBECONFIG": str(tmp_path / "none"),
    }
    made = Engine(tmp_path / "stack", BEFORE, {"log": str(log)}, variables)
    run = made.up()
    assert run.ok, run.output
    return made


def test_it_removes_none_also_where_the_engine_goes_on_after_errors(
    engine: Engine, log: Path
) -> None:
    declare(engine)
    for run in (engine.preview(), engine.up(), engine.up("--continue-on-error")):
        assert not run.ok
        assert "pool workers: 3 of its 4 nodes are declared no more (n2, n3, n4)" in run.output
        assert "delete" not in run.changes
    assert not log.exists()
    assert all(f"::n{number}-membership" in engine.state_text() for number in range(1, 5))


def test_with_a_yes_the_preview_shows_the_removals(engine: Engine) -> None:
    declare(engine, allowRemovals={"workers": 3})
    run = engine.preview()
    assert run.ok, run.output
    deleted = {step["urn"].rpartition("::")[2] for step in run.steps if step["op"] == "delete"}
    assert deleted >= {f"n{number}-membership" for number in (2, 3, 4)}
