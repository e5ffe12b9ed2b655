"""What each resource is given: constant commands, small and equal inputs, no change by accident."""

from __future__ import annotations

import hashlib
import json
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from kube_nodes.components.unrecorded import without_stack_traces
from kube_nodes.render.shell import host_scripts_sum
from tests.components.outputs import MACHINE_ID, TOKEN_END
from tests.components.recording import Graph, Resource, declare, opened
from tests.components.stacks import (
    COMMANDS,
    Stack,
    configuration,
    node,
    of_node,
    one,
    proxy_only,
    twenty,
    two,
)

_WITH_DELETE = {
    "prepare": "exec ./membership/run forget",
    "membership": "exec ./membership/run leave",
}


def _commands(graph: Graph) -> list[Resource]:
    return [each for each in graph.resources.values() if each.type.endswith(":Command")]


def _changed(old: Graph, new: Graph) -> dict[str, list[str]]:
    """Tell which inputs of which resources differ; a new or missing resource differs whole."""
    before, after = old.inputs(), new.inputs()
    changed = {}
    for key in before.keys() | after.keys():
        one, other = before.get(key, {}), after.get(key, {})
        names = [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]
        if names or (key in before) != (key in after):
            changed[key] = sorted(names)
    return changed


class TestCommands:
    """The command strings, and the options that every command has."""

    @pytest.mark.parametrize("step", COMMANDS)
    def test_a_command_is_the_same_for_every_node(self, step: str) -> None:
        commands = {
            (inputs["create"], inputs.get("delete"))
            for number in range(1, 21)
            for inputs in [twenty()[f"n{number}-{step}"].inputs]
        }
        assert len(commands) == 1

    def test_a_command_is_short_since_a_failure_prints_it(self) -> None:
        assert max(len(each.inputs["create"]) for each in _commands(one())) < 600

    def test_nothing_of_the_configuration_is_in_a_command(self) -> None:
        changes: dict[str, Any] = {"server": "https://192.0.2.99:6443", "clusterName": "other"}
        other = declare(configuration(7, **changes, **of_node("n7", generation=5, reapply=5)))
        for step in COMMANDS:
            mine, theirs = one()[f"n1-{step}"].inputs, other[f"n7-{step}"].inputs
            assert mine["create"] == theirs["create"]
            assert mine.get("delete") == theirs.get("delete")

    def test_a_host_has_what_its_commands_call_before_the_first_of_them(self) -> None:
        graph = one()
        scripts = graph["n1-scripts"]
        name = host_scripts_sum()
        assert scripts.inputs["remotePath"] == f".kube-nodes/kube-nodes.test/{name}"
        sent = Path(scripts.inputs["source"]["path"])
        assert hashlib.sha256(sent.read_bytes()).hexdigest() == name
        for step in ("preflight", "credentials", "units", "service-check"):
            command = graph[f"n1-{step}"].inputs["create"]
            assert f"s={name} f=.kube-nodes/kube-nodes.test/$s;" in command
            assert "n1-scripts" in graph.transitively_after(f"n1-{step}")

    @pytest.mark.parametrize(
        "change",
        [
            {"address": "192.0.2.9"},
            {"generation": 2},
            {"reapply": 1},
            {"hostKey": node(9)["hostKey"]},
            {"options": {"ssh": {"user": "admin"}}},
            {"options": {"ssh": {"port": 2222}}},
            {"options": {"ssh": {"jump": {"address": "192.0.2.8", "hostKey": node(8)["hostKey"]}}}},
        ],
    )
    def test_a_host_that_may_have_lost_them_gets_them_again(self, change: dict[str, Any]) -> None:
        triggers = declare(configuration(1, **of_node("n1", **change)))["n1-scripts"].inputs
        assert triggers["triggers"] != one()["n1-scripts"].inputs["triggers"]

    @pytest.mark.parametrize("stack", [one, proxy_only])
    def test_there_is_no_trigger_no_update_and_nothing_of_the_last_run(self, stack: Stack) -> None:
        graph = stack()
        for each in _commands(graph):
            assert {"triggers", "update"}.isdisjoint(each.inputs), each.key
            local = each.type == "command:local:Command"
            # Local ones tell on stderr what is awaited; scripts on hosts have nothing to tell.
            shown = local or each.key.endswith("-preflight")
            assert each.inputs["logging"] == ("stderr" if shown else "none"), each.key
            assert each.inputs["addPreviousOutputInEnv"] is False

    def test_what_changes_something_can_be_taken_back(self) -> None:
        deletes = {step: one()[f"n1-{step}"].inputs.get("delete") for step in COMMANDS}
        assert {step for step, text in deletes.items() if text} == {
            "preflight",
            "prepare",
            "credentials",
            "units",
            "membership",
        }
        # It is deleted when all others have called the scripts for the last time.
        own = ".kube-nodes/kube-nodes.test"
        removed = f"rm -rf {own}; rmdir .kube-nodes 2>/dev/null; :"
        assert deletes["preflight"] == f"cat >/dev/null; {removed}"
        assert {step: deletes[step] for step in _WITH_DELETE} == _WITH_DELETE
        for step in ("credentials", "units"):
            create = one()[f"n1-{step}"].inputs["create"]
            assert deletes[step] == create.replace(" apply", " remove") != create
        assert "delete" not in one()["kube-proxy-certificate-1"].inputs

    def test_a_remote_command_takes_no_environment_which_sshd_would_refuse(self) -> None:
        for each in _commands(one()):
            if each.type == "command:remote:Command":
                assert "environment" not in each.inputs


class TestSameness:
    """Inputs are the same on every machine, and change only where they must."""

    def test_two_runs_give_the_same_inputs(self) -> None:
        assert _changed(two(), declare(configuration(1, 2))) == {}

    def test_the_order_in_the_configuration_changes_nothing(self) -> None:
        assert _changed(two(), declare(configuration(2, 1))) == {}

    def test_no_path_of_the_operators_machine_is_in_an_input(self) -> None:
        inputs = opened(two().inputs())
        # Of a file that is sent the engine compares the sum, wherever the file lies.
        text = json.dumps([{**each, "source": None} for each in inputs.values()])
        here = [Path.cwd(), Path(__file__).parents[2], Path.home(), Path(sys.prefix)]
        assert [path for path in here if str(path) in text] == []

    def test_no_context_of_an_operators_kubeconfig_is_in_an_input(self) -> None:
        """Another name for it would issue a certificate anew, and run prepare and join again."""
        graph = one()
        stdins = [str(opened(each.inputs["stdin"])) for each in _commands(graph)]
        assert [text for text in stdins if '"context"' in text] == []
        assert [each.key for each in graph.resources.values() if "context" in each.inputs] == []

    def test_a_changed_label_changes_that_nodes_membership_alone(self) -> None:
        new = declare(configuration(1, 2, **of_node("n1", options={"labels": {"a": "b"}})))
        assert _changed(two(), new) == {"n1-membership": ["environment"]}
        assert new["n1-membership"].inputs["environment"]["KUBE_NODES_LABELS"] == "a=b"

    def test_a_changed_taint_changes_that_nodes_membership_alone(self) -> None:
        new = declare(configuration(1, 2, **of_node("n1", options={"taints": ["a=b:NoExecute"]})))
        assert _changed(two(), new) == {"n1-membership": ["environment"]}

    def test_a_changed_max_pods_changes_one_line_of_that_nodes_units(self) -> None:
        new = declare(configuration(1, 2, **of_node("n1", options={"maxPods": 50})))
        assert _changed(two(), new) == {"n1-units": ["stdin"]}
        lines = [set(graph["n1-units"].inputs["stdin"].split("\n")) for graph in (two(), new)]
        assert (lines[0] - lines[1], lines[1] - lines[0]) == ({"maxPods: 110"}, {"maxPods: 50"})

    def test_a_raised_reapply_runs_the_steps_of_that_node_again(self) -> None:
        """And each run prints an id, which makes membership and the service check run too."""
        new = declare(configuration(1, 2, **of_node("n1", reapply=1)))
        steps = ("prepare", "credentials", "units")
        again = {f"n1-{step}": ["stdin"] for step in steps}
        assert _changed(two(), new) == again | {"n1-scripts": ["triggers"]}

    def test_another_generation_changes_that_node_alone(self) -> None:
        changed = _changed(two(), declare(configuration(1, 2, **of_node("n1", generation=2))))
        parts = {key.removeprefix("WorkerNode ").partition("-")[0] for key in changed}
        assert parts == {"n1", "workers"}
        # The wave behind it begins when it has joined anew.
        assert changed["workers-wave-2"] == ["stdin"]

    def test_another_address_changes_that_node_alone(self) -> None:
        changed = _changed(
            two(), declare(configuration(1, 2, **of_node("n1", address="192.0.2.9")))
        )
        assert {key.removeprefix("WorkerNode ").partition("-")[0] for key in changed} == {"n1"}

    def test_adopting_a_node_changes_what_looks_at_it_and_what_takes_it_over(self) -> None:
        adopting = declare(configuration(1, 2, **of_node("n1", options={"adopt": True})))
        changed = _changed(two(), adopting)
        assert set(changed) == {f"n1-{step}" for step in ("preflight", "prepare", "units")}
        request = json.loads(opened(adopting["n1-prepare"].inputs["stdin"]))
        assert request["adopt"] is True
        assert "adopt" not in opened(two()["n1-prepare"].inputs["stdin"])

    def test_another_node_leaves_the_others_as_they_are(self) -> None:
        new = declare(configuration(1, 2, 3))
        gate = {"workers-wave-3"}
        assert set(_changed(two(), new)) == gate | {each.key for each in new.of_node("n3")}

    def test_a_node_that_is_gone_leaves_the_others_as_they_are(self) -> None:
        gate = {"workers-wave-2"}
        assert set(_changed(two(), one())) == gate | {each.key for each in two().of_node("n2")}

    def test_another_version_of_kube_proxy_alone_drains_nothing(self) -> None:
        values = configuration(1, 2, **of_node("n1", options={"kubeProxyVersion": "1.36.3"}))
        values["binaries"]["1.36.3"] = {
            "kubelet": {"url": "https://files.example/1.36/kubelet", "sha256": "c" * 64},
            "kubeProxy": {"url": "https://files.example/1.36/kube-proxy", "sha256": "d" * 64},
        }
        new = declare(values)
        assert _changed(two(), new) == {"n1-units": ["stdin"]}
        text = new["n1-units"].inputs["stdin"]
        assert "https://files.example/1.36/kube-proxy" in text
        assert "https://files.example/1.36/kubelet" not in text

    def test_another_version_changes_units_prepare_and_membership_of_that_node(self) -> None:
        options = {"kubernetesVersion": "1.36.3"}
        values = configuration(1, 2, **of_node("n1", options=options))
        values["binaries"]["1.36.3"] = {
            "kubelet": {"url": "https://files.example/1.36/kubelet", "sha256": "c" * 64},
            "kubeProxy": {"url": "https://files.example/1.36/kube-proxy", "sha256": "d" * 64},
        }
        assert _changed(two(), declare(values)) == {
            "n1-prepare": ["stdin"],
            "n1-units": ["stdin"],
            "n1-membership": ["environment", "stdin"],
            "workers-wave-2": ["stdin"],
        }


def test_what_preflight_finds_reaches_prepare_and_the_tokens_end_the_host() -> None:
    request = json.loads(opened(one()["n1-prepare"].inputs)["stdin"])
    assert request["machine"] == {"machine_id": MACHINE_ID, "product_uuid": ""}
    assert f"\nadmitted {TOKEN_END}\n" in opened(one()["n1-credentials"].inputs)["stdin"]
    assert "\nadmitted " not in opened(proxy_only()["n2-credentials"].inputs)["stdin"]


def test_a_nodes_resources_come_without_the_stack_of_their_declaration() -> None:
    graph = one()
    assert {each.frames for each in graph.of_node("n1")} == {0}
    # Else the SDK sends them no more, and this project need not keep them back.
    assert graph["kube-proxy-key-1"].frames > 0
    assert not hasattr(sys, "tracebacklimit")


def test_an_error_is_shown_whole_where_no_stack_is_recorded() -> None:
    with pytest.raises(ZeroDivisionError) as failed, without_stack_traces():
        _divide(3)
    shown = [frame.name for frame in traceback.extract_tb(failed.value.__traceback__)]
    assert shown[1:] == ["_divide"] * 4


def _divide(depth: int) -> float:
    return _divide(depth - 1) if depth else 1 / depth


def test_a_nodes_state_stays_small(capsys: pytest.CaptureFixture[str]) -> None:
    """The state holds what a resource is given twice, as inputs and as outputs."""
    sizes = {each.key: 2 * len(json.dumps(opened(each.inputs))) for each in one().of_node("n1")}
    with capsys.disabled():
        print(f"\na node's inputs, twice: {sum(sizes.values())} bytes in {len(sizes)} resources")
    assert sum(sizes.values()) < 40_000
