"""Has the node come up, as itself, since its kubelet was last started?

A Node stays Ready for 40 s after its kubelet has stopped, so a Ready that the kubelet reported
before its restart says nothing. The host tells when it started the kubelet, on the same clock that
the kubelet reports with; no clock of two machines is compared.
"""

from __future__ import annotations

import contextlib
import datetime
import math
from dataclasses import dataclass

from kube_nodes.membership.api import Api, Object
from kube_nodes.membership.nodes import is_ready, kubelet_version, ready_condition
from kube_nodes.model.host_output import clean
from kube_nodes.model.requests import DeclaredNode


@dataclass(frozen=True, kw_only=True)
class Started:
    """What the host's scripts say; None where it does not."""

    machine_id: str | None = None
    """/etc/machine-id of the host."""
    kubelet_seconds: float | None = None
    """Seconds of the host's clock just before it started the kubelet."""
    renewed: bool = False
    """It was started to get new certificates."""


def read_runs(*stdouts: str) -> Started:
    """Read `machine ID`, the last `restarted kubelet SECONDS` and `renewed kubelet`."""
    machine, times, renewed = None, [], False
    for line in "\n".join(stdouts).splitlines():
        match line.split():
            case ["machine", value]:
                machine = value
            case ["restarted", "kubelet" | "kubelet.service", value]:
                with contextlib.suppress(ValueError):
                    if math.isfinite(seconds := float(value)):
                        times.append(seconds)
            case ["renewed", "kubelet"]:
                renewed = True
            case _:
                continue
    return Started(machine_id=machine, kubelet_seconds=max(times, default=None), renewed=renewed)


def why_not_ready(api: Api, node: Object | None, declared: DeclaredNode, run: Started) -> str:
    """Say what the Node lacks to be counted as up; empty when nothing.

    Args:
        api: to read the node's lease, where the Node alone leaves a doubt.
        node: the Node.
        declared: what it must report.
        run: what its host said when the kubelet was started.
    """
    if node is None:
        return "the Node has not registered"
    if other := another_machine(node, run):
        return f"{other}; stop the kubelet there"
    if kubelet_version(node) != declared.version:
        found = clean(kubelet_version(node), 100)
        return f"the kubelet reports {found}, declared is {declared.version}"
    ready = ready_condition(node)
    if not is_ready(node):
        reason, message = ready.get("reason", "none yet"), ready.get("message", "")
        said = clean(f"{reason} {message}", 500)
        return f"Ready is {clean(ready.get('status', 'not reported'), 20)}: {said}"
    if run.kubelet_seconds is not None and not _reported_since(api, node, run.kubelet_seconds):
        return "the kubelet has not reported since it was started"
    return ""


def lacks_pod_network(node: Object) -> bool:
    """Tell whether the kubelet reports that the runtime has no network to give to pods."""
    return not is_ready(node) and "NetworkPluginNotReady" in ready_condition(node).get(
        "message", ""
    )


def another_machine(node: Object, run: Started) -> str:
    """Say that the Node is reported by a machine that is not the host; empty if it is the host."""
    reported = ((node.get("status") or {}).get("nodeInfo") or {}).get("machineID")
    if not (run.machine_id and reported) or reported == run.machine_id:
        return ""
    return (
        f"the Node is reported by another machine (machine id {clean(reported, 100)}, the host has"
        f" {clean(run.machine_id, 100)})"
    )


def _reported_since(api: Api, node: Object, seconds: float) -> bool:
    """Compare the Ready report, which knows whole seconds; in the same second ask the lease."""
    reported = _seconds(ready_condition(node)["lastHeartbeatTime"])
    if int(reported) != int(seconds):
        return reported > seconds
    name = node["metadata"]["name"]
    path = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}"
    renewed = ((api.find(path) or {}).get("spec") or {}).get("renewTime")
    return renewed is not None and _seconds(renewed) > seconds


def _seconds(timestamp: str) -> float:
    return datetime.datetime.fromisoformat(timestamp).timestamp()
