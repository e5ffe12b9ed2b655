"""A node whose host is lost: nothing of it may want SSH, and its Node goes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kube_nodes.model.recorded import Recorded
from tests.components.recording import Graph, declare, opened
from tests.components.stacks import STEPS, configuration, of_node, two

# Of a node that joined, beside what has no host: its tokens, prepare and membership.
_OVER_SSH = ("scripts", "preflight", "credentials", "units", "service-check")
_LOST = of_node("n1", lost=True)


def lost(*steps: str, **changes: Any) -> Graph:
    """Two nodes, of which n1 is lost; these of its steps are in the state."""
    recorded = Recorded(names=frozenset(f"n1-{step}" for step in steps))
    return declare(configuration(1, 2, **(changes or _LOST)), recorded=recorded)


@pytest.mark.parametrize("step", _OVER_SSH)
def test_a_recorded_step_over_ssh_stays_as_it_is_and_its_removal_needs_no_host(step: str) -> None:
    options = lost(*STEPS)[f"n1-{step}"].options
    assert options["retainOnDelete"] is True
    assert options["ignoreChanges"] == ["*"]


def test_the_credentials_stay_secret_in_the_state() -> None:
    assert lost(*STEPS)["n1-credentials"].secret_outputs >= {"stdout", "stderr"}


def test_what_is_sent_from_the_operators_machine_is_over_ssh_too() -> None:
    options = lost(*STEPS, "binaries")["n1-binaries"].options
    assert (options["retainOnDelete"], options["ignoreChanges"]) == (True, ["*"])


@pytest.mark.parametrize("recorded", [(), ("preflight", "prepare"), ("preflight", "credentials")])
def test_a_step_that_never_ran_is_not_declared_since_its_create_would_want_the_host(
    recorded: tuple[str, ...],
) -> None:
    of_node = {each.key for each in lost(*recorded).of_node("n1")}
    there = {step for step in _OVER_SSH if f"n1-{step}" in of_node}
    assert there == set(recorded) & set(_OVER_SSH)
    assert {"n1-prepare", "n1-membership", "n1-token"} <= of_node


@pytest.mark.parametrize("recorded", [(), STEPS])
def test_prepare_and_membership_know_it_now_and_in_their_deletes(recorded: tuple[str, ...]) -> None:
    graph = lost(*recorded)
    for step, undo in (("prepare", "forget"), ("membership", "leave")):
        resource = graph[f"n1-{step}"]
        inputs = opened(resource.inputs)
        request = json.loads(inputs["stdin"])
        assert request["lost"] is True
        assert request["token"]["id"] in opened(graph["n1-token"].inputs)["metadata"]["name"]
        assert inputs["delete"].endswith(f" {undo}")
        assert "retainOnDelete" not in resource.options
        # Nothing of the host is waited for.
        assert graph.transitively_after(resource.key).isdisjoint(f"n1-{step}" for step in _OVER_SSH)


def test_no_other_node_is_changed() -> None:
    before, after = two().inputs(), lost(*STEPS).inputs()
    # It is in no wave any more, and the other node in one alone.
    del before["workers-wave-2"]
    assert {key for key in before if before[key] != after.get(key)} == {
        "WorkerNode n1",
        *(f"n1-{step}" for step in STEPS),
    }
    assert before.keys() == after.keys()


def test_no_wave_waits_for_it_and_it_waits_for_none() -> None:
    recorded = Recorded(names=frozenset(f"n1-{step}" for step in STEPS))
    graph = declare(configuration(1, 2, 3, **_LOST), recorded=recorded)
    gates = [each for each in graph.resources.values() if "-wave-" in each.key]
    assert len(gates) == 1
    for gate in gates:
        assert "n1" not in json.dumps(opened(gate.inputs))
        assert not any("n1" in key for key in graph.transitively_after(gate.key))
    for step in ("prepare", "membership"):
        assert not any("wave" in key for key in graph.transitively_after(f"n1-{step}"))


def test_a_node_that_was_held_is_held_no_more() -> None:
    """What was held back of it would hold back its end."""
    held = lost(*STEPS, **of_node("n1", lost=True, held=True))
    assert held.inputs() == lost(*STEPS).inputs()
    assert "ignoreChanges" not in held["n1-membership"].options


def test_a_host_without_a_kubelet_has_no_node_to_take_away() -> None:
    changes = of_node("n1", lost=True, options={"role": "proxy-only"})
    of_n1 = {each.key for each in lost("preflight", "units", **changes).of_node("n1")}
    assert of_n1 == {"WorkerNode n1", "n1-preflight", "n1-units"}


def test_its_requests_for_certificates_are_approved_no_more() -> None:
    inventory = json.loads(lost(*STEPS).outputs["inventory"])
    assert [node["id"] for node in inventory["nodes"]] == ["n2"]


def test_the_outputs_say_no_version_of_it() -> None:
    node = lost(*STEPS).outputs["nodes"]["n1"]
    assert (node["address"], node["version"], node["serviceAnswer"]) == ("192.0.2.1", "", "")


def test_without_a_look_at_the_state_it_is_refused() -> None:
    """A component would else delete the steps over SSH, which takes the host."""
    with pytest.raises(Exception, match="n1: it is lost; give what read_recorded returns"):
        declare(configuration(1, 2, **_LOST))


def test_a_lost_host_that_is_found_again_is_declared_as_before() -> None:
    back = declare(configuration(1, 2, **of_node("n1", lost=False)))
    assert back.inputs() == two().inputs()
    assert "retainOnDelete" not in back["n1-units"].options
