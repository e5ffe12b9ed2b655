"""A real API server of a test's own: etcd and kube-apiserver on loopback, about 3 seconds."""

from __future__ import annotations

import datetime
import ipaddress
import json
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab.tools.cache import Cache, default_cache_root
from lab.tools.detect import find_in_cache
from lab.tools.pins import KUBERNETES_DEFAULT, catalogue

READY_SECONDS = 180
ADMIN_TOKEN = "only-for-this-test"


@dataclass(frozen=True)
class Answer:
    """What the API server said."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True)
class ControlPlane:
    """A running API server and ways to it that are not the plugin's."""

    directory: Path
    server: str

    @property
    def other_server(self) -> str:
        """The same API server under another address."""
        return self.server.replace("127.0.0.1", "localhost")

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.directory / "kubeconfig"

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Answer:
        """Send one request as the administrator."""
        request = urllib.request.Request(  # noqa: S310
            self.server + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": content_type},
        )
        context = ssl.create_default_context(cafile=str(self.directory / "ca.crt"))
        try:
            with urllib.request.urlopen(request, context=context) as answer:  # noqa: S310
                return Answer(answer.status, json.load(answer))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, json.load(error))

    def get(self, path: str) -> dict[str, Any]:
        """Return an object that must be there."""
        answer = self.call("GET", path)
        assert answer.status == 200, answer.body
        return answer.body

    def exists(self, path: str) -> bool:
        """Tell whether an object is there."""
        return self.call("GET", path).status == 200

    def merge(self, path: str, patch: Any, manager: str = "somebody-else") -> None:
        """Change an object under another field manager, with an ordinary update."""
        kind = "application/merge-patch+json"
        answer = self.call("PATCH", f"{path}?fieldManager={manager}", patch, kind)
        assert answer.status == 200, answer.body

    def apply(self, path: str, obj: Any, manager: str = "somebody-else") -> None:
        """Apply an object server-side under another field manager, by force."""
        query = f"?fieldManager={manager}&force=true"
        answer = self.call("PATCH", path + query, obj, "application/apply-patch+yaml")
        assert answer.status in {200, 201}, answer.body


@contextmanager
def run_control_plane(
    directory: Path, extra_flags: dict[str, Any] | None = None, tokens: str = ""
) -> Iterator[ControlPlane]:
    """Start etcd and kube-apiserver in a folder, and end them.

    `extra_flags` are more flags of kube-apiserver, without the dashes; `tokens` more lines of its
    file of static tokens.

    There is no controller manager: garbage collection is off, so that a foreground deletion does
    not wait for one, and a namespace is never emptied.
    """
    etcd, api_server = _executables()
    etcd_port, peer_port, port = _free_ports(3)
    _write_pki(directory)
    (directory / "tokens.csv").write_text(f'{ADMIN_TOKEN},admin,admin,"system:masters"\n{tokens}')
    plane = ControlPlane(directory, f"https://127.0.0.1:{port}")
    plane.kubeconfig.write_text(yaml.safe_dump(make_kubeconfig(plane)))
    client = f"http://127.0.0.1:{etcd_port}"
    peer = f"http://127.0.0.1:{peer_port}"
    etcd_flags = {
        "data-dir": directory / "etcd",
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
    }
    api_flags = {
        "etcd-servers": client,
        "bind-address": "127.0.0.1",
        "secure-port": port,
        "tls-cert-file": directory / "server.crt",
        "tls-private-key-file": directory / "server.key",
        "client-ca-file": directory / "ca.crt",
        "token-auth-file": directory / "tokens.csv",
        "authorization-mode": "Node,RBAC",
        "service-cluster-ip-range": "10.96.0.0/16",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": directory / "ca.key",
        "service-account-signing-key-file": directory / "ca.key",
        "enable-garbage-collector": "false",
        "endpoint-reconciler-type": "none",
        "cert-dir": directory,
        **(extra_flags or {}),
    }
    with (
        _process(etcd, [*_flags(etcd_flags), "--unsafe-no-fsync"], directory / "etcd.log"),
        _process(api_server, _flags(api_flags), directory / "kube-apiserver.log") as process,
    ):
        _wait_until_ready(plane, process)
        yield plane


def make_kubeconfig(plane: ControlPlane, server: str = "") -> dict[str, Any]:
    """Return an administrator's kubeconfig; `server` overrides the address."""
    cluster = {
        "server": server or plane.server,
        "certificate-authority": str(plane.directory / "ca.crt"),
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": ADMIN_TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "current-context": "test",
    }


def make_client_certificate(plane: ControlPlane) -> tuple[bytes, bytes]:
    """Return certificate and key, in PEM, of another administrator."""
    ca = x509.load_pem_x509_certificate((plane.directory / "ca.crt").read_bytes())
    ca_key = serialization.load_pem_private_key((plane.directory / "ca.key").read_bytes(), None)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"),
            x509.NameAttribute(NameOID.COMMON_NAME, "certified"),
        ]
    )
    return _issue(subject, ca.subject, ca_key, [])


def _executables() -> tuple[Path, Path]:
    tools, cache = catalogue(KUBERNETES_DEFAULT), Cache(default_cache_root())
    found = [find_in_cache(tools[name], cache) for name in ("etcd", "kube-apiserver")]
    if found[0] is None or found[1] is None:
        pytest.skip("etcd and kube-apiserver are not built yet; run `python -m lab tools`.")
    return found[0], found[1]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _flags(values: dict[str, Any]) -> list[str]:
    return [f"--{name}={value}" for name, value in values.items()]


@contextmanager
def _process(executable: Path, flags: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen([executable, *flags], stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(plane: ControlPlane, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            # The default namespace is the last that the API server makes for itself.
            if plane.exists("/api/v1/namespaces/default") and _is_ready(plane):
                return
        except OSError:
            pass
        time.sleep(0.1)
    log = (plane.directory / "kube-apiserver.log").read_text()[-2000:]
    raise AssertionError(f"kube-apiserver did not become ready:\n{log}")


def _is_ready(plane: ControlPlane) -> bool:
    context = ssl.create_default_context(cafile=str(plane.directory / "ca.crt"))
    try:
        with urllib.request.urlopen(plane.server + "/readyz", context=context) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False


def _write_pki(directory: Path) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
    ca, ca_key_text = _issue(name, name, None, [])
    ca_key = serialization.load_pem_private_key(ca_key_text, None)
    server = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    certificate, key = _issue(server, name, ca_key, names)
    for file, content in {
        "ca.crt": ca,
        "ca.key": ca_key_text,
        "server.crt": certificate,
        "server.key": key,
    }.items():
        (directory / file).write_bytes(content)


def _issue(
    subject: x509.Name, issuer: x509.Name, issuer_key: Any, names: list[x509.GeneralName]
) -> tuple[bytes, bytes]:
    """Return certificate and key in PEM; without a key of the issuer it is a CA of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(issuer_key is None, None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(issuer_key or key, hashes.SHA256())
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        ),
    )
