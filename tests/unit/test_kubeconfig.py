"""The operator's kubeconfig: the commonest kind without the official client, all others with it."""

from __future__ import annotations

import base64
import http.server
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_nodes.membership.any_kubeconfig import connect_by_official_loader
from kube_nodes.membership.connection import Connection, connect
from kube_nodes.membership.plain_kubeconfig import read_plain_kubeconfig
from lab.pki import Authority
from lab.stack import CHECKOUT

Config = dict[str, Any]


class _Names(http.server.BaseHTTPRequestHandler):
    """Answers with who asks: the certificate's name, and the authorization."""

    def do_GET(self) -> None:
        assert isinstance(self.connection, ssl.SSLSocket)
        shown = self.connection.getpeercert() or {}
        subject = str(shown.get("subject", "nobody"))
        text = f"{subject} {self.headers.get('authorization')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, with a certificate of a server and one of an operator."""
    folder = tmp_path_factory.mktemp("pki")
    ca = Authority(folder, "ca")
    ca.ensure()
    ca.ensure_certificate("server", "server", addresses=["127.0.0.1"])
    ca.ensure_certificate("admin", "the-operator", organization="system:masters")
    return folder


@pytest.fixture(scope="module")
def server(pki: Path) -> Iterator[str]:
    """The URL of a server that knows its clients by their certificates."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki / "ca.crt"))
    context.load_cert_chain(pki / "server.crt", pki / "server.key")
    context.verify_mode = ssl.CERT_OPTIONAL
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Names) as running:
        running.socket = context.wrap_socket(running.socket, server_side=True)
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.fixture
def config(pki: Path, server: str) -> Config:
    """A kubeconfig as kubeadm writes one."""

    def data(name: str) -> str:
        return base64.b64encode((pki / name).read_bytes()).decode()

    cluster = {"server": server, "certificate-authority-data": data("ca.crt")}
    user = {"client-certificate-data": data("admin.crt"), "client-key-data": data("admin.key")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where KUBECONFIG points, without a proxy."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    # The official client read the variable when it was imported.
    location = "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION"
    monkeypatch.setattr(location, str(tmp_path / "config"))
    return tmp_path / "config"


def _in_files(config: Config, pki: Path, folder: Path) -> None:
    """Name files instead, one of them by a path that begins at the kubeconfig."""
    (folder / "admin.crt").write_bytes((pki / "admin.crt").read_bytes())
    names = {"client-certificate": "admin.crt", "client-key": str(pki / "admin.key")}
    config["users"][0]["user"] = names
    cluster = config["clusters"][0]["cluster"]
    del cluster["certificate-authority-data"]
    cluster["certificate-authority"] = str(pki / "ca.crt")


def _with_token(config: Config, *_: Path) -> None:
    config["users"][0]["user"] = {"token": "a-token"}


def _as_it_is(*_: object) -> None:
    """Keep certificate and key in the kubeconfig."""


@pytest.mark.parametrize("change", [_as_it_is, _in_files, _with_token])
def test_both_ways_to_read_it_reach_the_server_as_the_same_operator(
    config: Config, file: Path, pki: Path, change: Callable[..., None]
) -> None:
    change(config, pki, file.parent)
    file.write_text(yaml.safe_dump(config))
    assert read_plain_kubeconfig() is not None

    def told(connection: Connection) -> list[bytes]:
        pools = (connection.pool, connection.anonymous_pool)
        headers = connection.headers()
        return [pool.request("GET", connection.url, headers=headers).data for pool in pools]

    plainly = told(connect())
    assert plainly == told(connect_by_official_loader())
    assert (b"the-operator" in plainly[0]) is (change is not _with_token)
    assert (b"Bearer a-token" in plainly[0]) is (change is _with_token)
    assert plainly[1].startswith(b"nobody ")


@pytest.mark.parametrize(
    ("place", "more"),
    [
        ("cluster", {"insecure-skip-tls-verify": True}),
        ("cluster", {"tls-server-name": "kubernetes"}),
        ("cluster", {"proxy-url": "http://192.0.2.1:3128"}),
        ("cluster", {"server": "http://127.0.0.1:8080"}),
        ("cluster", {"certificate-authority-data": ""}),
        ("cluster", {"certificate-authority-data": "no base64"}),
        (
            "user",
            {"exec": {"command": "get-token", "apiVersion": "client.authentication.k8s.io/v1"}},
        ),
        ("user", {"auth-provider": {"name": "oidc"}}),
        ("user", {"tokenFile": "/var/run/token"}),
        ("user", {"username": "somebody", "password": "x"}),
        ("user", {"as": "somebody-else"}),
        ("user", {"client-key-data": ""}),
        ("user", {"client-certificate-data": "", "client-key-data": ""}),
    ],
)
def test_whatever_else_it_says_is_for_the_official_client(
    config: Config, file: Path, place: str, more: Config
) -> None:
    config[f"{place}s"][0][place] |= more
    file.write_text(yaml.safe_dump(config))
    assert read_plain_kubeconfig() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "current-context: x\n"])
def test_a_file_that_is_none_is_for_the_official_client_and_its_error(
    file: Path, text: str
) -> None:
    file.write_text(text)
    assert read_plain_kubeconfig() is None


def test_several_files_and_proxies_are_for_the_official_client(
    config: Config, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(yaml.safe_dump(config))
    monkeypatch.setenv("HTTPS_PROXY", "http://192.0.2.1:3128")
    assert read_plain_kubeconfig() is None
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.setenv("KUBECONFIG", f"{file}:{file}")
    assert read_plain_kubeconfig() is None


def test_the_step_of_a_node_imports_no_official_client(config: Config, file: Path) -> None:
    file.write_text(yaml.safe_dump(config))
    text = (
        "import sys\n"
        "from kube_nodes.membership import gate, join, leave, prepare\n"
        "from kube_nodes.membership.connection import connect\n"
        "connect()\n"
        "print([name for name in ('kubernetes', 'pydantic', 'requests') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
