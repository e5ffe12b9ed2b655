"""prepare, join and forget of a node that joined by other means, against a real API server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kube_nodes.membership import adoption
from kube_nodes.membership.api import Api
from kube_nodes.membership.approval import approve, outcome
from kube_nodes.membership.connection import connect
from kube_nodes.model.machine import Machine as MachineNumbers
from kube_nodes.model.requests import JoinRequest, Runs, parse_adopting
from tests.api.conftest import STATIC_TOKEN, Machine, Result, in_background
from tests.api.kubelet import REQUESTS
from tests.api.pods import make_pod, node_pods

Run = Callable[..., Result]


@pytest.fixture
def foreign(machine: Machine) -> Machine:
    """A node that an administrator let in: a kubelet with its certificate, a Node, a pod."""
    manifest = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": machine.node.name}}
    assert machine.plane.call("POST", "/api/v1/nodes", manifest).status == 201
    machine.kubelet.bootstrap(STATIC_TOKEN, meanwhile=lambda: _approve_all(machine))
    machine.kubelet.register()
    make_pod(machine, "web")
    return machine


def _approve_all(machine: Machine) -> None:
    """Do what `kubectl certificate approve` does."""
    for manifest in machine.plane.get(REQUESTS)["items"]:
        if outcome(manifest) == "pending":
            assert approve(Api(connect()), manifest, "by hand")


def _uid(machine: Machine) -> str:
    return str(machine.plane.get(machine.path)["metadata"]["uid"])


def _join(machine: Machine, prepared: str, **fields: Any) -> JoinRequest:
    """What membership is given after units, which restarted the kubelet a moment ago."""
    units = f"restarted kubelet {time.time() - 2:.3f}\nadopted kubelet\nrenewed kubelet\n"
    return machine.join(runs=Runs(prepare=prepared, units=units), **fields)


def test_nothing_is_opened_and_nothing_written_before_the_host_is_ours(
    foreign: Machine, run: Run
) -> None:
    before = foreign.plane.get(foreign.path)["metadata"]["resourceVersion"]
    result = run("prepare", foreign.prepare(adopt=True))
    assert (result.status, result.err) == (0, "")
    assert parse_adopting(result.out) == _uid(foreign)
    assert foreign.plane.get(foreign.path)["metadata"]["resourceVersion"] == before
    assert "token-secret" not in foreign.data()


def test_without_the_choice_such_a_node_is_refused(foreign: Machine, run: Run) -> None:
    result = run("prepare", foreign.prepare())
    assert result.status == 1
    assert "set adopt" in result.err


def test_the_node_becomes_a_member_with_its_uid_and_its_pods(foreign: Machine, run: Run) -> None:
    uid = _uid(foreign)
    foreign.plane.merge(foreign.path, {"metadata": {"labels": {"theirs": "stays"}}})
    taint = {"key": "own", "value": "x", "effect": "PreferNoSchedule"}
    foreign.plane.merge(foreign.path, {"spec": {"taints": [taint]}})
    prepared = run("prepare", foreign.prepare(adopt=True)).out
    foreign.kubelet.restart()
    foreign.kubelet.register()
    serving = in_background(foreign.kubelet.request_serving)
    result = run("join", _join(foreign, prepared), labels="pool=web", taints="a=b:PreferNoSchedule")
    serving.join()
    assert (result.status, result.out.splitlines()[1:]) == (0, ["joined v1.37.2"]), result.err
    node = foreign.plane.get(foreign.path)
    assert (node["metadata"]["uid"], foreign.annotations()["kube-nodes/generation"]) == (uid, "1")
    assert node["metadata"]["labels"]["theirs"] == "stays"
    assert node["metadata"]["labels"]["pool"] == "web"
    assert {taint["key"] for taint in node["spec"]["taints"]} == {"own", "a"}
    assert node_pods(foreign) == ["web"]
    assert "token-secret" not in foreign.data()
    assert run("prepare", foreign.prepare(adopt=True)).out.splitlines()[1] == "member"
    # The same join once more finds a member.
    assert run("join", _join(foreign, prepared)).status == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "v1.36.3"}, "declare kubernetesVersion 1.36.3 to adopt it"),
        ({"address": "10.9.9.9"}, "reports none of the declared addresses"),
        ({"machine_id": "f" * 32}, "is reported by another machine"),
    ],
)
def test_what_would_end_pods_or_is_another_machine_is_refused(
    foreign: Machine, run: Run, change: dict[str, str], said: str
) -> None:
    machine = MachineNumbers(machine_id="d" * 32)
    for name, value in ({"machine_id": machine.machine_id} | change).items():
        setattr(foreign.kubelet, name, value)
    foreign.kubelet.report()
    result = run("prepare", foreign.prepare(adopt=True, machine=machine))
    assert result.status == 1
    assert "it cannot be adopted: " in result.err
    assert said in result.err
    assert "kube-nodes/generation" not in foreign.annotations()
    # So that no other test has a twin of it.
    foreign.kubelet.machine_id = ""
    foreign.kubelet.report()


def test_a_node_that_is_not_ready_is_refused(foreign: Machine, run: Run) -> None:
    foreign.kubelet.report(ready=False)
    result = run("prepare", foreign.prepare(adopt=True))
    assert (result.status, "is not Ready" in result.err) == (1, True)


def test_a_join_that_fails_leaves_a_node_that_the_removal_knows(foreign: Machine, run: Run) -> None:
    """The units are ours by then: a Node of theirs would stay for ever."""
    prepared = run("prepare", foreign.prepare(adopt=True)).out
    foreign.kubelet.report(ready=False)
    result = run("join", _join(foreign, prepared, timeout_seconds=1))
    assert (result.status, "waiting for the Node to be Ready" in result.err) == (1, True)
    assert "token-secret" not in foreign.data()
    assert run("forget", foreign.prepare(adopt=True)).status == 0
    assert not foreign.plane.exists(foreign.path)


def test_a_node_that_was_made_anew_meanwhile_is_not_taken_for_the_one_that_was_looked_at(
    foreign: Machine, run: Run
) -> None:
    prepared = run("prepare", foreign.prepare(adopt=True)).out
    other = prepared.replace(_uid(foreign), "00000000-0000-0000-0000-000000000000")
    result = run("join", _join(foreign, other))
    assert (result.status, "is another one now" in result.err) == (1, True)
    assert "kube-nodes/generation" not in foreign.annotations()


def test_without_a_join_the_removal_deletes_the_node_of_a_kubelet_that_has_stopped(
    foreign: Machine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "_SILENCE_SECONDS", 1.0)
    foreign.kubelet.renew_lease()
    result = run("forget", foreign.prepare(adopt=True))
    assert result.status == 0, result.err
    assert not foreign.plane.exists(foreign.path)


def test_a_failed_adoption_is_forgotten_without_the_node_of_a_kubelet_that_runs(
    foreign: Machine, run: Run
) -> None:
    """The host put theirs back: it serves as before, and nothing of it is ours."""
    foreign.kubelet.renew_lease()

    def report() -> None:
        time.sleep(1)
        foreign.kubelet.renew_lease()

    beat = in_background(report)
    result = run("forget", foreign.prepare(adopt=True))
    beat.join()
    assert (result.status, "left alone" in result.err) == (0, True)
    assert foreign.plane.exists(foreign.path)
    assert node_pods(foreign) == ["web"]


def test_without_the_choice_the_removal_waits_for_no_sign(foreign: Machine, run: Run) -> None:
    begun = time.monotonic()
    assert "left alone" in run("forget", foreign.prepare()).err
    assert time.monotonic() - begun < 2


def test_a_node_of_another_generation_of_ours_is_no_adoption(member: Machine, run: Run) -> None:
    newer = replace(member.node, generation=2)
    result = run("prepare", member.prepare(node=newer, adopt=True))
    assert (result.status, parse_adopting(result.out)) == (0, ""), result.err
    assert "token-secret" in member.data()
