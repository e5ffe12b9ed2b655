"""Have the cluster sign a client certificate for one user: no CA key leaves the cluster."""

from __future__ import annotations

import base64
import queue
import secrets
import time

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from kube_nodes.membership.api import Api, Object
from kube_nodes.membership.approval import REQUESTS, approve, outcome
from kube_nodes.membership.cluster import reach
from kube_nodes.membership.errors import MembershipError
from kube_nodes.membership.progress import Progress
from kube_nodes.membership.watching import Change, Collection, follow
from kube_nodes.model.certificate_requests import USER_SIGNER, judge_user
from kube_nodes.model.client_certificates import find_certificate_faults
from kube_nodes.model.requests import SignRequest


def sign(request: SignRequest, progress: Progress) -> str:
    """Return the certificate, PEM, for the request and user.

    The object in the cluster is removed again; one that a crash left, the cluster removes after an
    hour or a day.
    """
    pem = request.request_pem.encode()
    verdict = judge_user(pem, request.user, request.names)
    if not verdict.approve:
        raise MembershipError(f"the certificate request is refused: {verdict.text}")
    api = reach(request.cluster, progress)
    manifest = api.create(REQUESTS, _manifest(request, pem))
    try:
        if not approve(api, manifest, f"kube-nodes: {verdict.text}"):
            raise MembershipError("the certificate request was changed by somebody else; run again")
        certificate = _await_certificate(api, manifest, request.timeout_seconds, progress)
    finally:
        path = f"{REQUESTS}/{manifest['metadata']['name']}"
        api.delete(path, uid=manifest["metadata"]["uid"])
    _check(certificate.decode(), request)
    return certificate.decode()


def _manifest(request: SignRequest, pem: bytes) -> Object:
    key = x509.load_pem_x509_csr(pem).public_key()
    # With RSA, TLS 1.2 may encrypt a secret to the key; ECDSA keys only sign.
    encipherment = ["key encipherment"] if isinstance(key, rsa.RSAPublicKey) else []
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": f"kube-nodes-{request.name}-{secrets.token_hex(4)}"},
        "spec": {
            "request": base64.b64encode(pem).decode(),
            "signerName": USER_SIGNER,
            "usages": ["digital signature", *encipherment, "client auth"],
        },
    }


def _await_certificate(
    api: Api, manifest: Object, timeout_seconds: float, progress: Progress
) -> bytes:
    name, uid = manifest["metadata"]["name"], manifest["metadata"]["uid"]
    end = time.monotonic() + timeout_seconds
    state = "approved"
    with follow(api, Collection(REQUESTS, f"metadata.name={name}")) as changes:
        while state == "approved" and (left := end - time.monotonic()) > 0:
            try:
                change = changes.get(timeout=min(left, 1.0))
            except queue.Empty:
                progress.awaiting("kube-controller-manager to issue the certificate")
                continue
            if isinstance(change, Exception):
                raise change
            if not isinstance(change, Change) or change.manifest["metadata"]["uid"] != uid:
                continue
            state = "deleted" if change.deleted else outcome(change.manifest)
            if state == "issued":
                return base64.b64decode(change.manifest["status"]["certificate"])
    raise MembershipError(
        f"no certificate was issued within {timeout_seconds:.0f} s; the request was {state}."
        " Is the controller csrsigning of kube-controller-manager on?"
    )


def _check(certificate: str, request: SignRequest) -> None:
    """Hold what the signer gave against what was asked for."""
    names = (f"CN={request.user}", *request.names)
    faults = find_certificate_faults(certificate, request=request.request_pem, names=names)
    if found := "; ".join(faults):
        raise MembershipError(f"the issued certificate {found}; it is not used")
