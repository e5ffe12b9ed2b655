"""A worker's Node object, against what is declared for it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from kube_nodes.model.check import REAPPLY, failed, note, passed
from kube_nodes.model.expectation import Expectation, ExpectedNode
from kube_nodes.model.findings import Finding, Repair
from kube_nodes.model.labels import JOINING_TAINT
from kube_nodes.model.node_annotations import CORDONED, GENERATION

_JOIN = "run up; if it says that nothing is to be done, raise the node's reapply"

_TAINTS_OF_READY = {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}
"""What follows the condition Ready: kube-controller-manager takes it away some seconds after the
kubelet says True (kubernetes pkg/controller/nodelifecycle/node_lifecycle_controller.go, one look
each 5 s), and again where the condition says so."""


def judge_node(
    expected: Expectation, node: Mapping[str, Any] | None, machine: str
) -> Iterator[Finding]:
    """Judge a worker's Node.

    Args:
        expected: the node as it is declared.
        node: its Node, as the API has it; None: there is none.
        machine: /etc/machine-id of its host; empty: not known.
    """
    wanted = expected.node
    if wanted is None:
        return
    if node is None:
        yield failed("Node", "there is none", "a worker has one", _JOIN, Repair.REAPPLY)
        return
    metadata, spec = node["metadata"], node.get("spec") or {}
    status = node.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    yield _ready(conditions)
    yield _version(status, expected.version)
    yield _identity(metadata, status, wanted, machine)
    yield _labels(metadata.get("labels") or {}, wanted)
    taints = spec.get("taints") or []
    yield _taints(taints, wanted)
    yield _schedulable(metadata, spec, taints, is_ready=_is_ready(conditions))
    own = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    yield _pod_network(own, conditions, wanted)
    yield _max_pods(own, status, wanted)


def _is_ready(conditions: Mapping[str, Mapping[str, Any]]) -> bool:
    return conditions.get("Ready", {}).get("status") == "True"


def _ready(conditions: Mapping[str, Mapping[str, Any]]) -> Finding:
    if _is_ready(conditions):
        return passed("Node Ready", "True")
    ready = conditions.get("Ready", {})
    words = (ready.get("status", "not reported"), ready.get("reason"), ready.get("message"))
    value = " ".join(str(word) for word in words if word)[:300]
    return failed("Node Ready", value, "it must be True", "see `journalctl -u kubelet` on the host")


def _version(status: Mapping[str, Any], version: str) -> Finding:
    found = str((status.get("nodeInfo") or {}).get("kubeletVersion", ""))
    if found == version:
        return passed("Node version", found)
    rule = f"declared is {version}"
    return failed("Node version", found or "none", rule, _JOIN, Repair.REAPPLY)


def _identity(
    metadata: Mapping[str, Any], status: Mapping[str, Any], wanted: ExpectedNode, machine: str
) -> Finding:
    """Is it the declared host's, and of the declared generation."""
    what = "Node identity"
    generation = (metadata.get("annotations") or {}).get(GENERATION)
    if generation is None:
        remedy = f"kubectl annotate node {metadata['name']} {GENERATION}={wanted.generation}"
        return failed(what, "generation none", "a Node of ours has one", remedy, Repair.HAND)
    if generation != str(wanted.generation):
        rule = f"declared is {wanted.generation}"
        return failed(what, f"generation {generation}", rule, _JOIN, Repair.REAPPLY)
    listed = status.get("addresses") or []
    addresses = {each["address"] for each in listed if each["type"] == "InternalIP"}
    if not wanted.addresses <= addresses:
        rule = f"declared is {', '.join(sorted(wanted.addresses))}"
        value = f"addresses {', '.join(sorted(addresses)) or 'none'}"
        return failed(what, value, rule, _JOIN, Repair.REAPPLY)
    reported = (status.get("nodeInfo") or {}).get("machineID")
    if machine and reported and machine != reported:
        rule = f"the host has {machine}"
        remedy = "stop the kubelet of the other machine, or give the host a machine id of its own"
        return failed(what, f"machine id {reported}", rule, remedy, Repair.HAND)
    return passed(what, f"generation {generation}")


def _labels(labels: Mapping[str, str], wanted: ExpectedNode) -> Finding:
    wrong = [key for key, value in wanted.labels.items() if labels.get(key) != value]
    if not wrong:
        return passed("Node labels", f"{len(wanted.labels)} declared")
    value = ", ".join(f"{key}={labels[key]}" if key in labels else f"no {key}" for key in wrong)
    rule = f"declared is {', '.join(f'{key}={wanted.labels[key]}' for key in wrong)}"
    return failed("Node labels", value, rule, REAPPLY, Repair.REAPPLY)


def _taints(taints: list[Mapping[str, Any]], wanted: ExpectedNode) -> Finding:
    found = {(each["key"], each.get("value", ""), each["effect"]) for each in taints}
    missing = [
        str(taint) for taint in wanted.taints if (taint.key, taint.value, taint.effect) not in found
    ]
    if not missing:
        return passed("Node taints", f"{len(wanted.taints)} declared")
    value, rule = f"no {', '.join(missing)}", "they are declared"
    return failed("Node taints", value, rule, REAPPLY, Repair.REAPPLY)


def _schedulable(
    metadata: Mapping[str, Any],
    spec: Mapping[str, Any],
    taints: list[Mapping[str, Any]],
    *,
    is_ready: bool,
) -> Finding:
    what = "Node schedulable"
    if spec.get("unschedulable"):
        ours = CORDONED in (metadata.get("annotations") or {})
        remedy = "run approve" if ours else "`kubectl uncordon` it when that is done"
        value = "an earlier run left it cordoned" if ours else "somebody has cordoned it"
        # An operator's cordon is his own affair.
        repair = Repair.REAPPLY if ours else None
        return failed(what, value, "pods must be let in", remedy, repair)
    if any((each["key"], each["effect"]) == JOINING_TAINT for each in taints):
        value, rule = f"has the taint {JOINING_TAINT[0]}", "it is a member by then"
        return failed(what, value, rule, _JOIN, Repair.REAPPLY)
    bad = [
        f"{each['key']}:{each['effect']}"
        for each in taints
        if each["key"].startswith("node.kubernetes.io/") and each["effect"] != "PreferNoSchedule"
    ]
    if bad and is_ready and {each.partition(":")[0] for each in bad} <= _TAINTS_OF_READY:
        rule = "it is Ready: kube-controller-manager is about to take that away"
        return note(what, ", ".join(bad), rule, "look again in some seconds")
    if bad:
        remedy = "see the conditions in `kubectl describe node`"
        return failed(what, ", ".join(bad), "the cluster keeps pods away", remedy)
    return passed(what)


def _pod_network(
    own: list[str], conditions: Mapping[str, Mapping[str, Any]], wanted: ExpectedNode
) -> Finding:
    what, declared = "Node pod network", ", ".join(wanted.pod_cidrs)
    unavailable = conditions.get("NetworkUnavailable", {})
    if unavailable.get("status") == "True":
        value = f"NetworkUnavailable: {str(unavailable.get('message', ''))[:200]}"
        return failed(what, value, "the network add-on reports it", "see its pod on this node")
    if not own:
        rule = "its network add-on gives pods their addresses by itself"
        return note(what, "no podCIDR", rule)
    outside = [each for each in own if not any(_is_within(each, cidr) for cidr in wanted.pod_cidrs)]
    if outside:
        remedy = "give podCidrs the --cluster-cidr of kube-controller-manager"
        return failed(what, f"podCIDR {', '.join(outside)}", f"podCidrs is {declared}", remedy)
    return passed(what, ", ".join(own))


def _max_pods(own: list[str], status: Mapping[str, Any], wanted: ExpectedNode) -> Finding:
    """Compare with what the kubelet took, and with the addresses that there are for pods."""
    what, found = "Node pods", str((status.get("capacity") or {}).get("pods", "none"))
    if found != str(wanted.max_pods):
        remedy = "see `journalctl -u kubelet` on the host"
        return failed(what, f"room for {found}", f"declared is {wanted.max_pods}", remedy)
    # The first address is the network's and the last the broadcast's; the manual counts so too.
    room = min((ipaddress.ip_network(each, strict=False).num_addresses for each in own), default=0)
    if own and room - 2 < wanted.max_pods:
        rule = f"{own[0]} holds {room - 2}"
        return note(what, f"room for {found}", rule, "lower maxPods, or give nodes a wider podCIDR")
    return passed(what, found)


def _is_within(cidr: str, wider: str) -> bool:
    inner, outer = ipaddress.ip_network(cidr, strict=False), ipaddress.ip_network(wider)
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False
