"""What must hold in the cluster before a run writes anything into it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kube_nodes.membership.api import Api, Object
from kube_nodes.membership.cluster import reach
from kube_nodes.membership.errors import MembershipError
from kube_nodes.membership.pod_cidrs import Findings, compare_nodes
from kube_nodes.membership.progress import Progress
from kube_nodes.model.node_annotations import GENERATION
from kube_nodes.model.nodes import Node
from kube_nodes.model.pod_network import PodNetwork
from kube_nodes.model.requests import TOKEN_GROUP, Cluster
from kube_nodes.model.static_token import StaticTokenSettings
from kube_nodes.model.version_skew import find_skews

_SHOWN = 5
_RBAC = "/apis/rbac.authorization.k8s.io/v1"

# The API server makes these itself at every start.
_ROLES = ("system:node-bootstrapper", "system:node-proxier")

# Who may create this is approved by kube-controller-manager without another look; the API server
# has a ClusterRole for it, and any other role can grant it.
_AUTO_APPROVAL = {
    "verbs": {"create", "*"},
    "apiGroups": {"certificates.k8s.io", "*"},
    "resources": {"certificatesigningrequests/nodeclient", "*/nodeclient", "*"},
}

# Every bootstrap token carries the first two of these groups; the others are everybody.
_OUR_GROUPS = frozenset(
    {TOKEN_GROUP, "system:bootstrappers", "system:authenticated", "system:unauthenticated"}
)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a run that writes should know of the cluster."""

    warnings: list[str]
    joined: frozenset[str]
    """Names of the Nodes that have joined through us, whatever their state is now."""


def check_cluster(
    cluster: Cluster,
    static_token: StaticTokenSettings | None = None,
    *,
    client_group: str | None = None,
    network: PodNetwork | None = None,
    nodes: Sequence[Node] = (),
) -> Seen:
    """Make sure of the cluster's identity and of what a join builds on there; read-only.

    Args:
        cluster: the cluster that the stack is for.
        static_token: the static token, where some node joins with it.
        client_group: the organization in kube-proxy's certificate, if it has one.
        network: the declared network of the pods; the Nodes' podCIDRs are held against it.
        nodes: the declared nodes; none that the API server does not support may be written.

    Raises:
        MembershipError: another cluster, or every finding in one text.
    """
    api = reach(cluster, Progress("cluster"))
    # From the API server's cache: a moment's age does not matter here.
    listed = api.get("/api/v1/nodes", resourceVersion="0")["items"]
    max_pods = {node.id: node.options.max_pods for node in nodes if node.is_worker}
    of_pods = compare_nodes(listed, network, max_pods) if network else Findings()
    faults = [*cluster_faults(api, static_token, client_group), *_skews(nodes, api.minor)]
    faults += of_pods.errors
    if faults:
        raise MembershipError("; ".join(faults) + ". Nothing was changed")
    joined = {
        node["metadata"]["name"]
        for node in listed
        if (node["metadata"].get("annotations") or {}).get(GENERATION) is not None
    }
    return Seen(warnings=of_pods.warnings, joined=frozenset(joined))


def _skews(nodes: Iterable[Node], api_server_minor: int) -> Iterator[str]:
    """Tell each version that is not supported once, with the nodes that declare it."""
    found: dict[str, list[str]] = {}
    for node, text in find_skews(nodes, api_server_minor):
        found.setdefault(text, []).append(node.id)
    for text, names in found.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield f"{', '.join(names[:_SHOWN])}{more}: {text}"


def cluster_faults(
    api: Api, static_token: StaticTokenSettings | None, client_group: str | None
) -> Iterator[str]:
    """Tell what is wrong with the cluster's RBAC, each as `fault; remedy`."""
    user, group = (static_token.user, static_token.group) if static_token else ("", "")
    ours = _Subjects(groups=_OUR_GROUPS | {group}, user=user)
    yield from _missing_roles(api)
    yield from _auto_approvals(api, ours)
    if client_group:
        yield from _rights_of(api, client_group)


def _missing_roles(api: Api) -> Iterator[str]:
    for role in _ROLES:
        if api.find(f"{_RBAC}/clusterroles/{role}") is None:
            yield f"ClusterRole {role} is missing; a restart of kube-apiserver makes it again"


@dataclass(frozen=True, kw_only=True)
class _Subjects:
    """Who a request with one of our tokens can come from, beside the users of bootstrap tokens."""

    groups: frozenset[str]
    user: str


def _auto_approvals(api: Api, subjects: _Subjects) -> Iterator[str]:
    """With such a binding the cluster would approve a request before it was checked."""
    roles = api.get(f"{_RBAC}/clusterroles")["items"]
    approving = {role["metadata"]["name"] for role in roles if _approves(role)}
    for binding in api.get(f"{_RBAC}/clusterrolebindings")["items"]:
        role, ours = binding["roleRef"]["name"], _our_subjects(binding, subjects)
        if role in approving and ours:
            yield (
                f"ClusterRoleBinding {binding['metadata']['name']} (ClusterRole {role}) lets the"
                f" cluster approve client certificates of {', '.join(sorted(ours))} unchecked;"
                " delete it, or bind a narrower group"
            )


def _rights_of(api: Api, group: str) -> Iterator[str]:
    """An organization is a group: kube-proxy would have the rights of it on every node."""
    for plural, kind in (
        ("clusterrolebindings", "ClusterRoleBinding"),
        ("rolebindings", "RoleBinding"),
    ):
        for binding in api.get(f"{_RBAC}/{plural}")["items"]:
            subjects = binding.get("subjects") or ()
            if any(each["kind"] == "Group" and each["name"] == group for each in subjects):
                yield (
                    f"{kind} {binding['metadata']['name']} gives the group {group!r} the role"
                    f" {binding['roleRef']['name']}, and every kube-proxy would have it;"
                    " choose another kubeProxyCertificate.subject.organization"
                )


def _approves(role: Object) -> bool:
    """Tell whether a ClusterRole lets requests of kubelets be approved by the cluster itself."""
    return any(
        all(wanted & set(rule.get(field) or ()) for field, wanted in _AUTO_APPROVAL.items())
        # A rule for named objects does not reach the question whether one may be created.
        and not rule.get("resourceNames")
        for rule in role.get("rules") or ()
    )


def _our_subjects(binding: Object, ours: _Subjects) -> set[str]:
    """Name the subjects of a binding that a request with one of our tokens can come from."""
    return {
        subject["name"]
        for subject in binding.get("subjects") or ()
        if (subject["kind"] == "Group" and subject["name"] in ours.groups)
        or (
            subject["kind"] == "User"
            and (subject["name"].startswith("system:bootstrap:") or subject["name"] == ours.user)
        )
    }
