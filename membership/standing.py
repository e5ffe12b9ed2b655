"""What the cluster holds already under a declared node's name: the rules ask for it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from kube_nodes.membership import nodes
from kube_nodes.membership.api import Object
from kube_nodes.membership.approval import outcome
from kube_nodes.model.certificate_requests import (
    CLIENT_SIGNER,
    Standing,
    read_certificate_request,
)
from kube_nodes.model.requests import DeclaredNode

# A kubelet registers its Node within a second of its certificate; one that was started again in
# that second asks anew, with another key, and is let in after this.
_RIVAL_SECONDS = 10.0


def standing_of(
    declared: DeclaredNode,
    node: Object | None,
    requests: Iterable[Object],
    now: datetime.datetime,
) -> Standing:
    """Sum up what is known of one node's name.

    Args:
        declared: the node.
        node: its Node object, if there is one.
        requests: certificate requests, whoever made them.
        now: time of the API server's clock.
    """
    return Standing(
        member=nodes.is_member(node, declared),
        ready=node is not None and nodes.is_ready(node),
        approved=tuple(
            read_certificate_request(request)
            for request in requests
            if request["spec"].get("signerName") == CLIENT_SIGNER
            and request["spec"].get("username") == declared.requester
            and _approved_moments_ago(request, now)
        ),
    )


def _approved_moments_ago(request: Object, now: datetime.datetime) -> bool:
    """Compare with the time that the approver wrote: its clock may be a little off."""
    if outcome(request) not in ("approved", "issued"):
        return False
    times = [
        datetime.datetime.fromisoformat(condition["lastUpdateTime"])
        for condition in request["status"].get("conditions") or []
        if condition["type"] == "Approved" and condition.get("lastUpdateTime")
    ]
    return any(abs((now - time).total_seconds()) < _RIVAL_SECONDS for time in times)
