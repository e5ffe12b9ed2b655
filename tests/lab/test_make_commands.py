"""The commands of README, by `make` and by the lines that `make env` prints, on a lab."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.env import UNSET
from lab.spec import LabSpec
from lab.stack import CHECKOUT
from tests.lab.nodes_stack import copy_project

pytestmark = pytest.mark.lab

_README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Checkout:
    """A checkout whose lab is up."""

    folder: Path
    lab: LabSpec

    def run(self, *command: str, status: int = 0) -> str:
        """Run a command there as its user would; return what it printed, errors last."""
        kept = {key: value for key, value in os.environ.items() if key not in UNSET}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**kept, "LAB_DIR": str(self.lab.directory)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def make(self, *words: str) -> str:
        """Run make; the virtual environment is the tests' own, and stays as it is."""
        return self.run("make", "--silent", "--old-file=.venv/.installed", *words)


@pytest.fixture(scope="module")
def checkout(lab: LabSpec, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the checkout, with a lab and without a node."""
    return Checkout(copy_project(tmp_path_factory.mktemp("checkout")), lab)


def test_make_up_joins_the_hosts_of_the_lab_and_shows_them(checkout: Checkout) -> None:
    printed = checkout.make("up")
    for host in checkout.lab.hosts:
        answer = rf"│ {host.name} +│ True +│ v1\.37\.2 +│ {host.address} +│ pod=service-check-\w+ "
        assert re.search(answer, printed), printed


def test_plain_pulumi_and_kubectl_work_by_the_lines_of_make_env(checkout: Checkout) -> None:
    """The block of README itself, with the yes that a terminal would be asked for."""
    found = re.search(r'```sh\n(eval "\$\(make -s env\)"\n.*?)```', _README, re.DOTALL)
    assert found
    block = found[1].replace("make -s env", "make -s -o .venv/.installed env")
    printed = checkout.run("sh", "-ec", block.replace("pulumi up ", "pulumi up --yes "))
    # By preview, and by up's own preview and its run.
    assert len(re.findall(r"^ +\d+ unchanged$", printed, re.MULTILINE)) == 3
    assert re.search(r"^n2 +Ready ", printed, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("preview",), r"\d+ unchanged"),
        (("table",), r"│ n2 +│ True "),
        (("status",), r"2 nodes, 2 well"),
        (("status", "JSON=1"), r'^\{'),
        (("verify",), r"│ n2 +│ (ok|note) "),
        (("drift",), r"2 nodes: 2 as declared"),
        (("certificates",), r"│ kube-proxy's "),
        (("preflight",), r"n2"),
        (("show", "NODE=n1"), r"kubernetesVersion"),
        (("approve",), r"nothing is pending"),
        (("policy",), r"Policies:"),
        (("ssh", "NODE=n1", "PRINT=1"), r"^ssh .*root@"),
        (("help",), r"make new-stack"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_each_look_at_the_nodes_finds_them_well(
    checkout: Checkout, words: tuple[str, ...], told: str
) -> None:
    printed = checkout.make(*words)
    assert re.search(told, printed, re.MULTILINE), printed


def test_make_graph_draws_a_picture(checkout: Checkout) -> None:
    checkout.make("graph", "OUT=drawn.svg")
    assert (checkout.folder / "drawn.svg").read_text().startswith("<svg ")


def test_make_comment_tells_of_a_change_as_a_pull_request_would(checkout: Checkout) -> None:
    assert "nothing changes" in checkout.make("comment")
    file = checkout.folder / "Pulumi.dev.yaml"
    before = file.read_text()
    setting = 'eval "$(.venv/bin/python -m lab env)"; pulumi config set -s dev --path'
    checkout.run("sh", "-ec", f"{setting} kube-nodes:options.maxPods 60")
    printed = checkout.make("comment", "FORGE=gitlab")
    file.write_text(before)
    assert "+maxPods: 60" in printed and "-maxPods: 110" in printed
    assert "n1, n2" in printed


def test_make_destroy_and_down_leave_nothing(checkout: Checkout) -> None:
    checkout.make("destroy")
    nodes = checkout.run("sh", "-ec", 'eval "$(.venv/bin/python -m lab env)"; kubectl get nodes')
    assert "No resources found" in nodes
    checkout.make("down")
    assert not checkout.lab.directory.exists()
