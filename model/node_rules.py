"""Rules that no single value of the configuration can be checked against alone."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic.alias_generators import to_camel

from kube_nodes.model.cluster import Cluster
from kube_nodes.model.configuration_fields import KUBE_PROXY, KUBELET, check_fields
from kube_nodes.model.declaration import show
from kube_nodes.model.faults import Fault, Place
from kube_nodes.model.layout_rules import find_layout_faults
from kube_nodes.model.nodes import Node, NodeDeclaration, PoolDeclaration, resolve_nodes
from kube_nodes.model.options import NodeOptions
from kube_nodes.model.owned_fields import KUBE_PROXY_OWNED, KUBELET_OWNED
from kube_nodes.model.proxy_addresses import find_address_faults
from kube_nodes.model.unit_settings import check_unit
from kube_nodes.model.version_rules import find_version_faults


def find_faults(
    cluster: Cluster, options: NodeOptions, pools: dict[str, PoolDeclaration]
) -> list[Fault]:
    """Find every fault, each once, where the value was written; `{value} {rule}; {remedy}`."""
    faults = [*_cluster_faults(cluster), *find_duplicates(pools)]
    # Without a pool it is the stack that others share.
    if pools and not any(pool.nodes for pool in pools.values()):
        faults.append((("pools",), "declares no node; add one under pools.<pool>.nodes"))
    for node in resolve_nodes(options, pools):
        pool = pools[node.pool]
        faults += _address_faults(cluster, node, pool.nodes[node.id])
        origins = _Origins(options, pool, node)
        faults += _option_faults(cluster, node, origins)
        faults += find_version_faults(cluster, node, origins)
        faults += find_layout_faults(node, origins)
        faults += find_address_faults(cluster, node, origins)
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

    def of(self, field: str, alias: str, key: str | None = None) -> Place:
        """Find the nearest level that sets this field (and, of a mapping, this key)."""
        for place, level in self._levels:
            written = field in level.model_fields_set
            if written and (key is None or key in getattr(level, field)):
                return (*place, alias)
        return ("options", alias)

    def wrote(self, field: str) -> bool:
        """Say whether a level sets this field at all."""
        return any(field in level.model_fields_set for _, level in self._levels)


def _cluster_faults(cluster: Cluster) -> Iterator[Fault]:
    for index, pods in enumerate(cluster.pod_cidrs):
        for services in cluster.service_cidrs:
            if _overlap(pods, services):
                yield (
                    ("podCidrs", index),
                    f'"{pods}" overlaps serviceCidrs {services}; give the control plane\'s own',
                )
    for index, services in enumerate(cluster.service_cidrs):
        family = ipaddress.ip_network(services).version
        if family not in _families(cluster):
            yield (
                ("serviceCidrs", index),
                f'"{services}" is IPv{family}, and podCidrs are not; give CIDRs of one family',
            )
    host = urlsplit(cluster.server).hostname or ""
    for kind, cidr in _cidrs(cluster):
        if _lies_in(host, cidr):
            yield ("server",), f'"{host}" lies in {kind} {cidr}; give the address that hosts reach'


def _families(cluster: Cluster) -> set[int]:
    return {ipaddress.ip_network(cidr).version for cidr in cluster.pod_cidrs}


def _cidrs(cluster: Cluster) -> Iterator[tuple[str, str]]:
    for kind, cidrs in (("podCidrs", cluster.pod_cidrs), ("serviceCidrs", cluster.service_cidrs)):
        for cidr in cidrs:
            yield kind, cidr


def _lies_in(host: str, cidr: str) -> bool:
    """Whether a host is an address within the CIDR; a name is not looked up."""
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(cidr)
    except ValueError:
        return False


def _overlap(one: str, other: str) -> bool:
    first, second = ipaddress.ip_network(one), ipaddress.ip_network(other)
    return first.version == second.version and first.overlaps(second)


def find_duplicates(pools: dict[str, PoolDeclaration]) -> Iterator[Fault]:
    """Find what two nodes have that only one may: id, address, host key."""
    first: dict[str, str] = {}
    pool_of: dict[str, str] = {}
    for pool_name, pool in pools.items():
        for node_id, node in pool.nodes.items():
            place: Place = ("pools", pool_name, "nodes", node_id)
            if pool_of.setdefault(node_id, pool_name) != pool_name:
                yield place, f"is declared in pool {pool_of[node_id]} too; keep one of them"
            if node.lost:  # what takes its place may have its address
                continue
            for key, value, remedy in (
                ("address", node.address, "give each host its own"),
                ("nodeIp", node.node_ip, "give each host its own"),
                ("hostKey", node.host_key, "make the copied host a key of its own"),
            ):
                owner = first.setdefault(value, node_id) if value else node_id
                if owner != node_id:
                    yield (*place, key), f"{show(value)} is that of {owner} too; {remedy}"


def _address_faults(cluster: Cluster, node: Node, declared: NodeDeclaration) -> Iterator[Fault]:
    place: Place = ("pools", node.pool, "nodes", node.id)
    addresses = {"address": node.address} | ({"nodeIp": node.node_ip} if declared.node_ip else {})
    for key, address in addresses.items():
        for kind, cidr in _cidrs(cluster):
            if _lies_in(address, cidr):
                yield (
                    (*place, key),
                    f'"{address}" lies in {kind} {cidr}; give the host\'s own address',
                )
    family = ipaddress.ip_address(node.node_ip).version
    if family not in _families(cluster):
        yield (
            (*place, "nodeIp" if declared.node_ip else "address"),
            f'"{node.node_ip}" is IPv{family}, and podCidrs are not; give a nodeIp of their family',
        )


def _option_faults(cluster: Cluster, node: Node, origins: _Origins) -> Iterator[Fault]:
    options = node.options
    for address in options.cluster_dns:
        inside = any(_lies_in(address, cidr) for cidr in cluster.service_cidrs)
        # A node-local DNS cache listens on a link-local address.
        if not inside and not ipaddress.ip_address(address).is_link_local:
            yield (
                origins.of("cluster_dns", "clusterDns"),
                f'"{address}" is not in serviceCidrs; give the DNS Service\'s cluster IP',
            )
    if options.containerd and not options.containerd.sandbox_image:
        place = origins.of("containerd", "containerd")
        yield (*place, "sandboxImage"), "is missing; set it, or remove containerd"
    if not node.is_worker:
        yield from _kubelet_faults(node, origins)
    kubelet = KUBELET, "kubelet_configuration", node.kubelet_version, KUBELET_OWNED
    kube_proxy = KUBE_PROXY, "kube_proxy_configuration", node.kube_proxy_version, KUBE_PROXY_OWNED
    for kind, field, version, owned in (kubelet, kube_proxy):
        for path, rule in check_fields(kind, getattr(options, field), version, owned):
            place = origins.of(field, to_camel(field), path.split(".")[0])
            yield (*place, *path.split(".")), rule
    for field, alias in (("kubelet_unit", "kubeletUnit"), ("kube_proxy_unit", "kubeProxyUnit")):
        for path, rule in check_unit(getattr(options, field)):
            yield (*origins.of(field, alias, path.split(".")[0]), *path.split(".")), rule


def _kubelet_faults(node: Node, origins: _Origins) -> Iterator[Fault]:
    """What a node without a kubelet says of itself that only a kubelet has."""
    for field in ("labels", "taints"):
        place = origins.of(field, field)
        if place[0] == "pools" and "nodes" in place and getattr(node.options, field):
            yield place, "needs a kubelet, and the role is proxy-only; remove it"
    place = origins.of("token_mode", "tokenMode")
    if "nodes" in place and node.options.token_mode == "static":  # noqa: S105 (a mode)
        yield place, '"static" needs a kubelet, and the role is proxy-only; remove it'
    place = origins.of("adopt", "adopt")
    if "nodes" in place and node.options.adopt:
        yield place, "needs a kubelet, and the role is proxy-only; remove it"
