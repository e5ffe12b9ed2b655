"""A simulated kubelet: real keys, requests, certificates and Node objects; it runs no pod.

What it knows it reads from the scripts that its host was sent: API server, CA, token and version.
Its identity is a file of the host's, as a kubelet's is.
"""

from __future__ import annotations

import base64
import datetime
import http.client
import ipaddress
import json
import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kube_nodes.render.script_reading import parse_units_script

_REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_CLIENT = ("kubernetes.io/kube-apiserver-client-kubelet", "client auth")
_SERVING = ("kubernetes.io/kubelet-serving", "server auth")
_BOOTSTRAP, _CA = "/bootstrap-kubelet.conf", "/ca.crt"
_PATIENCE_SECONDS = 120
_MERGE = "application/merge-patch+json"
# Both as this project's kubelet configuration registers a node.
_JOINING = {"key": "kube-nodes/joining", "effect": "NoSchedule"}
_CAPACITY = {"cpu": "4", "memory": "16Gi", "ephemeral-storage": "100Gi", "pods": "110"}


class RefusedError(Exception):
    """The API server refused a request of the kubelet's."""


@dataclass(frozen=True)
class Sent:
    """What the host was sent of the cluster."""

    server: str
    version: str
    ca: str
    token: str = field(repr=False)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the scripts that the host has kept."""
        units = parse_units_script((folder / "units").read_text(encoding="utf-8"))
        secret = parse_units_script((folder / "credentials").read_text(encoding="utf-8"))
        (bootstrap,) = (each for each in secret.files if each.path.endswith(_BOOTSTRAP))
        (ca,) = (each for each in units.files if each.path.endswith(_CA))
        (version,) = (each.version for each in units.binaries if each.path.endswith("/kubelet"))
        kubeconfig = yaml.safe_load(bootstrap.content)
        return cls(
            server=kubeconfig["clusters"][0]["cluster"]["server"],
            token=kubeconfig["users"][0]["user"]["token"],
            ca=ca.content,
            version=version,
        )


@dataclass
class Kubelet:
    """One kubelet; each start of it reports anew."""

    name: str
    address: str
    folder: Path
    """The host's own."""

    @property
    def identity(self) -> Path:
        """Its certificate and key, once it has them."""
        return self.folder / "kubelet-client-current.pem"

    def start(self) -> None:
        """Join if it has no identity yet; report Ready; ask for a serving certificate once."""
        sent = Sent.read(self.folder)
        new = not self.identity.exists()
        if new:
            self._bootstrap(sent)
        with closing(_Client(sent, self.identity)) as api:
            if new:
                self._register(api)
            self._report(api, sent.version)
            if new:
                self._request_serving(api)

    def stop(self) -> None:
        """Forget its identity, as a removed host does."""
        self.identity.unlink(missing_ok=True)

    def _bootstrap(self, sent: Sent) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        with closing(_Client(sent)) as api:
            name = _request(api, self.name, key, _CLIENT)
            certificate = _await_certificate(api, name)
        text = certificate + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        self.identity.touch(mode=0o600)
        self.identity.write_bytes(text)

    def _register(self, api: _Client) -> None:
        labels = {
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
        }
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": labels},
            "spec": {"taints": [_JOINING]},
        }
        api.call("POST", "/api/v1/nodes", node, allowed=(http.HTTPStatus.CONFLICT,))

    def _report(self, api: _Client, version: str) -> None:
        machine = (self.folder / "machine-id").read_text(encoding="utf-8").strip()
        status = node_status(self.name, self.address, machine, version, _now("seconds"))
        api.call("PATCH", f"/api/v1/nodes/{self.name}/status", {"status": status}, kind=_MERGE)
        spec = {"holderIdentity": self.name, "renewTime": _now("microseconds")}
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name},
            "spec": spec | {"leaseDurationSeconds": 40},
        }
        conflict = (http.HTTPStatus.CONFLICT,)
        if api.call("POST", _LEASES, lease, allowed=conflict)["kind"] == "Status":
            api.call("PATCH", f"{_LEASES}/{self.name}", {"spec": spec}, kind=_MERGE)

    def _request_serving(self, api: _Client) -> None:
        """Ask; that it is approved and issued is awaited by membership."""
        names = [x509.DNSName(self.name), x509.IPAddress(ipaddress.ip_address(self.address))]
        _request(api, self.name, ec.generate_private_key(ec.SECP256R1()), _SERVING, names)


class _Client:
    """One connection, with the bootstrap token or with the kubelet's own certificate."""

    def __init__(self, sent: Sent, identity: Path | None = None) -> None:
        context = ssl.create_default_context(cadata=sent.ca)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if identity:
            context.load_cert_chain(identity)
        else:
            self._headers["Authorization"] = f"Bearer {sent.token}"
        place = urlsplit(sent.server)
        self._connection = http.client.HTTPSConnection(
            str(place.hostname), place.port, timeout=_PATIENCE_SECONDS, context=context
        )

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        kind: str = "application/json",
        allowed: tuple[int, ...] = (),
    ) -> dict[str, Any]:
        """Send a request; return the answer. Raises RefusedError."""
        headers = self._headers | {"Content-Type": kind}
        text = None if body is None else json.dumps(body)
        self._connection.request(method, path, text, headers)
        answer = self._connection.getresponse()
        found: dict[str, Any] = json.loads(answer.read())
        if answer.status >= http.HTTPStatus.BAD_REQUEST and answer.status not in allowed:
            raise RefusedError(f"{method} {path}: {answer.status} {found.get('message')}")
        return found

    def watch(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield each object that a watch tells of; the connection is used up."""
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise RefusedError(f"GET {path}: {answer.status}")
        for line in answer:
            yield json.loads(line)["object"]

    def close(self) -> None:
        """Close it."""
        self._connection.close()


def node_status(name: str, address: str, machine_id: str, version: str, now: str) -> dict[str, Any]:
    """Return a Node's status as a kubelet reports it; `now` is in RFC 3339."""

    def condition(kind: str, status: str, reason: str, message: str) -> dict[str, str]:
        times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
        return {"type": kind, "status": status, "reason": reason, "message": message, **times}

    enough = "kubelet has sufficient"
    return {
        "addresses": [
            {"type": "InternalIP", "address": address},
            {"type": "Hostname", "address": name},
        ],
        "capacity": _CAPACITY,
        "allocatable": _CAPACITY,
        "conditions": [
            condition(
                "MemoryPressure",
                "False",
                "KubeletHasSufficientMemory",
                f"{enough} memory available",
            ),
            condition(
                "DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no pressure"
            ),
            condition("PIDPressure", "False", "KubeletHasSufficientPID", f"{enough} PID available"),
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "architecture": "amd64",
            "bootID": machine_id,
            "containerRuntimeVersion": "containerd://2.1.4",
            "kernelVersion": "6.12.0",
            "kubeProxyVersion": "",
            "kubeletVersion": version,
            "machineID": machine_id,
            "operatingSystem": "linux",
            "osImage": "simulated",
            "systemUUID": machine_id,
        },
    }


def _request(
    api: _Client,
    name: str,
    key: ec.EllipticCurvePrivateKey,
    signer: tuple[str, str],
    names: list[x509.GeneralName] | None = None,
) -> str:
    """Send a certificate request; return its name."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{name}"),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    body = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"generateName": "csr-"},
        "spec": {
            "request": base64.b64encode(pem).decode(),
            "signerName": signer[0],
            "usages": ["digital signature", signer[1]],
        },
    }
    return str(api.call("POST", _REQUESTS, body)["metadata"]["name"])


def _await_certificate(api: _Client, name: str) -> bytes:
    """Watch a request until its certificate is there."""
    query = f"watch=true&fieldSelector=metadata.name%3D{name}&timeoutSeconds={_PATIENCE_SECONDS}"
    for request in api.watch(f"{_REQUESTS}?{query}"):
        if certificate := (request.get("status") or {}).get("certificate"):
            return base64.b64decode(certificate)
    raise RefusedError(f"{name} was not issued in {_PATIENCE_SECONDS} s")


def _now(precision: str) -> str:
    text = datetime.datetime.now(datetime.UTC).isoformat(timespec=precision)
    return text.replace("+00:00", "Z")
