"""Before anything on a host changes: drain what must be drained, and open the node's token."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from kube_nodes.membership import adoption, nodes, tokens
from kube_nodes.membership.api import Api, ApiError, Object, UnreachableError
from kube_nodes.membership.cluster import reach
from kube_nodes.membership.deletion import delete_node, delete_pods
from kube_nodes.membership.drain import drain
from kube_nodes.membership.errors import MembershipError
from kube_nodes.membership.machines import refuse_twins
from kube_nodes.membership.progress import Progress
from kube_nodes.membership.readiness import Started, another_machine
from kube_nodes.model.requests import PrepareRequest, render_open_until
from kube_nodes.model.version_skew import check_skew

_DELETE_SECONDS = 30.0
_DRAIN_REMEDY = "mend what holds them and run again, or set drainForce"


def prepare(request: PrepareRequest, progress: Progress) -> str:
    """Make the cluster ready for a change on the host; return what to print.

    A member whose kubelet's minor version changes is drained (in-place minor upgrades are
    unsupported); it stays cordoned until `join` finds it Ready. A node that is no member yet gets
    its token opened before its kubelet starts: a kubelet that is refused first backs off. The Node
    of an unfinished join stays: a running kubelet would not register another one. A machine whose
    numbers another Node reports is refused. With `adopt`, a Node that joined by other means is
    looked at, and no token opened: its kubelet has its certificate. For a host that is lost there
    is nothing to do.
    """
    if request.lost:
        return "lost"
    api = reach(request.cluster, progress)
    declared = request.node
    try:
        check_skew(declared.version, api.minor)
    except ValueError as error:
        raise MembershipError(f"{error}. Nothing was changed") from None
    node = api.find(nodes.node_path(declared.name))
    if node is not None and nodes.is_member(node, declared):
        _refuse_another_machine(node, request, progress)
        if nodes.minor(nodes.kubelet_version(node)) == nodes.minor(declared.version):
            return "member"
        with _undoing_cordon(api, declared.name, progress):
            drain(api, node, request.drain, progress, remedy=_DRAIN_REMEDY)
        return f"drained for {declared.version}"
    refuse_twins(api, declared.name, request.machine)
    if request.adopt and node is not None and not nodes.is_ours(node):
        return adoption.begin(node, request)
    if request.static_token is not None:
        # Before a Node is taken out that could not come back.
        tokens.try_static_token(api, request.static_token, str(declared.bootstrap_user))
    if node is not None and (not nodes.is_joining(node) or nodes.is_elsewhere(node, declared)):
        _take_out(api, node, request, progress)
    if request.token is None:
        return "joining"
    end = tokens.open_token(api, request.token, declared.name)
    try:
        tokens.try_token(api, request.token, progress)
    except MembershipError:
        tokens.close_token(api, request.token.id)
        raise
    return f"joining\n{render_open_until(end)}"


def forget(request: PrepareRequest, progress: Progress) -> str:
    """Delete the Node of a removed host, when its kubelet has stopped; return what to print."""
    api = reach(request.cluster, progress)
    name = request.node.name
    node = api.find(nodes.node_path(name))
    generation = str(request.node.generation)
    if node is None:
        delete_pods(api, name)
        return f"Node {name} has gone"
    ours = nodes.annotation(node, nodes.GENERATION) == generation or nodes.is_joining(node)
    if not ours and request.adopt and not nodes.is_ours(node):
        ours = adoption.has_stopped(api, name, progress)
    if not ours:
        progress.say(f"the Node {name} is not of generation {generation}; it is left alone")
        return f"Node {name} is not ours"
    delete_node(api, node)
    return f"Node {name} deleted"


def _refuse_another_machine(node: Object, request: PrepareRequest, progress: Progress) -> None:
    """Say before anything on it changes that no token will let this host in.

    At the member's own address a machine id may have been written anew on the same host, whose
    kubelet reports it when it starts next: that is told, and not refused.

    Raises:
        MembershipError: the member is another machine than the host that preflight looked at, and
            at another address.
    """
    declared = request.node
    other = another_machine(node, Started(machine_id=request.machine.machine_id or None))
    if not other:
        return
    if nodes.is_elsewhere(node, declared):
        raise MembershipError(
            f"{declared.id} is now another machine: {other}. Give the new one an id of its own, or"
            " raise its generation. Nothing was changed"
        )
    progress.say(f"{other}; if the host was installed anew, raise the node's generation")


def _take_out(api: Api, node: Object, request: PrepareRequest, progress: Progress) -> None:
    """Remove the Node of an earlier generation, or of another machine's join that was cut."""
    name = node["metadata"]["name"]
    if not nodes.is_ours(node):
        raise MembershipError(
            f"a Node {name} exists that did not join through kube-nodes; if it is this host's, set"
            " adopt; if this host shall take its place, drain it and run:"
            f" kubectl delete node {name}"
        )
    # Nothing ends pods on a host that is down; with the Node gone, the cluster forgets them.
    with _undoing_cordon(api, name, progress):
        if nodes.is_ready(node):
            drain(api, node, request.drain, progress, remedy=_DRAIN_REMEDY)
        _delete(api, node, progress)


@contextmanager
def _undoing_cordon(api: Api, name: str, progress: Progress) -> Iterator[None]:
    """Undo our cordon if the block fails or is interrupted.

    The engine does not record a failed update: after the configuration is reverted nothing runs
    that would undo it.
    """
    try:
        yield
    except BaseException:
        try:
            if nodes.uncordon(api, name):
                progress.say(f"the Node {name} is schedulable again")
        except (ApiError, UnreachableError, MembershipError):
            progress.say(f"the Node {name} stays cordoned; `make approve` undoes that")
        raise


def _delete(api: Api, node: Object, progress: Progress) -> None:
    """Delete a Node, and wait until it has gone."""
    name = node["metadata"]["name"]
    uid = node["metadata"]["uid"]
    end = time.monotonic() + _DELETE_SECONDS
    api.delete(nodes.node_path(name), uid=uid)
    while (left := api.find(nodes.node_path(name))) and left["metadata"]["uid"] == uid:
        if time.monotonic() > end:
            finalizers = ", ".join(left["metadata"].get("finalizers") or ["none"])
            raise MembershipError(f"the Node {name} is not deleted; its finalizers: {finalizers}")
        progress.awaiting(f"the Node {name} to be deleted")
        time.sleep(0.2)
