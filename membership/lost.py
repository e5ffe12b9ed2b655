"""A host that will never be reached again: its Node goes, its token is shut, nothing is awaited."""

from __future__ import annotations

from kube_nodes.membership import nodes, tokens
from kube_nodes.membership.cluster import reach
from kube_nodes.membership.deletion import delete_node, delete_pods
from kube_nodes.membership.errors import MembershipError
from kube_nodes.membership.progress import Progress
from kube_nodes.model.requests import JoinRequest


def write_off(request: JoinRequest, progress: Progress) -> str:
    """Delete the Node of a lost host with its pods, and close its token; return what to print.

    Raises:
        MembershipError: its kubelet still reports. Pods that are deleted here count as ended, and
            others take their names and volumes; theirs would run on.
    """
    api = reach(request.cluster, progress)
    name = request.node.name
    # First of all: whoever has the host may have its token.
    if request.token is not None:
        tokens.close_token(api, request.token.id)
    node = api.find(nodes.node_path(name))
    if node is None:
        delete_pods(api, name)
        return f"lost: Node {name} has gone"
    if not nodes.is_ours(node):
        progress.say(f"the Node {name} did not join through kube-nodes; it is left alone")
        return f"lost: Node {name} is not ours"
    if nodes.is_ready(node):
        raise MembershipError(
            f"the Node {name} is Ready, so its kubelet reports: if its host has just gone, run"
            " again in a minute; if it runs, take `lost` back, and remove the node as any other;"
            f" if it runs and is no longer yours: kubectl delete node {name}, and run again."
            " The Node was not changed"
        )
    delete_node(api, node)
    return f"lost: Node {name} deleted"
