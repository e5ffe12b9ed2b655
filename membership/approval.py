"""Approve certificate requests of declared nodes: exactly the object that the rules looked at."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from kube_nodes.membership.api import Api, ApiError, Object, segment

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


def approve(api: Api, manifest: Object, message: str) -> Object | None:
    """Approve this request if it still is what was read; None if it changed or has gone.

    The uid and resourceVersion in the body hold the API server to it: a request made anew under
    the same name, or denied by somebody meanwhile, is a conflict.
    """
    body = copy.deepcopy(manifest)
    body.update(apiVersion="certificates.k8s.io/v1", kind="CertificateSigningRequest")
    condition = {
        "type": "Approved",
        "status": "True",
        "reason": "KubeNodesApproved",
        "message": message,
        "lastUpdateTime": api.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    body["status"] = {"conditions": [condition]}
    try:
        return api.replace(f"{REQUESTS}/{segment(body['metadata']['name'])}/approval", body)
    except ApiError as error:
        if error.conflict or error.not_found:
            return None
        raise


def oldest_first(manifests: Iterable[Object]) -> list[Object]:
    """Sort requests by when they were made, the same for everybody who looks.

    Of two requests for one name only the older is approved, also by two approvers at once: who sees
    the younger one sees the older one, too.
    """
    return sorted(manifests, key=_age)


def _age(manifest: Object) -> tuple[str, int]:
    """Times are whole seconds; the version of what nobody has changed yet is of its making."""
    metadata = manifest["metadata"]
    version = metadata["resourceVersion"]
    return metadata["creationTimestamp"], int(version) if version.isdecimal() else 0


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
