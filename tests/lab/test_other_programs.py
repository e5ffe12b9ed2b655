"""The components in somebody else's program, from the installed package, on real hosts."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from lab.spec import LabSpec
from lab.stack import CHECKOUT, Stack
from tests.lab.installed_package import install
from tests.lab.nodes_stack import NodesStack, copy_project

pytestmark = pytest.mark.lab

EXAMPLE = CHECKOUT / "docs" / "examples" / "python-program"


@pytest.fixture(scope="module")
def nodes(lab: LabSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodesStack]:
    """The example, with kube-nodes in its virtual environment and nothing of a checkout beside."""
    sources = copy_project(tmp_path_factory.mktemp("sources"))
    project = tmp_path_factory.mktemp("program") / "web-platform"
    shutil.copytree(EXAMPLE, project)
    install(sources, project / ".venv")
    shutil.copy(sources / "Pulumi.dev.yaml", project)
    stack = NodesStack(Stack(lab, project, "dev"))
    stack.prepare()
    yield stack
    stack.up("destroy")


def test_nodes_join_before_what_runs_on_them_and_leave_after_it(nodes: NodesStack) -> None:
    nodes.up()
    assert nodes.ready() == {"n1": "v1.37.2", "n2": "v1.37.2"}
    outputs = nodes.outputs()
    assert outputs["addresses"] == {host.name: host.address for host in nodes.lab.hosts}
    assert outputs["nodes"]["n2"]["serviceAnswer"].startswith("pod=service-check-")
    nodes.kubectl("get", "namespace", "web")
    nodes.pulumi("preview", "--expect-no-changes", "--non-interactive")


def test_the_inventory_is_read_by_the_installed_command(nodes: NodesStack) -> None:
    inventory = nodes.pulumi("stack", "output", "inventory", "--show-secrets")
    done = subprocess.run(
        [".venv/bin/kube-nodes-membership", "approve"],
        cwd=nodes.stack.project, env=nodes.stack.environment(),
        input=inventory, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "nothing is pending\n"), done.stderr


def test_no_input_names_this_machine(nodes: NodesStack) -> None:
    state = json.loads(nodes.pulumi("stack", "export"))["deployment"]["resources"]
    inputs = json.dumps([each.get("inputs") for each in state])
    assert str(nodes.stack.project) not in inputs
