"""The check of the cluster against a real API server: nothing is written before it has passed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from kube_nodes.membership.errors import MembershipError
from kube_nodes.membership.preflight import check_cluster
from kube_nodes.model.requests import TOKEN_GROUP, Cluster
from tests.plugins.control_plane import ControlPlane

BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
AUTO_APPROVAL = "system:certificates.k8s.io:certificatesigningrequests:nodeclient"


@contextmanager
def bound(plane: ControlPlane, group: str) -> Iterator[None]:
    """Let the cluster approve the client certificates of a group, for a while."""
    api_group = "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{api_group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "auto-approval"},
        "roleRef": {"apiGroup": api_group, "kind": "ClusterRole", "name": AUTO_APPROVAL},
        "subjects": [{"apiGroup": api_group, "kind": "Group", "name": group}],
    }
    plane.call("POST", BINDINGS, binding)
    try:
        yield
    finally:
        plane.call("DELETE", f"{BINDINGS}/auto-approval")


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
        pytest.raises(MembershipError, match=f"auto-approval lets .*{group}.*; delete it"),
    ):
        check_cluster(cluster)


def test_the_binding_that_kubeadm_makes_for_its_own_group_is_no_fault(
    plane: ControlPlane, cluster: Cluster
) -> None:
    with bound(plane, "system:bootstrappers:kubeadm:default-node-token"):
        check_cluster(cluster)
