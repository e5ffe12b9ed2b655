"""leave: cordon and drain against a real API server."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from kube_nodes.model.requests import Drain
from tests.api.conftest import Machine, Result, in_background
from tests.api.pods import allow_disruptions, end_pod, make_budget, make_pod, node_pods
from tests.documented import assert_documented

Run = Callable[..., Result]
SHORT = Drain(timeout_seconds=1)


def test_pods_are_evicted_but_for_daemonsets_and_mirrors(member: Machine, run: Run) -> None:
    make_pod(member, "web")
    make_pod(member, "daemon", controller="DaemonSet")
    make_pod(member, "mirror", annotations={"kubernetes.io/config.mirror": "x"})
    result = run("leave", member.join())
    assert (result.status, result.out) == (0, f"Node {member.node.name} drained\n")
    assert node_pods(member) == ["daemon", "mirror"]
    assert member.plane.get(member.path)["spec"]["unschedulable"] is True


def test_a_node_that_has_gone_is_done(machine: Machine, run: Run) -> None:
    assert run("leave", machine.join()).status == 0


def test_a_node_that_did_not_join_through_us_is_left_alone(machine: Machine, run: Run) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": machine.node.name}}
    machine.plane.call("POST", "/api/v1/nodes", node)
    make_pod(machine, "web")
    result = run("leave", machine.join())
    assert (result.status, node_pods(machine)) == (0, ["web"])
    assert "left alone" in result.err


def test_a_pod_that_takes_its_time_is_waited_for(member: Machine, run: Run) -> None:
    make_pod(member, "slow", grace_seconds=600)

    def end_later() -> None:
        time.sleep(1)
        end_pod(member, "slow")

    thread = in_background(end_later)
    result = run("leave", member.join())
    thread.join()
    assert result.status == 0, result.err
    assert "pods to leave: default/slow" in result.err


def test_a_pod_that_does_not_leave_in_time_is_named(member: Machine, run: Run) -> None:
    make_pod(member, "stuck", grace_seconds=600)
    result = run("leave", member.join(drain=SHORT))
    assert result.status == 1
    assert f"still there: default/stuck-{member.node.name}" in result.err.splitlines()[-1]


def test_a_budget_that_forbids_is_named_and_nothing_is_deleted(member: Machine, run: Run) -> None:
    make_pod(member, "web")
    make_budget(member, "web", allowed=0)
    result = run("leave", member.join(drain=SHORT))
    assert result.status == 1
    assert f"The disruption budget web-{member.node.name} needs 1 healthy pods" in result.err
    assert node_pods(member) == ["web"]
    assert_documented(result.err, "Drain blocked by a budget", 2)
    assert member.plane.get(member.path)["spec"]["unschedulable"] is True


@pytest.mark.parametrize("controller", ["ReplicaSet", None])
def test_pods_of_a_node_that_is_not_ready_are_not_waited_for(
    member: Machine, run: Run, controller: str | None
) -> None:
    """No kubelet would end them: they go with the Node."""
    make_pod(member, "stuck", grace_seconds=600, controller=controller)
    member.kubelet.report(ready=False)
    result = run("leave", member.join())
    assert result.status == 0, result.err
    assert "is not Ready: cordoned, its pods are not waited for" in result.err
    assert member.plane.get(member.path)["spec"]["unschedulable"] is True
    assert run("forget", member.prepare()).status == 0
    assert node_pods(member) == []


def test_a_budget_that_allows_it_later_is_waited_for(member: Machine, run: Run) -> None:
    make_pod(member, "web")
    make_budget(member, "web", allowed=0)

    def allow_later() -> None:
        time.sleep(1)
        allow_disruptions(member, "web", 1)

    thread = in_background(allow_later)
    result = run("leave", member.join())
    thread.join()
    assert (result.status, node_pods(member)) == (0, [])


def test_a_pod_without_a_controller_is_refused_unless_forced(member: Machine, run: Run) -> None:
    make_pod(member, "bare", controller=None)
    result = run("leave", member.join())
    assert result.status == 1
    assert f"default/bare-{member.node.name} has no controller" in result.err
    assert node_pods(member) == ["bare"]
    assert "unschedulable" not in member.plane.get(member.path)["spec"]
    assert run("leave", member.join(drain=Drain(timeout_seconds=1, force=True))).status == 0
    assert node_pods(member) == []


def test_force_deletes_what_is_left_at_the_end_of_the_time(member: Machine, run: Run) -> None:
    make_pod(member, "stuck", grace_seconds=600)
    result = run("leave", member.join(drain=Drain(timeout_seconds=1, force=True)))
    assert (result.status, node_pods(member)) == (0, [])


def test_an_operators_cordon_is_not_taken_for_ours(member: Machine, run: Run) -> None:
    member.plane.merge(member.path, {"spec": {"unschedulable": True}})
    assert run("leave", member.join()).status == 0
    assert "kube-nodes/cordoned" not in member.annotations()
