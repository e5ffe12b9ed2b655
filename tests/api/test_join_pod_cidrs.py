"""A Node's podCIDRs at its join, against a real API server."""

from __future__ import annotations

from collections.abc import Callable

from kube_nodes.model.pod_network import PodNetwork
from tests.api.conftest import Machine, Result, in_background

Run = Callable[..., Result]


def arrive(machine: Machine, pod_cidr: str) -> None:
    """Register, get a podCIDR as from kube-controller-manager, and become Ready."""
    kubelet = machine.kubelet
    kubelet.bootstrap(machine.bearer)
    kubelet.register(ready=False)
    machine.plane.merge(machine.path, {"spec": {"podCIDR": pod_cidr, "podCIDRs": [pod_cidr]}})
    machine.plane.merge(f"{machine.path}/status", {"status": {"capacity": {"pods": "512"}}})
    kubelet.report()
    kubelet.request_serving()


def joined(machine: Machine, run: Run, network: PodNetwork) -> Result:
    """Join with 512 pods and a podCIDR of 10.9.7.0/24."""
    assert run("prepare", machine.prepare()).status == 0
    kubelet = in_background(lambda: arrive(machine, "10.9.7.0/24"))
    result = run("join", machine.join(pod_network=network))
    kubelet.join()
    return result


def test_a_node_outside_the_declared_network_does_not_become_a_member(
    machine: Machine, run: Run
) -> None:
    result = joined(machine, run, PodNetwork(cidrs=("10.200.0.0/16",)))
    assert result.status == 1
    assert result.err.startswith(
        f"{machine.node.id}: podCIDR 10.9.7.0/24 is not in the declared podCidrs 10.200.0.0/16; "
    ), result.err
    assert "kube-nodes/generation" not in machine.annotations()
    taints = machine.plane.get(machine.path)["spec"]["taints"]
    assert "kube-nodes/joining" in {taint["key"] for taint in taints}


def test_it_becomes_one_with_a_warning_where_the_network_hands_out_its_own_ranges(
    machine: Machine, run: Run
) -> None:
    network = PodNetwork(cidrs=("10.200.0.0/16",), allocated=False)
    result = joined(machine, run, network)
    assert result.status == 0, result.err
    assert f"{machine.node.id}: podCIDR 10.9.7.0/24 is not in the declared podCidrs" in result.err
    assert "maxPods 512 is more than its podCIDR 10.9.7.0/24 holds (254 addresses)" in result.err
    assert machine.annotations()["kube-nodes/generation"] == "1"
