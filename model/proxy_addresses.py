"""Where kube-proxy listens, and the rules about it that no single option can be checked against."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from kube_nodes.model.cluster import Cluster
from kube_nodes.model.component_settings import refuse_option
from kube_nodes.model.declaration import show
from kube_nodes.model.faults import Fault, Origins
from kube_nodes.model.nodes import Node

HEALTHZ_PORT = 10256
METRICS_PORT = 10249
# Of the kubelet: its API, and its own health on loopback.
_KUBELET_PORTS = {10250: "the kubelet's API", 10248: "the kubelet's health check"}


@dataclass(frozen=True, kw_only=True)
class ProxyAddresses:
    """The three addresses of a kube-proxy, as its configuration takes them."""

    bind: str
    """IP address; where it is not 0.0.0.0 or ::, the host's own in kube-proxy's eyes."""
    healthz: str
    """address:port. On all addresses: load balancers ask it, as kube-proxy's own default has it;
    it tells nothing but whether kube-proxy works."""
    metrics: str
    """address:port. On loopback alone: CIS Kubernetes Benchmark 1.12, 4.3.1."""

    @property
    def health_url(self) -> str:
        """URL at which the host itself asks for the health."""
        return f"http://{_reached(self.healthz)}/healthz"

    @property
    def mode_url(self) -> str:
        """URL at which the host itself asks for the mode that is in force."""
        return f"http://{_reached(self.metrics)}/proxyMode"


def kube_proxy_addresses(node: Node) -> ProxyAddresses:
    """Resolve the addresses of a node's kube-proxy; defaults are of its bind address's family.

    Source: pkg/proxy/apis/config/v1alpha1/defaults.go of k8s.io/kubernetes.
    """
    options = node.options
    bind = options.proxy_bind_address or node.node_ip
    every, loopback = ("::", "::1") if ":" in bind else ("0.0.0.0", "127.0.0.1")  # noqa: S104
    return ProxyAddresses(
        bind=bind,
        healthz=options.proxy_healthz_address or _join(every, HEALTHZ_PORT),
        metrics=options.proxy_metrics_address or _join(loopback, METRICS_PORT),
    )


def find_address_faults(cluster: Cluster, node: Node, origins: Origins) -> Iterator[Fault]:
    """Find addresses of kube-proxy that its version, its cluster or another server excludes."""
    options, version = node.options, node.kube_proxy_version
    bind = options.proxy_bind_address
    if bind and ipaddress.ip_address(bind).version not in _families(cluster):
        yield (
            origins.of("proxy_bind_address", "proxyBindAddress"),
            f"{show(bind)} is IPv{ipaddress.ip_address(bind).version}, and podCidrs are not; "
            "give one of their family",
        )
    addresses = kube_proxy_addresses(node)
    for field, alias, value in (
        ("proxy_healthz_address", "proxyHealthzAddress", addresses.healthz),
        ("proxy_metrics_address", "proxyMetricsAddress", addresses.metrics),
    ):
        place = origins.of(field, alias)
        rule = refuse_option(alias, version)
        if rule and getattr(options, field):
            yield place, f"{show(value)} {rule}"
        owner = _KUBELET_PORTS.get(split_address(value)[1]) if node.is_worker else None
        if owner:
            yield place, f"{show(value)} has the port of {owner}; give another port"
    if _collide(addresses.healthz, addresses.metrics):
        yield (
            origins.of("proxy_metrics_address", "proxyMetricsAddress"),
            f"{show(addresses.metrics)} is where kube-proxy tells its health "
            f"({addresses.healthz}); give another port",
        )


def split_address(value: str) -> tuple[str, int]:
    """Split a checked address:port."""
    host, _, port = value.rpartition(":")
    return host.strip("[]"), int(port)


def _reached(address: str) -> str:
    """Where the host itself reaches a server that listens there."""
    host, port = split_address(address)
    if ipaddress.ip_address(host).is_unspecified:
        host = "::1" if ":" in host else "127.0.0.1"
    return _join(host, port)


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _families(cluster: Cluster) -> set[int]:
    return {ipaddress.ip_network(cidr).version for cidr in cluster.pod_cidrs}


def _collide(one: str, other: str) -> bool:
    """Whether two servers ask for one port; [::] takes the port of IPv4 too."""
    (host, port), (other_host, other_port) = split_address(one), split_address(other)
    if port != other_port:
        return False
    hosts = {host, other_host}
    same_family = (":" in host) == (":" in other_host)
    return len(hosts) == 1 or "::" in hosts or (same_family and "0.0.0.0" in hosts)  # noqa: S104
