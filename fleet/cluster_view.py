"""What the cluster says of the declared nodes: read once, for all of them."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kube_nodes.membership.api import Api
from kube_nodes.membership.cluster import reach
from kube_nodes.membership.progress import Progress
from kube_nodes.model.expectation import ExpectedName, ExpectedNetwork
from kube_nodes.model.nodes import Node
from kube_nodes.model.service_check import LABELS, NAME, NAMESPACE
from kube_nodes.settings import Settings

_NODES = "/api/v1/nodes"
_SERVICES = "/api/v1/services"
# Each host asks the pods of so many others: every way is tried somewhere, and no host asks all.
_PEERS = 2
_ANY_ANSWER = frozenset({"200", "401", "403"})


@dataclass(frozen=True, kw_only=True)
class ClusterView:
    """Nodes, Services and test pods, as the API has them."""

    nodes: Mapping[str, Mapping[str, Any]]
    service_addresses: frozenset[str]
    target: str
    """Cluster IP of the Service that nodes are tried with; empty: it is not there."""
    pods: Mapping[str, Sequence[Mapping[str, Any]]] | None
    """By node: the pods of the test workload; None: none is declared."""


def read_cluster(settings: Settings) -> ClusterView:
    """Read what the checks need; changes nothing.

    Raises:
        MembershipError, ApiError, UnreachableError, ConnectionConfigError: there is no answer, or
            it is another cluster's.
    """
    api = reach(settings.cluster.identity, Progress("cluster"))
    services = api.get(_SERVICES)["items"]
    has_pods = settings.service_check.image is not None
    namespace, name = (NAMESPACE, NAME) if has_pods else ("default", "kubernetes")
    return ClusterView(
        nodes={each["metadata"]["name"]: each for each in api.get(_NODES)["items"]},
        service_addresses=frozenset(
            address for each in services for address in each["spec"].get("clusterIPs") or ()
        ),
        target=next(
            (
                each["spec"].get("clusterIP", "")
                for each in services
                if (each["metadata"]["namespace"], each["metadata"]["name"]) == (namespace, name)
            ),
            "",
        ),
        pods=_pods(api) if has_pods else None,
    )


def _pods(api: Api) -> dict[str, list[Mapping[str, Any]]]:
    selector = ",".join(f"{key}={value}" for key, value in LABELS.items())
    pods: dict[str, list[Mapping[str, Any]]] = {}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods"
    for pod in api.get(path, labelSelector=selector)["items"]:
        pods.setdefault(pod["spec"].get("nodeName", ""), []).append(pod)
    return pods


def expect_network(settings: Settings, view: ClusterView, node: Node) -> ExpectedNetwork:
    """Say what a node must reach."""
    if not view.target:
        return ExpectedNetwork()
    has_pods = view.pods is not None
    address = f"[{view.target}]" if ":" in view.target else view.target
    return ExpectedNetwork(
        service_url=f"http://{address}/" if has_pods else f"https://{address}/readyz",
        service_status=frozenset({"200"}) if has_pods else _ANY_ANSWER,
        pods=_peers(settings, view, node),
        name=ExpectedName(
            name=f"{NAME}.{NAMESPACE}.svc.{node.options.cluster_domain}"
            if has_pods
            else f"kubernetes.default.svc.{node.options.cluster_domain}",
            address=view.target,
            servers=tuple(node.options.cluster_dns),
            served=view.service_addresses,
        ),
    )


def _peers(settings: Settings, view: ClusterView, node: Node) -> dict[str, str]:
    """Choose pods on the nodes after this one, in a ring, so that each is asked by as many."""
    if view.pods is None:
        return {}
    ids = sorted(
        each.id for each in settings.reachable_nodes if each.is_worker or each.id == node.id
    )
    place = ids.index(node.id)
    others = [*ids[place + 1 :], *ids[:place]]
    urls = {other: _pod_url(view.pods.get(other, ()), settings) for other in others}
    known = [(other, url) for other, url in urls.items() if url]
    return dict(known[:_PEERS])


def _pod_url(pods: Sequence[Mapping[str, Any]], settings: Settings) -> str:
    for pod in pods:
        address = (pod.get("status") or {}).get("podIP")
        if address and (pod.get("status") or {}).get("phase") == "Running":
            ip = ipaddress.ip_address(address)
            host = f"[{ip}]" if ip.version == 6 else str(ip)
            return f"http://{host}:{settings.service_check.port}/"
    return ""
