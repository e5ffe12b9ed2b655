"""The component package under the real engine, in a program that has nothing of this project's.

It is in Python, but registers as one in any language does: by the type's name alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from kube_nodes.provider.schema import build_schema
from tests.configurations import merge
from tests.plugins.control_plane import run_control_plane
from tests.plugins.engine import STACK, is_secret
from tests.pull_requests.changes import SECRETS
from tests.pull_requests.package_plugin import install_package
from tests.pull_requests.stack import NodesStack

_PROGRAM = """
import os

import pulumi

class Nodes(pulumi.ComponentResource):
    def __init__(self, kind, name, inputs):
        outputs = dict.fromkeys(["nodes", "cluster", "inventory", "caCertificateExpires"])
        opts = pulumi.ResourceOptions(version="0.1.0")
        super().__init__(kind, name, {**outputs, **inputs}, opts, remote=True)

config = pulumi.Config("kube-nodes")
kind = os.environ["KIND"]
keys = ["podCidrs", "serviceCidrs", "binaries", "kubeProxyCertificate", "options", "pools"]
inputs = {key: config.get_object(key) for key in keys}
inputs |= {key: config.require(key) for key in ("server", "caCertificate", "clusterUid")}
secret = config.require if os.environ.get("OPEN") else config.require_secret
secrets = {key: secret(key) for key in ("caKey", "sshPrivateKey")}
made = Nodes(f"kube-nodes:index:{kind}", "all", {**inputs, **secrets} if kind == "Nodes" else {})
pulumi.export("nodes", made.nodes)
pulumi.export("cluster", made.cluster)
pulumi.export("inventory", made.inventory)
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodesStack]:
    """The program's stack, up."""
    directory = tmp_path_factory.mktemp("package")
    (directory / "server").mkdir()
    with run_control_plane(directory / "server") as plane:
        made = NodesStack(directory / "stack", plane)
        made.engine.write(_PROGRAM)
        made.engine.variables["KIND"] = "Nodes"
        install_package(made.engine.home)
        run = made.engine.up()
        assert run.ok, run.output
        yield made


def test_all_of_it_is_below_the_component_and_comes_to_rest(stack: NodesStack) -> None:
    resources = json.loads(stack.engine.state_text())["checkpoint"]["latest"]["resources"]
    types = [each["urn"].split("::")[2] for each in resources]
    ours = [each for each in types if each != "pulumi:pulumi:Stack" and "providers" not in each]
    assert len(ours) > 40
    assert {each.partition("$")[0] for each in ours} == {"kube-nodes:index:Nodes"}
    quiet = stack.engine.preview("--expect-no-changes")
    assert quiet.ok, quiet.output


def test_its_outputs_are_those_of_a_stack(stack: NodesStack) -> None:
    outputs = stack.engine.outputs()
    assert outputs["cluster"]["server"] == stack.base["server"]
    assert set(outputs["nodes"]) == {"w1", "w2", "w3", "s1", "s2"}
    assert outputs["nodes"]["s1"]["pool"] == "storage"
    assert json.loads(outputs["inventory"])["nodes"]


def test_secret_inputs_stay_secret(stack: NodesStack) -> None:
    assert "inputs" not in stack.engine.resource("all")
    assert is_secret(stack.engine.resource("all")["outputs"]["inventory"])
    connection = stack.engine.resource("w1-units")["inputs"]["connection"]
    assert is_secret(connection)
    text = stack.engine.state_text()
    for secret in SECRETS.values():
        assert secret.splitlines()[1] not in text


def test_a_changed_input_changes_what_is_made_of_it(stack: NodesStack) -> None:
    stack.configure(merge(stack.base, {"pools": {"workers": {"options": {"maxPods": 60}}}}))
    run = stack.engine.preview()
    stack.configure(stack.base)
    assert run.ok, run.output
    changed = {step["urn"].rpartition("::")[2] for step in run.steps if step["op"] == "update"}
    assert {"w1-units", "w2-units", "w3-units"} <= changed
    assert not {"s1-units", "s2-units"} & changed


def test_a_run_in_which_a_step_fails_removes_nothing(stack: NodesStack) -> None:
    """With an engine that goes on after errors; the run after it does what was left."""
    changed = merge(stack.base, {"pools": {"workers": {"options": {"maxPods": 60}}}})
    del changed["pools"]["workers"]["nodes"]["w3"]
    stack.configure(changed)
    steps = {"STILL_COMMAND_FAILS": "w1-units", "PULUMI_CONTINUE_ON_ERROR": "true"}
    stack.engine.variables |= steps
    failed = stack.engine.up()
    for name in steps:
        del stack.engine.variables[name]
    assert not failed.ok
    assert "delete" not in {step["op"] for step in failed.steps}
    assert stack.engine.resource("w3-units")

    done = stack.engine.up()
    assert done.ok, done.output
    gone = {step["urn"].rpartition("::")[2] for step in done.steps if step["op"] == "delete"}
    assert "w3-units" in gone
    stack.configure(stack.base)
    assert stack.engine.up().ok


def test_every_fault_of_the_inputs_is_told_at_once_and_no_traceback(stack: NodesStack) -> None:
    stack.configure(merge(stack.base, {"podCidrs": ["nonsense"], "options": {"maxPods": 0}}))
    run = stack.engine.preview()
    stack.configure(stack.base)
    assert not run.ok
    assert "2 faults in the stack's configuration; nothing was changed" in run.output
    assert "kube-nodes:options.maxPods: 0 is out of range" in run.output
    assert "nodes.py" not in run.output


def test_a_secret_that_is_wrong_is_told_of_and_not_shown(stack: NodesStack) -> None:
    stack.engine.cli(
        "config", "set-all", "--secret", f"caKey={SECRETS['sshPrivateKey']}", "--stack", STACK
    )
    run = stack.engine.preview()
    stack.engine.cli("config", "set-all", "--secret", f"caKey={SECRETS['caKey']}", "--stack", STACK)
    assert not run.ok
    assert "caKey: is not the key of caCertificate" in run.output
    assert SECRETS["sshPrivateKey"].splitlines()[1] not in run.output


def test_a_secret_in_the_open_is_refused(stack: NodesStack) -> None:
    stack.engine.variables["OPEN"] = "1"
    run = stack.engine.preview()
    del stack.engine.variables["OPEN"]
    assert not run.ok
    assert "caKey: is given in the open; make it a secret" in run.output


def test_without_inputs_it_is_made_of_the_stacks_configuration(stack: NodesStack) -> None:
    before = json.loads(stack.engine.state_text())["checkpoint"]["latest"]["resources"]
    stack.engine.variables["KIND"] = "ConfiguredNodes"
    run = stack.engine.preview()
    stack.engine.variables["KIND"] = "Nodes"
    assert run.ok, run.output
    made = {step["urn"].rpartition("::")[2] for step in run.steps if step["op"] == "create"}
    known = {
        each["urn"].rpartition("::")[2]
        for each in before
        if each["custom"] and "pulumi:providers" not in each["urn"].split("::")[2]
    }
    assert known <= made


def test_the_engine_gets_the_schema(stack: NodesStack) -> None:
    plugin = next(stack.engine.home.glob("plugins/resource-kube-nodes-*/pulumi-resource-*"))
    done = stack.engine.cli("package", "get-schema", str(plugin))
    assert done.returncode == 0, done.stdout
    found = json.loads(done.stdout[done.stdout.index("{") :])
    expected = build_schema()
    assert found["resources"].keys() == expected["resources"].keys()
    nodes = "kube-nodes:index:Nodes"
    assert (
        found["resources"][nodes]["requiredInputs"]
        == expected["resources"][nodes]["requiredInputs"]
    )
