"""What stands between two waves, against a real API server, with kubelets that are played."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from kube_nodes.model.gate_request import GateRequest, WaveNode
from kube_nodes.model.requests import Cluster
from tests.api.conftest import Machine, Result, in_background, make_machine
from tests.plugins.control_plane import ControlPlane

Run = Callable[..., Result]


def join(machine: Machine, run: Run) -> None:
    """Bring it into the cluster."""
    assert run("prepare", machine.prepare()).status == 0
    kubelet = in_background(lambda: machine.kubelet.join(machine.bearer))
    assert run("join", machine.join()).status == 0
    kubelet.join()


def request(*machines: Machine, version: str = "v1.37.2", generation: int = 1) -> GateRequest:
    """Ask for these nodes."""
    before = [
        WaveNode(name=each.node.name, generation=generation, version=version) for each in machines
    ]
    return GateRequest(
        cluster=machines[0].cluster,
        name="workers-wave-2",
        before=tuple(before),
        digest="0" * 64,
        timeout_seconds=2,
    )


def set_ready(machine: Machine, status: str) -> None:
    """Report as a kubelet, or as the node controller does for it."""
    condition = {
        "type": "Ready",
        "status": status,
        "reason": "NodeStatusUnknown",
        "message": "Kubelet stopped posting node status.",
    }
    found = machine.plane.get(machine.path)["status"]["conditions"]
    others = [each for each in found if each["type"] != "Ready"]
    body = {"status": {"conditions": [*others, condition]}}
    machine.plane.merge(f"{machine.path}/status", body)


def test_it_opens_at_once_when_the_wave_before_is_up(machine: Machine, run: Run) -> None:
    join(machine, run)
    begin = time.monotonic()
    result = run("gate", request(machine))
    assert (result.status, result.out) == (0, "1 nodes are up\n"), result.err
    assert time.monotonic() - begin < 1.5


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("not ready", "Ready is Unknown: NodeStatusUnknown Kubelet stopped posting node status."),
        ("version", "the kubelet reports v1.37.2, declared is v1.38.0"),
        ("generation", "it has not joined as generation 2"),
        ("cordon", "it was drained for an update, and is still cordoned"),
    ],
)
def test_it_stays_shut_while_a_node_of_the_wave_before_is_not_up(
    machine: Machine, run: Run, fault: str, told: str
) -> None:
    join(machine, run)
    asked = request(machine)
    if fault == "not ready":
        set_ready(machine, "Unknown")
    elif fault == "cordon":
        annotations = {"metadata": {"annotations": {"kube-nodes/cordoned": "true"}}}
        machine.plane.merge(machine.path, {**annotations, "spec": {"unschedulable": True}})
    elif fault == "version":
        asked = request(machine, version="v1.38.0")
    else:
        asked = request(machine, generation=2)
    result = run("gate", asked)
    assert result.status == 1
    assert f"workers-wave-2: the wave before is not up after 2 s: {machine.node.name}: {told}" in (
        result.err
    )
    assert "Nothing of this wave was changed; " in result.err


def test_it_waits_for_a_node_that_comes_back_in_time(machine: Machine, run: Run) -> None:
    join(machine, run)
    set_ready(machine, "False")

    def come_back() -> None:
        time.sleep(0.5)
        set_ready(machine, "True")

    back = in_background(come_back)
    result = run("gate", request(machine))
    back.join()
    assert result.status == 0, result.err


def test_a_node_that_never_joined_or_is_not_ours_holds_nobody_up(
    plane: ControlPlane, cluster: Cluster, run: Run
) -> None:
    missing, strange = make_machine(plane, cluster), make_machine(plane, cluster)
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": strange.node.name}}
    plane.call("POST", "/api/v1/nodes", body)
    try:
        assert run("gate", request(missing, strange)).status == 0
    finally:
        plane.call("DELETE", strange.path)


def test_an_operators_own_cordon_holds_nobody_up(machine: Machine, run: Run) -> None:
    join(machine, run)
    machine.plane.merge(machine.path, {"spec": {"unschedulable": True}})
    assert run("gate", request(machine)).status == 0
