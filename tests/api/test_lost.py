"""A lost host, against a real API server: Node, pods and token go, and nothing is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from tests.api.conftest import Machine, Result, in_background
from tests.api.pods import make_pod, node_pods

Run = Callable[..., Result]


def lose(machine: Machine, run: Run) -> Result:
    """Do what `lost: true` does: prepare, then membership."""
    prepared = run("prepare", machine.prepare(lost=True))
    assert (prepared.status, prepared.out.splitlines()[-1]) == (0, "lost"), prepared.err
    return run("join", machine.join(lost=True))


def is_there(machine: Machine) -> bool:
    return machine.plane.call("GET", machine.path).status == 200


def test_node_and_pods_go_at_once(member: Machine, run: Run) -> None:
    make_pod(member, "web", grace_seconds=600)
    make_pod(member, "bare", controller=None)
    member.kubelet.report(ready=False)
    began = time.monotonic()
    result = lose(member, run)
    assert result.status == 0, result.err
    assert result.out.splitlines()[-1] == f"lost: Node {member.node.name} deleted"
    assert time.monotonic() - began < 5
    assert not is_there(member)
    assert node_pods(member) == []


def test_a_node_that_still_reports_is_refused(member: Machine, run: Run) -> None:
    """Its pods run: what counts as ended here would be started a second time."""
    make_pod(member, "web")
    result = lose(member, run)
    assert result.status == 1
    assert f"{member.node.id}: the Node {member.node.name} is Ready" in result.err
    assert f"kubectl delete node {member.node.name}" in result.err
    assert node_pods(member) == ["web"]
    assert "unschedulable" not in member.plane.get(member.path)["spec"]


def test_the_token_of_a_cut_join_is_shut_also_where_the_node_is_refused(
    machine: Machine, run: Run
) -> None:
    assert run("prepare", machine.prepare()).status == 0
    assert "token-secret" in machine.data()
    machine.kubelet.patience_seconds = 5
    kubelet = in_background(lambda: machine.kubelet.bootstrap(machine.bearer))
    # Membership approves and is cut: the Node has registered, and is no member.
    run("join", machine.join(timeout_seconds=2))
    kubelet.join()
    machine.kubelet.register()
    assert run("prepare", machine.prepare()).status == 0
    assert lose(machine, run).status == 1
    assert sorted(machine.data()) == ["token-id", "usage-bootstrap-authentication"]
    machine.kubelet.report(ready=False)
    assert lose(machine, run).status == 0
    assert not is_there(machine)


def test_a_host_that_never_joined_has_nothing_to_take_away(machine: Machine, run: Run) -> None:
    result = lose(machine, run)
    assert result.status == 0, result.err
    assert result.out.splitlines()[-1] == f"lost: Node {machine.node.name} has gone"
    assert sorted(machine.data()) == ["token-id", "usage-bootstrap-authentication"]


def test_the_node_of_somebody_else_is_left_alone(machine: Machine, run: Run) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": machine.node.name}}
    machine.plane.call("POST", "/api/v1/nodes", node)
    make_pod(machine, "web")
    result = lose(machine, run)
    assert (result.status, node_pods(machine), is_there(machine)) == (0, ["web"], True)
    assert "left alone" in result.err


def test_its_removal_waits_for_nothing_also_where_the_host_came_back(
    member: Machine, run: Run
) -> None:
    member.kubelet.report(ready=False)
    assert lose(member, run).status == 0
    # Its kubelet starts again, and its certificate is good: the Node is there, with the taint.
    again = replace(member.kubelet, _registered=False)
    again.register()
    make_pod(member, "stuck", grace_seconds=600)
    assert run("leave", member.join(lost=True)).out == "lost\n"
    assert node_pods(member) == ["stuck"]
    assert run("forget", member.prepare(lost=True)).status == 0
    assert not is_there(member)
    assert node_pods(member) == []


def test_another_machine_takes_its_place_by_a_raised_generation(member: Machine, run: Run) -> None:
    member.kubelet.report(ready=False)
    assert lose(member, run).status == 0
    raised = replace(member.node, generation=2)
    new = replace(member.kubelet, identity=None, _registered=False, machine_id="f" * 32)
    assert run("prepare", member.prepare(node=raised)).status == 0
    kubelet = in_background(lambda: new.join(member.bearer))
    result = run("join", member.join(node=raised))
    kubelet.join()
    assert result.status == 0, result.err
    assert member.annotations()["kube-nodes/generation"] == "2"
