"""The component package in a program in TypeScript, on real hosts, with Pulumi's own SDK."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from lab.spec import LabSpec
from lab.stack import CHECKOUT, Stack
from lab.tools import ensure
from tests.lab.installed_package import install
from tests.lab.nodes_stack import NodesStack, copy_project

pytestmark = pytest.mark.lab

EXAMPLE = CHECKOUT / "docs" / "examples" / "typescript-program"


@pytest.fixture(scope="module")
def nodes(lab: LabSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodesStack]:
    """The example; its plugin is on PATH, from its own virtual environment."""
    if missing := [name for name in ("node", "npm") if not shutil.which(name)]:
        pytest.skip(f"a program in TypeScript needs {' and '.join(missing)}")
    sources = copy_project(tmp_path_factory.mktemp("sources"))
    project = tmp_path_factory.mktemp("program") / "web-platform"
    shutil.copytree(EXAMPLE, project)
    install(sources, project / ".venv")
    # Official releases have it beside the CLI.
    host = ensure(["pulumi-language-nodejs"])["pulumi-language-nodejs"]
    (project / ".venv" / "bin" / host.name).symlink_to(host)
    quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(["npm", "install", *quiet], cwd=project, check=True)
    shutil.copy(sources / "Pulumi.dev.yaml", project)
    stack = NodesStack(Stack(lab, project, "dev"))
    stack.prepare()
    setting = ("pulumi", "config", "set", "--secret", "kube-nodes:sshPrivateKey", "--stack", "dev")
    _run(stack, *setting, given=lab.path("ssh", "id_ed25519").read_text())
    yield stack
    stack.up("destroy")


def test_the_program_is_of_the_types_that_it_names(nodes: NodesStack) -> None:
    subprocess.run(["node_modules/.bin/tsc"], cwd=nodes.stack.project, check=True)


def test_nodes_join_from_typescript_and_nothing_changes_after_it(nodes: NodesStack) -> None:
    nodes.up()
    assert nodes.ready() == {"n1": "v1.37.2", "n2": "v1.37.2"}
    outputs = nodes.outputs()
    assert outputs["addresses"] == {host.name: host.address for host in nodes.lab.hosts}
    assert outputs["nodes"]["n2"]["serviceAnswer"].startswith("pod=service-check-")
    nodes.pulumi("preview", "--expect-no-changes", "--non-interactive")


def test_no_secret_is_in_its_state_or_in_what_it_printed(nodes: NodesStack) -> None:
    texts = (nodes.state_text(), *nodes.printed)
    for name, forms in nodes.collect_secrets().items():
        assert not any(form in text for form in forms for text in texts), name


def test_commands_that_read_its_stack_find_what_they_need(nodes: NodesStack) -> None:
    inventory = nodes.pulumi("stack", "output", "inventory", "--show-secrets")
    approved = _run(nodes, ".venv/bin/kube-nodes-membership", "approve", given=inventory)
    assert approved == "nothing is pending\n"
    _run(nodes, ".venv/bin/python", "-m", "kube_nodes.fleet", "verify", "--stack", "dev")


def test_the_packages_folder_can_be_started_as_a_language_host_does(nodes: NodesStack) -> None:
    """By python, with the engine's address; it answers with the port that it listens on."""
    python = str(nodes.stack.project / ".venv/bin/python")
    command = [python, str(CHECKOUT / "provider"), "127.0.0.1:9"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as plugin:
        assert plugin.stdout is not None
        port = plugin.stdout.readline()
        plugin.kill()
    assert int(port) > 1024


def _run(nodes: NodesStack, *command: str, given: str = "") -> str:
    done = subprocess.run(
        command,
        cwd=nodes.stack.project, env=nodes.stack.environment(),
        input=given, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
