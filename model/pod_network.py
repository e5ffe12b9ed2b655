"""The pods' network as declared, and what a Node's podCIDRs are held against.

kube-proxy takes what comes from outside the declared ranges for traffic from outside the cluster,
so a Node whose podCIDR is elsewhere has its pods masqueraded, or shut out by network policies.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

_REMEDY = (
    "give kube-nodes:podCidrs the --cluster-cidr of kube-controller-manager, or set"
    " kube-nodes:podCidrAllocator to network-add-on if the pod network hands out its own ranges"
)


@dataclass(frozen=True, kw_only=True)
class PodNetwork:
    """The declared CIDRs of the pods."""

    cidrs: tuple[str, ...]
    allocated: bool = True
    """Whether kube-controller-manager gives each Node its podCIDRs out of them."""


def find_outsiders(network: PodNetwork, node: str, pod_cidrs: Iterable[str]) -> list[str]:
    """Say which podCIDRs of a Node are not in the declared network, each with its remedy."""
    declared = [ipaddress.ip_network(cidr) for cidr in network.cidrs]
    return [
        f"{node}: podCIDR {cidr} is not in the declared podCidrs {', '.join(network.cidrs)};"
        f" {_REMEDY}"
        for cidr in pod_cidrs
        if not any(_lies_in(ipaddress.ip_network(cidr, strict=False), each) for each in declared)
    ]


def find_crowding(node: str, pod_cidrs: Iterable[str], max_pods: int) -> list[str]:
    """Say where a Node may run more pods than its podCIDR has addresses.

    Pods of the host's network need none, so this is no error.
    """
    return [
        f"{node}: maxPods {max_pods} is more than its podCIDR {cidr} holds"
        f" ({_addresses(cidr)} addresses); lower maxPods, or give"
        " kube-controller-manager a smaller --node-cidr-mask-size and join the node anew"
        for cidr in pod_cidrs
        if _addresses(cidr) < max_pods
    ]


def _addresses(cidr: str) -> int:
    """Addresses for pods: not those of the network itself and of its broadcast."""
    return max(ipaddress.ip_network(cidr, strict=False).num_addresses - 2, 0)


def _lies_in(
    inner: ipaddress.IPv4Network | ipaddress.IPv6Network,
    outer: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> bool:
    ends = (inner.network_address, inner.broadcast_address)
    return inner.version == outer.version and all(address in outer for address in ends)
