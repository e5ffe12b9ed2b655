"""Bring a node into the cluster: approve its requests, wait until it is Ready, make it a member."""

from __future__ import annotations

import datetime
import queue
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from kube_nodes.membership import adoption, nodes, tokens
from kube_nodes.membership.api import Api, ApiError, Object, UnreachableError
from kube_nodes.membership.approval import REQUESTS
from kube_nodes.membership.cluster import reach
from kube_nodes.membership.errors import MembershipError
from kube_nodes.membership.lost import write_off
from kube_nodes.membership.own_requests import OwnRequests
from kube_nodes.membership.pod_cidrs import check_new_node
from kube_nodes.membership.progress import Progress
from kube_nodes.membership.readiness import (
    another_machine,
    lacks_pod_network,
    read_runs,
    why_not_ready,
)
from kube_nodes.membership.watching import Collection, Event, Listed, follow
from kube_nodes.model.labels import Taint
from kube_nodes.model.requests import JoinRequest

# Long enough not to read in vain, short enough for the one thing that no watch tells: the lease.
_TICK_SECONDS = 0.25
# The API server can take a new kubelet for anonymous for half a minute; then the request comes.
_SERVING_SECONDS = 45.0
_REOPEN_SECONDS = 8 * 60.0
# So much may the host's clock be ahead of the API server's.
_CLOCK_SECONDS = 5.0
_NODES = "/api/v1/nodes"


def join(
    request: JoinRequest,
    labels: Mapping[str, str],
    taints: tuple[Taint, ...],
    progress: Progress,
) -> str:
    """See the node Ready at its declared version, and give it its labels and taints.

    The token is closed at the end, also when the node did not come: the next run opens it again.
    It is closed, too, when nothing else had to be done: a run that was cut may have left it open.
    Of a host that is lost the Node is taken away instead.
    """
    if request.lost:
        return write_off(request, progress)
    api = reach(request.cluster, progress)
    with _closing_token(api, request, progress):
        adoption.claim(api, request.node, request.runs.prepare)
        node = _Arrival(api, request, progress).wait()
        # Before it is a member: until then no pod runs there that the cluster would not reach.
        check_new_node(request, node, progress)
        nodes.apply_labels(api, node, labels)
        nodes.make_member(api, request.node, node["metadata"]["uid"], taints)
    return f"joined {request.node.version}"


@contextmanager
def _closing_token(api: Api, request: JoinRequest, progress: Progress) -> Iterator[None]:
    """Close the node's token after the block; where that fails too, the first error is told."""
    token = request.token
    try:
        yield
    except UnreachableError:
        raise
    except BaseException:
        try:
            if token is not None:
                tokens.close_token(api, token.id)
        except (ApiError, UnreachableError):
            progress.say("its token stays open for up to ten minutes; `make approve` closes it")
        raise
    if token is not None:
        tokens.close_token(api, token.id)


class _Arrival:
    """The wait for one node: what was seen of it, and what is still missing."""

    def __init__(self, api: Api, request: JoinRequest, progress: Progress) -> None:
        self._api = api
        self._request = request
        self._declared = request.node
        self._progress = progress
        self._requests = OwnRequests(api, request.node, progress)
        self._run = read_runs(request.runs.credentials, request.runs.units)
        self._node = api.find(nodes.node_path(self._declared.name))
        self._is_new = not nodes.is_member(self._node, self._declared)
        self._reopen_at = 0.0
        self._serving_until: float | None = None
        self._listed: set[Collection] = set()

    def wait(self) -> Object:
        """Wait until nothing is missing. Raises MembershipError at the end of the time."""
        end = time.monotonic() + self._request.timeout_seconds
        self._keep_token_open()
        own = f"metadata.name={self._declared.name}"
        with follow(self._api, Collection(REQUESTS), Collection(_NODES, own)) as changes:
            while True:
                self._refuse_another_machine()
                missing = self._missing()
                if self._node is not None and not missing:
                    return self._node
                if time.monotonic() > end:
                    self._tell_journal()
                    raise MembershipError(self._timed_out(missing))
                self._progress.awaiting(missing)
                self._keep_token_open()
                self._take_all(changes)
                self._requests.approve_pending(self._node)

    def _refuse_another_machine(self) -> None:
        """Do not wait for what cannot come: for a member's name, no token lets a new host in."""
        if (
            not self._is_new
            and self._node is not None
            and nodes.is_elsewhere(self._node, self._declared)
            and (other := another_machine(self._node, self._run))
        ):
            raise MembershipError(
                f"{self._declared.id} is now another machine: {other}."
                " Give the new one an id of its own, or raise its generation"
            )

    def _keep_token_open(self) -> None:
        """Open the token of a node that is no member: prepare's may have expired, or gone."""
        token = self._request.token
        if self._is_new and token is not None and time.monotonic() > self._reopen_at:
            tokens.open_token(self._api, token, self._declared.name)
            self._reopen_at = time.monotonic() + _REOPEN_SECONDS

    def _take_all(self, changes: queue.Queue[Event]) -> None:
        """Wait a tick for an event, and then take all that are there."""
        timeout = _TICK_SECONDS
        while True:
            try:
                change = changes.get(timeout=timeout) if timeout else changes.get_nowait()
            except queue.Empty:
                return
            timeout = 0.0
            if isinstance(change, Exception):
                raise change
            if isinstance(change, Listed):
                self._listed.add(change.collection)
            elif change.collection.path == REQUESTS:
                self._requests.take(change.manifest, deleted=change.deleted)
            else:
                self._node = None if change.deleted else change.manifest

    def _missing(self) -> str:
        """Name the one thing that is awaited; empty when there is none."""
        if len(self._listed) < 2:
            # Also with nothing to wait for: a renewal may be pending, and the Node have changed.
            return "the API server to list the Node and the certificate requests"
        if self._node is None:
            return self._missing_client()
        missing = why_not_ready(self._api, self._node, self._declared, self._run)
        if missing:
            return f"the Node to be Ready: {missing}"
        return self._missing_serving(self._node)

    def _missing_client(self) -> str:
        states = self._requests.client_states()
        if "issued" in states:
            return "the Node to register with its new certificate"
        if "approved" in states:
            return "kube-controller-manager to issue the client certificate"
        if states:
            return f"an acceptable client certificate request; the last one: {states[-1]}"
        return "the kubelet's client certificate request"

    def _missing_serving(self, node: Object) -> str:
        """A node that asked for one is not left without its serving certificate: no logs, no exec.

        One that got no client certificate in this join has its identity from before.
        """
        if self._run.renewed:
            asked = self._run.kubelet_seconds or 0.0
            since = datetime.datetime.fromtimestamp(asked - _CLOCK_SECONDS, datetime.UTC)
            begin = since.strftime("%Y-%m-%dT%H:%M:%SZ")
        elif self._is_new and {"approved", "issued"} & set(self._requests.client_states()):
            begin = node["metadata"]["creationTimestamp"]
        else:
            return ""
        if self._requests.served_at >= begin:
            return ""
        if self._serving_until is None:
            self._serving_until = time.monotonic() + _SERVING_SECONDS
        if time.monotonic() > self._serving_until:
            self._progress.say(
                "no serving certificate was issued in time (kubectl logs and exec need it);"
                f" `make approve` approves a later request{self._requests.describe()}"
            )
            return ""
        return "the kubelet's serving certificate"

    def _tell_journal(self) -> None:
        if self._request.route is not None:
            # Imported late: a join that goes well needs no SSH.
            from kube_nodes.membership.journal import tell_journal

            tell_journal(self._request.route, self._progress)

    def _timed_out(self, missing: str) -> str:
        return (
            f"{self._request.timeout_seconds} s passed waiting for {missing}"
            f"{self._requests.describe()}. {self._remedy()}"
        )

    def _remedy(self) -> str:
        if self._node is None and self._requests.refused:
            return (
                "Correct the host or what is declared of it, so that both are the same node"
                " (`kubectl certificate deny` ends a request that is nobody's), and run again"
            )
        if self._node is None and not self._requests.any:
            return (
                "A kubelet that has registered once does not again until it is restarted: run"
                " `systemctl restart kubelet` on the host and run again, or raise the generation"
            )
        if not self._is_new and self._node and another_machine(self._node, self._run):
            return "If the host was replaced, raise the node's generation"
        if self._node and lacks_pod_network(self._node):
            return (
                "Install the cluster's network add-on. Where it is there, `kubectl get pods -A"
                f" -o wide --field-selector spec.nodeName={self._declared.name}` shows its pod on"
                " this node, and `kubectl describe` what keeps it; then run again"
            )
        return "See `journalctl -u kubelet` on the host; run again to go on"
