"""Rules that no single value of the configuration can be checked against alone."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from kube_nodes.model.cluster import Cluster
from kube_nodes.model.configuration_fields import KUBE_PROXY, KUBELET, check_fields
from kube_nodes.model.declaration import show
from kube_nodes.model.nodes import Node, NodeDeclaration, PoolDeclaration, resolve_nodes
from kube_nodes.model.options import NodeOptions

# A place in the configuration: its keys and list positions.
Place = tuple[Any, ...]
Fault = tuple[Place, str]

_BY_US = "is written by this program; remove it"

# Fields with a home of their own: one option, one place.
KUBELET_OWNED = {
    "authentication.anonymous.enabled": "is always false here; remove it",
    "authentication.x509.clientCAFile": _BY_US,
    "authorization.mode": "is always Webhook here; remove it",
    "cgroupDriver": "has its own option; use cgroupDriver of the options",
    "clusterDNS": "has its own option; use clusterDns of the options",
    "clusterDomain": "has its own option; use clusterDomain of the options",
    "containerRuntimeEndpoint": "has its own option; use containerRuntimeEndpoint of the options",
    "evictionHard": "has its own option; use evictionHard of the options",
    "kubeReserved": "has its own option; use kubeReserved of the options",
    "maxPods": "has its own option; use maxPods of the options",
    "podPidsLimit": "has its own option; use podPidsLimit of the options",
    "readOnlyPort": "is always 0 here; remove it",
    "registerNode": "is always true here; remove it",
    "registerWithTaints": "has its own option; use taints of the options",
    "rotateCertificates": "is always true here; remove it",
    "serverTLSBootstrap": "is always true here; remove it",
    "systemReserved": "has its own option; use systemReserved of the options",
    "logging.verbosity": "has its own option; use verbosity of the options",
}
KUBE_PROXY_OWNED = {
    "clientConnection.kubeconfig": _BY_US,
    "clusterCIDR": "has its own key; use kube-nodes:podCidrs",
    "hostnameOverride": _BY_US,
    "mode": "has its own option; use proxyMode of the options",
    "logging.verbosity": "has its own option; use verbosity of the options",
}


def find_faults(
    cluster: Cluster, options: NodeOptions, pools: dict[str, PoolDeclaration]
) -> list[Fault]:
    """Find every fault, each once, where the value was written; `{value} {rule}; {remedy}`."""
    faults = [*_cluster_faults(cluster), *_duplicates(pools)]
    if not any(pool.nodes for pool in pools.values()):
        faults.append((("pools",), "declares no node; add one under pools.<pool>.nodes"))
    for node in resolve_nodes(options, pools):
        pool = pools[node.pool]
        faults += _address_faults(cluster, node)
        faults += _option_faults(cluster, node, _Origins(options, pool, node))
    # An option of the cluster is a fault on every node, and is told once.
    return list(dict.fromkeys(faults))


class _Origins:
    """Tells at which level a node's option was written."""

    def __init__(self, options: NodeOptions, pool: PoolDeclaration, node: Node) -> None:
        declared: NodeDeclaration = pool.nodes[node.id]
        self._levels: tuple[tuple[Place, NodeOptions], ...] = (
            (("pools", node.pool, "nodes", node.id, "options"), declared.options),
            (("pools", node.pool, "options"), pool.options),
            (("options",), options),
        )

    def of(self, field: str, key: str, alias: str) -> Place:
        """Find the nearest level that sets this field (and, of a mapping, this key)."""
        for place, level in self._levels:
            value = getattr(level, field)
            written = field in level.model_fields_set
            if written and (not isinstance(value, dict) or key in value):
                return (*place, alias)
        return ("options", alias)


def _cluster_faults(cluster: Cluster) -> Iterator[Fault]:
    for index, pods in enumerate(cluster.pod_cidrs):
        for services in cluster.service_cidrs:
            if _overlap(pods, services):
                yield (
                    ("podCidrs", index),
                    f'"{pods}" overlaps serviceCidrs {services}; give the control plane\'s own',
                )


def _overlap(one: str, other: str) -> bool:
    first, second = ipaddress.ip_network(one), ipaddress.ip_network(other)
    return first.version == second.version and first.overlaps(second)


def _duplicates(pools: dict[str, PoolDeclaration]) -> Iterator[Fault]:
    first: dict[str, Place] = {}
    for pool_name, pool in pools.items():
        for node_id, node in pool.nodes.items():
            place: Place = ("pools", pool_name, "nodes", node_id)
            if first.setdefault(node_id, place) != place:
                yield place, f"is declared in pool {first[node_id][1]} too; keep one of them"
            for key, value, remedy in (
                ("address", node.address, "give each host its own"),
                ("hostKey", node.host_key, "make the copied host a key of its own"),
            ):
                owner = first.setdefault(value, place)
                if owner != place:
                    yield (*place, key), f"{show(value)} is that of {owner[3]} too; {remedy}"


def _address_faults(cluster: Cluster, node: Node) -> Iterator[Fault]:
    place: Place = ("pools", node.pool, "nodes", node.id)
    for kind, cidrs in (("podCidrs", cluster.pod_cidrs), ("serviceCidrs", cluster.service_cidrs)):
        for cidr in cidrs:
            network = ipaddress.ip_network(cidr)
            for key, address in (("address", node.address), ("nodeIp", node.node_ip)):
                if ipaddress.ip_address(address) in network:
                    yield (
                        (*place, key),
                        f'"{address}" lies in {kind} {cidr}; give the host\'s own address',
                    )


def _option_faults(cluster: Cluster, node: Node, origins: _Origins) -> Iterator[Fault]:
    options = node.options
    for address in options.cluster_dns:
        inside = any(
            ipaddress.ip_address(address) in ipaddress.ip_network(cidr)
            for cidr in cluster.service_cidrs
        )
        # A node-local DNS cache listens on a link-local address.
        if not inside and not ipaddress.ip_address(address).is_link_local:
            yield (
                origins.of("cluster_dns", "", "clusterDns"),
                f'"{address}" is not in serviceCidrs; give the DNS Service\'s cluster IP',
            )
    for kind, field, alias, owned in (
        (KUBELET, "kubelet_configuration", "kubeletConfiguration", KUBELET_OWNED),
        (KUBE_PROXY, "kube_proxy_configuration", "kubeProxyConfiguration", KUBE_PROXY_OWNED),
    ):
        values = getattr(options, field)
        for path, rule in check_fields(kind, values, options.kubernetes_version, owned):
            yield (*origins.of(field, path.split(".")[0], alias), *path.split(".")), rule
