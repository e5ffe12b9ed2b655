"""A kubelet's part in joining: real keys, requests, certificates, Node objects; no containers."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.plugins.control_plane import Answer, ControlPlane

# As the kubelet 1.37 says it, with containerd's own words in it.
NO_NETWORK = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady"
    " message:Network plugin returns error: cni plugin not initialized"
)
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
NODE_INFO = (
    "architecture",
    "bootID",
    "containerRuntimeVersion",
    "kernelVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "osImage",
    "systemUUID",
)


@dataclass
class Kubelet:
    """One kubelet, with the identity that it has so far."""

    plane: ControlPlane
    name: str
    version: str = "v1.37.2"
    address: str = "10.0.0.11"
    machine_id: str = "0123456789abcdef0123456789abcdef"
    patience_seconds: float = 20.0
    identity: ssl.SSLContext | None = field(default=None, repr=False)
    _registered: bool = field(default=False, repr=False)

    def join(self, token: str) -> None:
        """Do all that a new kubelet does, up to its serving certificate."""
        self.bootstrap(token)
        self.register()
        self.request_serving()

    def bootstrap(
        self,
        token: str,
        common_name: str = "",
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        """Ask for a client certificate with a bootstrap token, and take it when it comes."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = make_request(key, common_name or f"system:node:{self.name}")
        name = self.request(pem, "kubernetes.io/kube-apiserver-client-kubelet", "client", token)
        meanwhile()
        certificate = self._await_certificate(name, token)
        self.identity = self._context()
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate + _private_pem(key))
            file.flush()
            self.identity.load_cert_chain(file.name)

    def request_serving(self, *more_addresses: str) -> str:
        """Ask for a serving certificate; return the request's name."""
        addresses = map(ipaddress.ip_address, (self.address, *more_addresses))
        names = [x509.DNSName(self.name), *map(x509.IPAddress, addresses)]
        key = ec.generate_private_key(ec.SECP256R1())
        pem = make_request(key, f"system:node:{self.name}", names)
        return self.request(pem, "kubernetes.io/kubelet-serving", "server")

    def request_client(self) -> str:
        """Ask for another client certificate, as the node itself; return the request's name."""
        pem = make_request(ec.generate_private_key(ec.SECP256R1()), f"system:node:{self.name}")
        return self.request(pem, "kubernetes.io/kube-apiserver-client-kubelet", "client")

    def request(self, pem: bytes, signer: str, purpose: str, token: str = "") -> str:
        """Send a certificate request, again while the token is refused; return its name."""
        body = {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"generateName": "csr-"},
            "spec": {
                "request": base64.b64encode(pem).decode(),
                "signerName": signer,
                "usages": ["digital signature", f"{purpose} auth"],
            },
        }
        end = time.monotonic() + self.patience_seconds
        while (answer := self.call("POST", REQUESTS, body, token)).status == 401:
            assert time.monotonic() < end, "the token is not let in"
            time.sleep(0.05)
        assert answer.status == 201, answer.body
        return str(answer.body["metadata"]["name"])

    def register(self, ready: bool = True) -> None:
        """Make the Node, unless it is there, and report its status.

        Once a start, as kubelet_node_status.go (registrationCompleted): later only the status.
        """
        if self._registered:
            self.report(ready)
            return
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name},
            "spec": {"taints": [{"key": "kube-nodes/joining", "effect": "NoSchedule"}]},
        }
        answer = self.call("POST", "/api/v1/nodes", node)
        assert answer.status in (201, 409), answer.body
        self._registered = True
        self.report(ready)

    def restart(self) -> None:
        """Start anew, with the identity that it has."""
        self._registered = False

    def report(self, ready: bool = True) -> None:
        """Report Ready or not, now."""
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {
            "type": "Ready",
            "status": "True" if ready else "False",
            "reason": "KubeletReady" if ready else "KubeletNotReady",
            "message": "kubelet is posting ready status" if ready else NO_NETWORK,
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        info = dict.fromkeys(NODE_INFO, "")
        info |= {"kubeletVersion": self.version, "machineID": self.machine_id}
        kind = "application/merge-patch+json"
        addresses = [
            {"type": "InternalIP", "address": self.address},
            {"type": "Hostname", "address": self.name},
        ]
        status = {"status": {"addresses": addresses, "conditions": [condition], "nodeInfo": info}}
        answer = self.call("PATCH", f"/api/v1/nodes/{self.name}/status", status, kind=kind)
        assert answer.status == 200, answer.body

    def renew_lease(self) -> None:
        """Renew the node's lease, now."""
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": self.name, "renewTime": now}
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name},
            "spec": spec,
        }
        if self.call("POST", path, lease).status == 409:
            kind = "application/merge-patch+json"
            self.call("PATCH", f"{path}/{self.name}", {"spec": spec}, kind=kind)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str = "",
        kind: str = "application/json",
    ) -> Answer:
        """Send one request, with the token or with the kubelet's own certificate."""
        headers = {"Content-Type": kind}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(  # noqa: S310
            self.plane.server + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers=headers,
        )
        context = self._context() if token or self.identity is None else self.identity
        try:
            with urllib.request.urlopen(request, context=context) as answer:  # noqa: S310
                return Answer(answer.status, json.load(answer))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, json.load(error))

    def _await_certificate(self, name: str, token: str) -> bytes:
        end = time.monotonic() + self.patience_seconds
        while time.monotonic() < end:
            # Read as the administrator: the token may be closed before the certificate is fetched.
            status = self.plane.get(f"{REQUESTS}/{name}").get("status") or {}
            if status.get("certificate"):
                return base64.b64decode(status["certificate"])
            time.sleep(0.03)
        raise AssertionError(f"{name} was not issued")

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(Path(self.plane.directory) / "ca.crt"))


def make_request(
    key: ec.EllipticCurvePrivateKey,
    common_name: str,
    names: list[x509.GeneralName] | None = None,
) -> bytes:
    """Return a PEM request as a kubelet's."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
