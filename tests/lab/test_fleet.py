"""A fleet on real hosts: a shared stack, and two stacks with a pool of one node each."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.spec import LabSpec
from lab.stack import Stack
from tests.lab.nodes_stack import NodesStack, copy_project
from tests.lab.states import read_plain

pytestmark = pytest.mark.lab

_FILE = "prod.fleet.yaml"


class LabFleet:
    """The fleet's file, and its commands as `make` runs them."""

    def __init__(self, nodes: NodesStack) -> None:
        self.nodes = nodes
        self.project = nodes.stack.project
        self.environment = nodes.stack.environment()
        config = yaml.safe_load((self.project / "Pulumi.dev.yaml").read_text())["config"]
        workers = config.pop("kube-nodes:pools")["workers"]
        self.document: dict[str, Any] = {
            "name": "prod",
            "config": config,
            "stacks": {
                pool: {"config": {"kube-nodes:pools": {
                    pool: {**workers, "nodes": {name: workers["nodes"][name]}}
                }}}
                for pool, name in (("a", "n1"), ("b", "n2"))
            },
        }  # fmt: skip

    def run(self, verb: str, *arguments: str) -> tuple[int, str]:
        """Run a command of the fleet; return its exit status, and what it printed."""
        (self.project / _FILE).write_text(yaml.safe_dump(self.document))
        done = subprocess.run(
            [".venv/bin/python", "-m", "kube_nodes.fleet", verb, "--fleet", _FILE, *arguments],
            cwd=self.project,
            env={**self.environment, "COLUMNS": "160"},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            timeout=200,
        )
        return done.returncode, done.stdout

    def state(self, stack: str) -> str:
        """Read a stack's state as it is stored."""
        backend = Path(self.nodes.lab.directory, "backend", ".pulumi", "stacks")
        (path,) = backend.glob(f"**/prod-{stack}.json.gz")
        return read_plain(path).decode()


@pytest.fixture(scope="module")
def fleet(lab: LabSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabFleet]:
    nodes = NodesStack(Stack(lab, copy_project(tmp_path_factory.mktemp("fleet")), "dev"))
    nodes.prepare()
    yield LabFleet(nodes)


def _changes(printed: str) -> dict[str, str]:
    """Read the table at the end: what changed, by stack."""
    rows = [line.split("│") for line in printed.splitlines() if line.startswith("│")]
    return {row[1].strip(): row[5].strip() for row in rows}


def test_a_fleet_joins_changes_one_stack_alone_and_tells_how_it_is(fleet: LabFleet) -> None:
    status, printed = fleet.run("fleet-preview")
    assert (status, _changes(printed)["prod-a"]) == (1, "prod-shared was never up")
    status, printed = fleet.run("fleet-up", "--limit", "2")
    assert status == 0, printed
    assert fleet.nodes.ready() == {"n1": "v1.37.2", "n2": "v1.37.2"}

    # The certificate is made once, and its key is in no state in the open.
    states = {each: fleet.state(each) for each in ("shared", "a", "b")}
    assert "tls:index/privateKey:PrivateKey" in states["shared"]
    assert not [each for each in "ab" if "tls:index" in states[each]]
    assert not [each for each, text in states.items() if "PRIVATE KEY" in text]
    assert "PRIVATE KEY" not in printed

    status, told = fleet.run("fleet-status", "--json")
    document = json.loads(told)
    assert (status, document["well"]) == (0, True), told
    assert {name: list(each["nodes"]) for name, each in document["stacks"].items()} == {
        "prod-shared": [], "prod-a": ["n1"], "prod-b": ["n2"],
    }  # fmt: skip

    pools = fleet.document["stacks"]["b"]["config"]["kube-nodes:pools"]["b"]
    pools["options"] = {**pools["options"], "maxPods": 100}
    status, printed = fleet.run("fleet-up")
    assert status == 0, printed
    changed = _changes(printed)
    assert changed["prod-shared"] == changed["prod-a"] == "nothing"
    assert "updated" in changed["prod-b"]

    node = json.loads(fleet.nodes.kubectl("get", "node", "n2", "-o", "json"))
    assert node["status"]["allocatable"]["pods"] == "100"
