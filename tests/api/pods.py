"""Pods on a played node: objects only, which end when their grace period is over, or by hand."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Machine

PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"


def make_pod(
    machine: Machine,
    name: str,
    *,
    controller: str | None = "ReplicaSet",
    grace_seconds: int = 0,
    annotations: dict[str, str] | None = None,
) -> None:
    """Make a pod that runs on the node; name and labels are made unique by the node's name."""
    metadata: dict[str, Any] = {
        "name": f"{name}-{machine.node.name}",
        "labels": {"app": f"{name}-{machine.node.name}"},
        "annotations": annotations or {},
    }
    if controller:
        owner = {"apiVersion": "apps/v1", "kind": controller, "name": name, "uid": "0"}
        metadata["ownerReferences"] = [{**owner, "controller": True}]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "nodeName": machine.node.name,
            "terminationGracePeriodSeconds": grace_seconds,
            "containers": [{"name": "main", "image": "example.org/none"}],
        },
    }
    answer = machine.plane.call("POST", PODS, pod)
    assert answer.status == 201, answer.body
    # A budget holds healthy pods only.
    running = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    machine.plane.merge(f"{PODS}/{metadata['name']}/status", running)


def make_budget(machine: Machine, name: str, allowed: int) -> None:
    """Make a disruption budget for the pod of this name, with the status that it has."""
    full = f"{name}-{machine.node.name}"
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": full},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": full}}},
    }
    assert machine.plane.call("POST", BUDGETS, budget).status == 201
    allow_disruptions(machine, name, allowed)


def allow_disruptions(machine: Machine, name: str, allowed: int) -> None:
    """Write a budget's status, as the disruption controller does."""
    status = {
        "observedGeneration": 1,
        "disruptionsAllowed": allowed,
        "currentHealthy": 1 + allowed,
        "desiredHealthy": 1,
        "expectedPods": 1 + allowed,
    }
    path = f"{BUDGETS}/{name}-{machine.node.name}/status"
    machine.plane.merge(path, {"status": status})


def end_pod(machine: Machine, name: str) -> None:
    """Remove a pod's object, as the kubelet does when its containers have ended."""
    body = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
    machine.plane.call("DELETE", f"{PODS}/{name}-{machine.node.name}", body)


def node_pods(machine: Machine) -> list[str]:
    """Names of the pods that are on the node, without its own name."""
    path = f"{PODS}?fieldSelector=spec.nodeName%3D{machine.node.name}"
    names = [pod["metadata"]["name"] for pod in machine.plane.get(path)["items"]]
    return [name.removesuffix(f"-{machine.node.name}") for name in names]
