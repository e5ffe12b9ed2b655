"""Compare the podCIDRs of Nodes with what is declared of the pods' network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kube_nodes.membership.api import Object
from kube_nodes.membership.errors import MembershipError
from kube_nodes.membership.progress import Progress
from kube_nodes.model.pod_network import PodNetwork, find_crowding, find_outsiders
from kube_nodes.model.requests import JoinRequest

# A wrong podCidrs is wrong for every Node; the first ones tell it.
_SHOWN = 10


@dataclass
class Findings:
    """What was found; errors are those that a run must not go on with."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def compare_nodes(
    nodes: Iterable[Object], network: PodNetwork, max_pods: Mapping[str, int]
) -> Findings:
    """Look at every Node that there is.

    Args:
        nodes: the Nodes.
        network: as declared.
        max_pods: of each declared node, by its name.
    """
    outsiders: list[str] = []
    found = Findings()
    for node in nodes:
        name, cidrs = node["metadata"]["name"], _pod_cidrs(node)
        outsiders += find_outsiders(network, name, cidrs)
        found.warnings += find_crowding(name, cidrs, max_pods.get(name, 0))
    if len(outsiders) > _SHOWN:
        outsiders[_SHOWN:] = [f"and {len(outsiders) - _SHOWN} more Nodes with such a podCIDR"]
    (found.errors if network.allocated else found.warnings).extend(outsiders)
    return found


def check_new_node(request: JoinRequest, node: Object, progress: Progress) -> None:
    """Look at a Node that has just come: it got its podCIDRs when it registered.

    Raises:
        MembershipError: they are outside the declared network, which they were taken from.
    """
    if request.pod_network is None:
        return
    name, cidrs = request.node.id, _pod_cidrs(node)
    outsiders = find_outsiders(request.pod_network, name, cidrs)
    if outsiders and request.pod_network.allocated:
        raise MembershipError("; ".join(each.removeprefix(f"{name}: ") for each in outsiders))
    most = int(((node.get("status") or {}).get("capacity") or {}).get("pods") or 0)
    for warning in [*outsiders, *find_crowding(name, cidrs, most)]:
        progress.say(warning.removeprefix(f"{name}: "))


def _pod_cidrs(node: Object) -> list[str]:
    """Return the Node's podCIDRs; none where nobody hands them out."""
    spec = node["spec"]
    return list(spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else []))
