"""Before anything on a host changes: drain what must be drained, and open the node's token."""

from __future__ import annotations

import time

from kube_nodes.membership import nodes, tokens
from kube_nodes.membership.api import Api, Object
from kube_nodes.membership.cluster import reach
from kube_nodes.membership.drain import drain
from kube_nodes.membership.errors import MembershipError
from kube_nodes.membership.progress import Progress
from kube_nodes.model.requests import PrepareRequest
from kube_nodes.model.version_skew import check_skew

_DELETE_SECONDS = 30.0


def prepare(request: PrepareRequest, progress: Progress) -> str:
    """Make the cluster ready for a change on the host; return what to print.

    A member whose kubelet's minor version changes is drained (in-place minor upgrades are
    unsupported); it stays cordoned until `join` finds it Ready. A node that is no member yet gets
    its token opened before its kubelet starts: a kubelet that is refused first backs off.
    """
    api = reach(request.cluster)
    declared = request.node
    try:
        check_skew(declared.version, api.minor)
    except ValueError as error:
        raise MembershipError(f"{error}. Nothing was changed") from None
    node = api.find(nodes.node_path(declared.name))
    if node is not None and nodes.is_member(node, declared):
        if nodes.minor(nodes.kubelet_version(node)) == nodes.minor(declared.version):
            return "member"
        drain(api, declared.name, request.drain, progress)
        return f"drained for {declared.version}"
    if node is not None:
        _take_out(api, node, request, progress)
    if request.token is not None:
        tokens.open_token(api, request.token, declared.name)
        tokens.try_token(api, request.token)
    return "joining"


def forget(request: PrepareRequest, progress: Progress) -> str:
    """Delete the Node of a removed host, when its kubelet has stopped; return what to print."""
    api = reach(request.cluster)
    name = request.node.name
    node = api.find(nodes.node_path(name))
    generation = str(request.node.generation)
    if node is None:
        _delete_pods(api, name)
        return f"Node {name} has gone"
    if nodes.annotation(node, nodes.GENERATION) != generation and not nodes.is_joining(node):
        progress.say(f"the Node {name} is not of generation {generation}; it is left alone")
        return f"Node {name} is not ours"
    api.delete(nodes.node_path(name), uid=node["metadata"]["uid"])
    _delete_pods(api, name)
    return f"Node {name} deleted"


def _delete_pods(api: Api, name: str) -> None:
    """Delete what still names the removed host: its containers ended with its kubelet.

    The cluster would do so itself after a minute, and send requests to dead pods until then.
    """
    listed = api.get("/api/v1/pods", fieldSelector=f"spec.nodeName={name}")
    for pod in listed["items"]:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        api.delete(path, uid=metadata["uid"], grace_seconds=0)


def _take_out(api: Api, node: Object, request: PrepareRequest, progress: Progress) -> None:
    """Remove the Node of an earlier generation, or of a join that was cut."""
    name = node["metadata"]["name"]
    if not nodes.is_ours(node):
        raise MembershipError(
            f"a Node {name} exists that did not join through kube-nodes; if this host shall take"
            f" its place, drain it and run: kubectl delete node {name}"
        )
    # Nothing ends pods on a host that is down; with the Node gone, the cluster forgets them.
    if nodes.is_ready(node):
        drain(api, name, request.drain, progress)
    uid = node["metadata"]["uid"]
    end = time.monotonic() + _DELETE_SECONDS
    api.delete(nodes.node_path(name), uid=uid)
    while (left := api.find(nodes.node_path(name))) and left["metadata"]["uid"] == uid:
        if time.monotonic() > end:
            finalizers = ", ".join(left["metadata"].get("finalizers") or ["none"])
            raise MembershipError(f"the Node {name} is not deleted; its finalizers: {finalizers}")
        time.sleep(0.2)
