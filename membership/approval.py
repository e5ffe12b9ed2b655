"""Approve certificate requests of declared nodes: exactly the object that the rules looked at."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Mapping

from kube_nodes.membership.api import Api, ApiError, Object
from kube_nodes.model.certificate_requests import Verdict, judge, read_certificate_request
from kube_nodes.model.requests import DeclaredNode

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


def judge_manifest(manifest: Object, nodes: Mapping[str, DeclaredNode]) -> Verdict:
    """Hold a CertificateSigningRequest against the rules."""
    return judge(read_certificate_request(manifest), nodes)


def refuse_second_life(verdict: Verdict, manifest: Object, *, member: bool) -> Verdict:
    """Leave a request of the static user for a node that is a member already.

    The static token is never closed as a node's own one is: without this, whoever has it (root on
    every host that joined with it) could become any node that is in the cluster.
    """
    node = verdict.node
    if not (verdict.approve and member and node and node.bootstrap_user):
        return verdict
    if manifest["spec"].get("username") != node.bootstrap_user:
        return verdict
    text = (
        f"{node.id} is a member, and a member renews with its own certificate; to let its host join"
        " anew, raise its generation"
    )
    return Verdict(approve=False, reason="member", text=text, node=node)


def approve(api: Api, manifest: Object, message: str) -> bool:
    """Approve this request if it still is what was read; False if it changed or has gone.

    The uid and resourceVersion in the body hold the API server to it: a request made anew under
    the same name, or denied by somebody meanwhile, is a conflict.
    """
    body = copy.deepcopy(manifest)
    body.update(apiVersion="certificates.k8s.io/v1", kind="CertificateSigningRequest")
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {
        "type": "Approved",
        "status": "True",
        "reason": "KubeNodesApproved",
        "message": message,
        "lastUpdateTime": now,
    }
    body["status"] = {"conditions": [condition]}
    try:
        api.replace(f"{REQUESTS}/{body['metadata']['name']}/approval", body)
    except ApiError as error:
        if error.conflict or error.not_found:
            return False
        raise
    return True


def outcome(manifest: Object) -> str:
    """Say in a word where a request stands: pending, approved, issued, denied or failed."""
    status = manifest.get("status") or {}
    if status.get("certificate"):
        return "issued"
    kinds = {condition["type"] for condition in status.get("conditions") or []}
    for kind in ("Denied", "Failed", "Approved"):
        if kind in kinds:
            return kind.lower()
    return "pending"
