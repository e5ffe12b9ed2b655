"""What must hold in the cluster before a run writes anything into it."""

from __future__ import annotations

from collections.abc import Iterator

from kube_nodes.membership.api import Api, Object
from kube_nodes.membership.cluster import reach
from kube_nodes.membership.errors import MembershipError
from kube_nodes.model.requests import TOKEN_GROUP, Cluster

_RBAC = "/apis/rbac.authorization.k8s.io/v1"

# The API server makes these itself at every start.
_ROLES = ("system:node-bootstrapper", "system:node-proxier")
_AUTO_APPROVAL = "system:certificates.k8s.io:certificatesigningrequests:nodeclient"

# Every bootstrap token carries the first of these groups; the others are everybody.
_OUR_GROUPS = frozenset(
    {TOKEN_GROUP, "system:bootstrappers", "system:authenticated", "system:unauthenticated"}
)


def check_cluster(cluster: Cluster) -> None:
    """Make sure of the cluster's identity and of the RBAC that a join builds on; read-only.

    Raises:
        MembershipError: another cluster, or every finding in one text.
    """
    api = reach(cluster)
    findings = [*_missing_roles(api), *_auto_approvals(api)]
    if findings:
        raise MembershipError("; ".join(findings) + ". Nothing was changed")


def _missing_roles(api: Api) -> Iterator[str]:
    for role in _ROLES:
        if api.find(f"{_RBAC}/clusterroles/{role}") is None:
            yield f"ClusterRole {role} is missing; a restart of kube-apiserver makes it again"


def _auto_approvals(api: Api) -> Iterator[str]:
    """With such a binding the cluster would approve a request before it was checked."""
    for binding in api.get(f"{_RBAC}/clusterrolebindings")["items"]:
        groups = _bound_groups(binding) & _OUR_GROUPS
        if binding["roleRef"]["name"] == _AUTO_APPROVAL and groups:
            yield (
                f"ClusterRoleBinding {binding['metadata']['name']} lets the cluster approve client"
                f" certificates of {', '.join(sorted(groups))} unchecked; delete it, or bind a"
                " narrower group"
            )


def _bound_groups(binding: Object) -> set[str]:
    subjects = binding.get("subjects") or []
    return {subject["name"] for subject in subjects if subject["kind"] == "Group"}
