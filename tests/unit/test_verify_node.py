"""A worker's Node and its test pod are judged: each fault is found once, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kube_nodes.model.findings import Finding, Level
from kube_nodes.model.network_checks import judge_pods
from kube_nodes.model.verification import verify_node
from tests.unit.healthy_node import MACHINE, expected, node_object

Node = dict[str, Any]


def _not_well(node: Node | None, machine: str = MACHINE) -> list[Finding]:
    found = verify_node(expected(), node, machine)
    return [each for each in found if each.level is not Level.OK]


def test_a_member_is_well_in_every_line() -> None:
    found = list(verify_node(expected(), node_object(), MACHINE))
    assert {each.level for each in found} == {Level.OK}
    assert len({each.what for each in found}) == len(found) == 8


def _set(path: str, value: Any) -> Callable[[Node], None]:
    def change(node: Node) -> None:
        *above, last = path.split(".")
        for step in above:
            node = node[int(step)] if isinstance(node, list) else node[step]
        node[int(last) if isinstance(node, list) else last] = value

    return change


def _cordoned_by_us(node: Node) -> None:
    node["spec"]["unschedulable"] = True
    node["metadata"]["annotations"]["kube-nodes/cordoned"] = "true"


def _taint(key: str, effect: str) -> Callable[[Node], None]:
    return lambda node: node["spec"]["taints"].append({"key": key, "effect": effect})


_NOT_READY = {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "cni"}
_NO_ROUTE = {"type": "NetworkUnavailable", "status": "True", "message": "no route"}
_FAULTS = [
    (_set("status.conditions.0", _NOT_READY), "Node Ready", "False KubeletNotReady cni"),
    (_set("status.conditions", []), "Node Ready", "not reported"),
    (_set("status.nodeInfo.kubeletVersion", "v1.36.3"), "Node version", "v1.36.3; declared is"),
    (_set("metadata.annotations", {}), "Node identity", "generation none"),
    (_set("status.addresses.0.address", "192.0.2.99"), "Node identity", "addresses 192.0.2.99"),
    (_set("status.nodeInfo.machineID", "f" * 32), "Node identity", f"machine id {'f' * 32}"),
    (_set("metadata.labels", {"tier": "tin"}), "Node labels", "tier=tin; declared is tier=gold"),
    (_set("metadata.labels", None), "Node labels", "no tier"),
    (_set("spec.taints", []), "Node taints", "no dedicated=db:PreferNoSchedule"),
    (_set("spec.unschedulable", True), "Node schedulable", "kubectl uncordon"),
    (_cordoned_by_us, "Node schedulable", "an earlier run left it cordoned; pods must be let in; "),
    (_taint("kube-nodes/joining", "NoSchedule"), "Node schedulable", "kube-nodes/joining"),
    (_taint("node.kubernetes.io/disk-pressure", "NoSchedule"), "Node schedulable", "disk-pressure"),
    (_set("spec.podCIDRs", ["10.244.1.0/24"]), "Node pod network", "podCIDR 10.244.1.0/24"),
    (_set("spec.podCIDRs", ["fd00::/64"]), "Node pod network", "podCIDR fd00::/64"),
    (_set("status.capacity.pods", "50"), "Node pods", "room for 50; declared is 110"),
    (_set("status.conditions.1", _NO_ROUTE), "Node pod network", "NetworkUnavailable: no route"),
]


@pytest.mark.parametrize(("change", "what", "words"), _FAULTS, ids=[f[2][:40] for f in _FAULTS])
def test_a_fault_of_a_node_is_found_and_nothing_else(
    change: Callable[[Node], None], what: str, words: str
) -> None:
    node = node_object()
    change(node)
    (finding,) = _not_well(node)
    assert (finding.node, finding.what, finding.level) == ("n1", what, Level.FAILED)
    assert words in str(finding)
    assert finding.remedy


def test_a_missing_node_is_one_fault() -> None:
    (finding,) = _not_well(None)
    assert str(finding).startswith("n1: Node: there is none; ")


def test_a_node_without_a_pod_cidr_is_a_note() -> None:
    node = node_object()
    del node["spec"]["podCIDR"], node["spec"]["podCIDRs"]
    (finding,) = _not_well(node)
    assert (finding.what, finding.level) == ("Node pod network", Level.NOTE)


def test_fewer_addresses_than_pods_are_a_note() -> None:
    """The manual's own warning: a /24 holds 254."""
    node = node_object()
    node["spec"]["podCIDRs"] = ["10.200.3.0/26"]
    (finding,) = _not_well(node)
    assert (finding.what, finding.level) == ("Node pods", Level.NOTE)
    assert "10.200.3.0/26 holds 62" in str(finding)


_READY_TAINTS = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]


@pytest.mark.parametrize("effect", ["NoExecute", "NoSchedule"])
@pytest.mark.parametrize("key", _READY_TAINTS)
def test_what_the_cluster_is_about_to_take_from_a_ready_node_is_a_note(
    key: str, effect: str
) -> None:
    """A Node was Ready for a second, and had the taint for another four."""
    node = node_object()
    _taint(key, effect)(node)
    (finding,) = _not_well(node)
    assert (finding.what, finding.level) == ("Node schedulable", Level.NOTE)
    assert f"{key}:{effect}; it is Ready: " in str(finding)


@pytest.mark.parametrize("key", _READY_TAINTS)
def test_the_same_taint_of_a_node_that_is_not_ready_is_a_fault(key: str) -> None:
    node = node_object()
    _taint(key, "NoExecute")(node)
    _set("status.conditions.0", _NOT_READY)(node)
    assert {(each.what, each.level) for each in _not_well(node)} == {
        ("Node Ready", Level.FAILED),
        ("Node schedulable", Level.FAILED),
    }


def test_a_pressure_beside_such_a_taint_stays_a_fault() -> None:
    node = node_object()
    _taint("node.kubernetes.io/not-ready", "NoExecute")(node)
    _taint("node.kubernetes.io/disk-pressure", "NoSchedule")(node)
    (finding,) = _not_well(node)
    assert (finding.what, finding.level) == ("Node schedulable", Level.FAILED)


def test_a_host_that_tells_no_machine_id_is_not_another_machine() -> None:
    assert _not_well(node_object(), machine="") == []


def _pod(phase: str, ready: str, reason: str = "") -> Node:
    waiting = [{"state": {"waiting": {"reason": reason}}}] if reason else []
    return {
        "status": {
            "phase": phase,
            "podIP": "10.200.3.7",
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": waiting,
        }
    }


@pytest.mark.parametrize(
    ("pods", "level", "words"),
    [
        ([_pod("Running", "True")], Level.OK, "10.200.3.7"),
        ([_pod("Failed", "False"), _pod("Running", "True")], Level.OK, "10.200.3.7"),
        ([_pod("Running", "False")], Level.FAILED, "Running; "),
        ([_pod("Pending", "False", "ErrImagePull")], Level.FAILED, "Pending ErrImagePull; "),
        ([], Level.FAILED, "there is none; "),
    ],
)
def test_the_test_pod_of_a_node_runs_and_is_ready(
    pods: list[Node], level: Level, words: str
) -> None:
    (finding,) = judge_pods(pods)
    assert finding.level is level
    assert words in str(finding)
