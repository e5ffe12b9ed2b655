"""A changed address under the same id, against a real API server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kube_nodes.model.machine import Machine as MachineNumbers
from kube_nodes.model.requests import Runs
from tests.api.conftest import Machine, Result, in_background
from tests.api.kubelet import REQUESTS
from tests.api.pods import make_pod, node_pods

Run = Callable[..., Result]
OTHER = "10.9.9.9"


def test_the_same_machine_at_another_address_stays_a_member_and_gets_its_certificate(
    member: Machine, run: Run
) -> None:
    make_pod(member, "web")
    moved = replace(member.node, addresses=(OTHER,))
    numbers = MachineNumbers(machine_id=member.kubelet.machine_id)
    prepared = run("prepare", member.prepare(node=moved, machine=numbers))
    assert (prepared.status, prepared.out.splitlines()[-1]) == (0, "member"), prepared.err
    # Its kubelet was restarted with the new node IP.
    kubelet = replace(member.kubelet, address=OTHER)
    asked: list[str] = []

    def restart() -> None:
        kubelet.report()
        asked.append(kubelet.request_serving())

    restarting = in_background(restart)
    restarting.join()
    runs = Runs(units=f"run 1\nmachine {member.kubelet.machine_id}\n")
    result = run("join", member.join(node=moved, runs=runs))
    assert result.status == 0, result.err
    status = member.plane.get(f"{REQUESTS}/{asked[0]}")["status"]
    assert [each["type"] for each in status["conditions"]] == ["Approved"]
    node = member.plane.get(member.path)
    assert node["status"]["addresses"][0]["address"] == OTHER
    assert "unschedulable" not in node["spec"]
    assert node_pods(member) == ["web"]


def test_another_machine_there_is_refused_before_it_is_changed(member: Machine, run: Run) -> None:
    moved = replace(member.node, addresses=(OTHER,))
    result = run("prepare", member.prepare(node=moved, machine=MachineNumbers(machine_id="d" * 32)))
    assert result.status == 1
    assert f"{member.node.id} is now another machine" in result.err
    assert result.err.endswith("or raise its generation. Nothing was changed\n")
    assert "token-secret" not in member.data()
