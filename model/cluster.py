"""The cluster that the nodes join: what its own administrator tells of it."""

from __future__ import annotations

from dataclasses import dataclass

from kube_nodes.model import requests
from kube_nodes.model.pod_network import PodNetwork


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """An existing cluster, as the nodes need to know it.

    Attributes:
        name: its name in kubeconfigs.
        server: URL of the API server, as the hosts reach it.
        ca_certificate: the CA's certificate, PEM.
        uid: UID of its namespace kube-system, which tells it from any other.
        pod_cidrs: CIDRs of the pods; one, or one a family.
        service_cidrs: CIDRs of the Services; one, or one a family.
        allocates_pod_cidrs: whether kube-controller-manager gives each Node its part of pod_cidrs.
    """

    name: str
    server: str
    ca_certificate: str
    uid: str
    pod_cidrs: tuple[str, ...]
    service_cidrs: tuple[str, ...]
    allocates_pod_cidrs: bool = True

    @property
    def identity(self) -> requests.Cluster:
        """What a local command needs to know, to be sure that it talks to this cluster."""
        return requests.Cluster(uid=self.uid)

    @property
    def pod_network(self) -> PodNetwork:
        """What the Nodes' podCIDRs are held against."""
        return PodNetwork(cidrs=self.pod_cidrs, allocated=self.allocates_pod_cidrs)
