"""The certificate requests of one node while it joins: approved, or left and told of."""

from __future__ import annotations

import datetime

from kube_nodes.membership.api import Api, Object
from kube_nodes.membership.approval import approve, oldest_first, outcome
from kube_nodes.membership.progress import Progress
from kube_nodes.membership.standing import standing_of
from kube_nodes.model.certificate_requests import (
    CLIENT_SIGNER,
    SERVING_SIGNER,
    Verdict,
    find_node,
    index_by_name,
    judge,
    read_certificate_request,
)
from kube_nodes.model.requests import DeclaredNode

# Refusals for what the cluster holds, which passes; the request itself never changes.
_PASSING = frozenset({"ready", "rival"})
# A stranger with the token can make any number of them.
_MAX_TOLD = 20


class OwnRequests:
    """What the node's own requesters asked for, by the request's name."""

    def __init__(self, api: Api, declared: DeclaredNode, progress: Progress) -> None:
        self._api = api
        self._declared = declared
        self._inventory = index_by_name([declared])
        self._progress = progress
        self._manifests: dict[str, Object] = {}
        self._refused: dict[str, Verdict] = {}
        self._told = 0

    def take(self, manifest: Object, *, deleted: bool) -> None:
        """Note a request as it is now, if it is one of this node's."""
        if not self._is_own(manifest):
            return
        name = manifest["metadata"]["name"]
        known = self._manifests.get(name)
        if deleted or (known and known["metadata"]["uid"] != manifest["metadata"]["uid"]):
            self._manifests.pop(name, None)
            self._refused.pop(name, None)
        if not deleted:
            self._manifests[name] = manifest

    def approve_pending(self, node: Object | None) -> None:
        """Approve what keeps the rules, and tell of the rest once.

        Args:
            node: the Node as it is now; None while there is none.
        """
        for manifest in oldest_first(self._manifests.values()):
            name = manifest["metadata"]["name"]
            before = self._refused.get(name)
            if outcome(manifest) != "pending" or (before and before.reason not in _PASSING):
                continue
            verdict = self._judge(manifest, node)
            if verdict.approve:
                approved = approve(self._api, manifest, f"kube-nodes: {verdict.text}")
                if approved is None:
                    # Perhaps by somebody else: a younger request waits until the watch says so.
                    return
                # Known at once: the next request is judged before the watch tells of this one.
                self._manifests[name] = approved
                self._refused.pop(name, None)
            elif before is None or before.reason != verdict.reason:
                self._refused[name] = verdict
                self._tell(name, verdict)

    @property
    def any(self) -> bool:
        """Whether the node asked for anything."""
        return bool(self._manifests)

    @property
    def refused(self) -> bool:
        """Whether a request of the node's is left pending."""
        return any(outcome(self._manifests[name]) == "pending" for name in self._refused)

    @property
    def served_at(self) -> str:
        """Creation time of the newest serving request that was issued; empty without one."""
        return max(
            (
                manifest["metadata"]["creationTimestamp"]
                for manifest in self._manifests.values()
                if manifest["spec"]["signerName"] == SERVING_SIGNER
                and outcome(manifest) == "issued"
            ),
            default="",
        )

    def client_states(self) -> list[str]:
        """Say where each request for a client certificate stands."""
        return [
            self._state(name, manifest)
            for name, manifest in self._manifests.items()
            if manifest["spec"]["signerName"] == CLIENT_SIGNER
        ]

    def describe(self) -> str:
        """Say where each request stands, and at what time."""
        now = datetime.datetime.now().strftime("%H:%M:%S")
        states = [
            f"{name} {self._state(name, own)}" for name, own in sorted(self._manifests.items())
        ]
        listed = "; ".join(states[:_MAX_TOLD]) or "none seen"
        more = f"; and {len(states) - _MAX_TOLD} more" if len(states) > _MAX_TOLD else ""
        return f" (certificate requests at {now}: {listed}{more})"

    def _judge(self, manifest: Object, node: Object | None) -> Verdict:
        declared = self._declared
        standing = standing_of(declared, node, self._manifests.values(), self._api.now())
        request = read_certificate_request(manifest)
        return judge(request, self._inventory, {declared.name: standing})

    def _is_own(self, manifest: Object) -> bool:
        username = manifest["spec"].get("username")
        if username == self._declared.bootstrap_user:
            # The static user asks for every node.
            request = read_certificate_request(manifest)
            return find_node(request, self._inventory) is not None
        return username in (self._declared.requester, self._declared.user)

    def _state(self, name: str, manifest: Object) -> str:
        if name in self._refused and outcome(manifest) == "pending":
            return f"left pending: {self._refused[name].text}"
        return outcome(manifest)

    def _tell(self, name: str, verdict: Verdict) -> None:
        # A node renews its own certificate, and kube-controller-manager approves that.
        if verdict.reason == "renewal":
            return
        self._told += 1
        if self._told <= _MAX_TOLD:
            self._progress.say(f"{name} left pending: {verdict.text}")
