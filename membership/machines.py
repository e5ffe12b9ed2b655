"""Two Nodes of one machine's numbers: a copied host, or one host under two names."""

from __future__ import annotations

from collections.abc import Iterator

from kube_nodes.membership.api import Api, Object
from kube_nodes.membership.errors import MembershipError
from kube_nodes.model.machine import NO_MACHINE, Machine

REMEDY = "give each host its own: rm /etc/machine-id, then systemd-machine-id-setup, and reboot"


def refuse_twins(api: Api, name: str, machine: Machine) -> None:
    """Make sure that no other Node reports this machine's numbers.

    Raises:
        MembershipError: one or more do; every one is named.
    """
    if machine == NO_MACHINE:
        return
    twins = [
        f"the Node {other} reports the same {what}"
        for other, theirs in reported_machines(api)
        if other != name
        for what in machine.shared_with(theirs)
    ]
    if twins:
        raise MembershipError(
            f"{'; '.join(sorted(twins))} as {name}'s host, and one machine is one Node; {REMEDY},"
            f" or, if {name} is another name of that machine, remove the other Node first."
            " Nothing was changed"
        )


def reported_machines(api: Api) -> Iterator[tuple[str, Machine]]:
    """List every Node's name and machine; from the API server's cache (resourceVersion 0)."""
    for node in api.get("/api/v1/nodes", resourceVersion="0")["items"]:
        yield node["metadata"]["name"], _machine(node)


def _machine(node: Object) -> Machine:
    info = (node.get("status") or {}).get("nodeInfo") or {}
    return Machine.of(info.get("machineID", ""), info.get("systemUUID", ""))
