"""A Node that joined by other means: whether it can be taken over, and from when on it is ours.

Until the host's script has put our units in the place of others, nothing is written: a failed
attempt leaves Node and kubelet as they were. Then, before anything is awaited, the Node gets our
annotation, so that a join that fails is gone on with, and a removal knows the Node for its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from kube_nodes.membership import nodes
from kube_nodes.membership.api import Api, Object
from kube_nodes.membership.errors import MembershipError
from kube_nodes.membership.progress import Progress
from kube_nodes.membership.readiness import Started, another_machine
from kube_nodes.model.requests import DeclaredNode, PrepareRequest, parse_adopting, render_adopting

# A kubelet renews its lease every 10 s (nodeLeaseDurationSeconds 40, a quarter of it).
_SILENCE_SECONDS = 22.0


def adoption_faults(node: Object, declared: DeclaredNode, machine_id: str) -> Iterator[str]:
    """Say what keeps a Node from being taken over with its pods, each as `fault; remedy`.

    Args:
        node: the Node, which is not ours.
        declared: what it is to become.
        machine_id: of the host; empty: it is not known.
    """
    name = node["metadata"]["name"]
    if other := another_machine(node, Started(machine_id=machine_id or None)):
        yield f"{other}; declare the host that it is"
    elif nodes.is_elsewhere(node, declared):
        yield f"the Node {name} reports none of the declared addresses; correct address or nodeIp"
    if not nodes.is_ready(node):
        yield f"the Node {name} is not Ready; mend it first, or remove it and join the host anew"
    runs = nodes.kubelet_version(node)
    if nodes.minor(runs) != nodes.minor(declared.version):
        yield (
            f"its kubelet is {runs} and declared is {declared.version}, and another minor needs a"
            f" drain; declare kubernetesVersion {runs.removeprefix('v')} to adopt it, and upgrade"
            " it afterwards"
        )


def begin(node: Object, request: PrepareRequest) -> str:
    """Look whether the Node can be taken over; return what tells the join of it.

    Raises:
        MembershipError: with everything that keeps it from that.
    """
    machine = request.machine.machine_id
    faults = list(adoption_faults(node, request.node, machine))
    if faults:
        raise MembershipError(f"it cannot be adopted: {'; '.join(faults)}. Nothing was changed")
    return render_adopting(node["metadata"]["uid"])


def claim(api: Api, declared: DeclaredNode, prepared: str) -> None:
    """Make the Node that prepare found a member, when the host's units are ours.

    Raises:
        MembershipError: the Node has been deleted and made anew in between.
    """
    uid = parse_adopting(prepared)

    def change(node: Object) -> Any:
        if nodes.is_ours(node):
            return None
        if node["metadata"]["uid"] != uid:
            raise MembershipError(
                f"the Node {declared.name} that was adopted was deleted, and is another one now;"
                " raise the node's reapply, and run again"
            )
        return {"metadata": {"annotations": {nodes.GENERATION: str(declared.generation)}}}

    if uid:
        nodes.update(api, declared.name, change)


def has_stopped(api: Api, name: str, progress: Progress) -> bool:
    """Say whether no kubelet reports for a Node any more: its lease stays as it is.

    The units of an adoption may have become ours, and gone, without a join that marked the Node.
    """
    path = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}"
    end = time.monotonic() + _SILENCE_SECONDS
    before = _renewed(api, path)
    while time.monotonic() < end:
        progress.awaiting(f"a sign of the kubelet of {name}")
        time.sleep(0.5)
        if _renewed(api, path) != before:
            return False
    return True


def _renewed(api: Api, path: str) -> Any:
    return ((api.find(path) or {}).get("spec") or {}).get("renewTime")
