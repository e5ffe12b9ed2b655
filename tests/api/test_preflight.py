"""The check of the cluster against a real API server: nothing is written before it has passed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from pydantic.alias_generators import to_camel

from kube_nodes.membership.errors import MembershipError
from kube_nodes.membership.preflight import check_cluster
from kube_nodes.model.nodes import Node
from kube_nodes.model.options import NodeOptions
from kube_nodes.model.pod_network import PodNetwork
from kube_nodes.model.requests import TOKEN_GROUP, Cluster
from tests.plugins.control_plane import ControlPlane

BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
AUTO_APPROVAL = "system:certificates.k8s.io:certificatesigningrequests:nodeclient"


ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"


@contextmanager
def bound(
    plane: ControlPlane, subject: str, role: str = AUTO_APPROVAL, kind: str = "Group"
) -> Iterator[None]:
    """Let the cluster approve the client certificates of a subject, for a while."""
    api_group = "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{api_group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "auto-approval"},
        "roleRef": {"apiGroup": api_group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": api_group, "kind": kind, "name": subject}],
    }
    assert plane.call("POST", BINDINGS, binding).status == 201
    try:
        yield
    finally:
        plane.call("DELETE", f"{BINDINGS}/auto-approval")


@contextmanager
def role(plane: ControlPlane, rule: dict[str, list[str]]) -> Iterator[str]:
    """Make a ClusterRole of one rule, for a while; yield its name."""
    manifest = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "of-somebody"},
        "rules": [rule],
    }
    assert plane.call("POST", ROLES, manifest).status == 201
    try:
        yield "of-somebody"
    finally:
        plane.call("DELETE", f"{ROLES}/of-somebody")


def test_a_cluster_that_is_ready_for_joins_passes(cluster: Cluster) -> None:
    check_cluster(cluster)


def test_another_cluster_is_refused_by_its_uid(cluster: Cluster) -> None:
    other = replace(cluster, uid="0b5ad3a8-0000-4000-8000-000000000000")
    with pytest.raises(MembershipError, match=rf"{cluster.uid}.* is for {other.uid}"):
        check_cluster(other)


@pytest.mark.parametrize("group", [TOKEN_GROUP, "system:bootstrappers", "system:authenticated"])
def test_a_binding_that_approves_our_requests_unchecked_is_found(
    plane: ControlPlane, cluster: Cluster, group: str
) -> None:
    with (
        bound(plane, group),
        pytest.raises(MembershipError, match=f"auto-approval .*lets .*{group}.*; delete it"),
    ):
        check_cluster(cluster)


def test_the_binding_that_kubeadm_makes_for_its_own_group_is_no_fault(
    plane: ControlPlane, cluster: Cluster
) -> None:
    with bound(plane, "system:bootstrappers:kubeadm:default-node-token"):
        check_cluster(cluster)


def test_a_group_of_kube_proxys_certificate_that_has_rights_is_found(
    plane: ControlPlane, cluster: Cluster
) -> None:
    check_cluster(cluster, client_group="k8s")
    with bound(plane, "k8s", "view"):
        check_cluster(cluster)
        check_cluster(cluster, client_group="k8s-nodes")
        with pytest.raises(MembershipError, match=r"'k8s' the role view, .*choose another"):
            check_cluster(cluster, client_group="k8s")


NODECLIENT = {
    "apiGroups": ["certificates.k8s.io"],
    "resources": ["certificatesigningrequests/nodeclient"],
    "verbs": ["create"],
}


@pytest.mark.parametrize(
    "rule",
    [
        NODECLIENT,
        {"apiGroups": ["*"], "resources": ["*/nodeclient"], "verbs": ["get", "create"]},
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    ],
)
def test_a_role_of_any_name_that_approves_is_found(
    plane: ControlPlane, cluster: Cluster, rule: dict[str, list[str]]
) -> None:
    with (
        role(plane, rule) as name,
        bound(plane, "system:bootstrappers", name),
        pytest.raises(MembershipError, match=f"auto-approval .ClusterRole {name}. lets"),
    ):
        check_cluster(cluster)


@pytest.mark.parametrize(
    "change",
    [
        {"verbs": ["get"]},
        {"resources": ["certificatesigningrequests"]},
        {"apiGroups": [""]},
        {"resourceNames": ["some"]},
    ],
)
def test_a_role_that_approves_nothing_is_no_fault(
    plane: ControlPlane, cluster: Cluster, change: dict[str, list[str]]
) -> None:
    with role(plane, NODECLIENT | change) as name, bound(plane, "system:bootstrappers", name):
        check_cluster(cluster)


def test_everybody_as_an_administrator_is_found(plane: ControlPlane, cluster: Cluster) -> None:
    with (
        bound(plane, "system:authenticated", "cluster-admin"),
        pytest.raises(MembershipError, match=r"cluster-admin\) lets .*system:authenticated"),
    ):
        check_cluster(cluster)


def test_the_user_of_a_bootstrap_token_is_found_and_another_user_is_not(
    plane: ControlPlane, cluster: Cluster
) -> None:
    with bound(plane, "somebody", kind="User"):
        check_cluster(cluster)
    with (
        bound(plane, "system:bootstrap:abc123", kind="User"),
        pytest.raises(MembershipError, match="system:bootstrap:abc123"),
    ):
        check_cluster(cluster)


@contextmanager
def node_with(plane: ControlPlane, name: str, pod_cidr: str) -> Iterator[None]:
    """Let the cluster have a Node with a podCIDR, for a while."""
    spec = {"podCIDR": pod_cidr, "podCIDRs": [pod_cidr]}
    manifest = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec}
    assert plane.call("POST", "/api/v1/nodes", manifest).status == 201
    try:
        yield
    finally:
        plane.call("DELETE", f"/api/v1/nodes/{name}")


def declared(name: str, **options: Any) -> Node:
    """Declare a node."""
    return Node(
        id=name,
        pool="workers",
        address="192.0.2.21",
        host_key="",
        node_ip="192.0.2.21",
        generation=1,
        reapply=0,
        options=NodeOptions(**{to_camel(key): value for key, value in options.items()}),
    )


def test_versions_that_the_api_server_does_not_support_stop_the_run_each_told_once(
    plane: ControlPlane, cluster: Cluster
) -> None:
    old = [declared(f"n{number}", kubernetes_version="1.30.1") for number in range(1, 8)]
    proxy = declared("p1", kube_proxy_version="1.33.0")
    with pytest.raises(MembershipError) as raised:
        check_cluster(cluster, nodes=[*old, proxy, declared("right")])
    assert str(raised.value).split("; ") == [
        "n1, n2, n3, n4, n5 and 2 more: kubelet v1.30.1 is more than 3 minors older than the API"
        " server (1.37)",
        "declare a newer version",
        "n1, n2, n3, n4, n5 and 2 more: kube-proxy v1.30.1 is more than 3 minors older than the"
        " API server (1.37)",
        "declare a newer version",
        "p1: kube-proxy v1.33.0 is more than 3 minors older than the API server (1.37)",
        "declare a newer version. Nothing was changed",
    ]


def of_node(name: str, warnings: list[str]) -> list[str]:
    """Take what is said of one Node: those of other tests may be in the API server's cache yet."""
    return [each for each in warnings if each.startswith(f"{name}: ")]


def test_a_node_outside_the_declared_pod_network_stops_the_run(
    plane: ControlPlane, cluster: Cluster
) -> None:
    with node_with(plane, "elsewhere", "10.9.1.0/24"):
        with pytest.raises(MembershipError) as raised:
            check_cluster(cluster, network=PodNetwork(cidrs=("10.200.0.0/16",)))
        inside = PodNetwork(cidrs=("10.9.0.0/16",), allocated=False)
        assert of_node("elsewhere", check_cluster(cluster, network=inside).warnings) == []
    told = str(raised.value)
    assert "elsewhere: podCIDR 10.9.1.0/24 is not in the declared podCidrs 10.200.0.0/16; " in told
    assert told.endswith("Nothing was changed")


def test_it_is_a_warning_where_the_network_hands_out_its_own_ranges(
    plane: ControlPlane, cluster: Cluster
) -> None:
    network = PodNetwork(cidrs=("10.200.0.0/16",), allocated=False)
    with node_with(plane, "elsewhere", "10.9.1.0/24"):
        (warning,) = of_node("elsewhere", check_cluster(cluster, network=network).warnings)
    assert warning.startswith("elsewhere: podCIDR 10.9.1.0/24 is not in")


def test_more_pods_than_a_nodes_podcidr_holds_are_a_warning(
    plane: ControlPlane, cluster: Cluster
) -> None:
    network = PodNetwork(cidrs=("10.9.0.0/16",), allocated=False)
    with node_with(plane, "crowded", "10.9.1.0/24"):
        enough = check_cluster(cluster, network=network, nodes=[declared("crowded", max_pods=254)])
        assert of_node("crowded", enough.warnings) == []
        crowded = check_cluster(cluster, network=network, nodes=[declared("crowded", max_pods=512)])
        (warning,) = of_node("crowded", crowded.warnings)
    assert warning.startswith(
        "crowded: maxPods 512 is more than its podCIDR 10.9.1.0/24 holds (254 addresses); "
    )
