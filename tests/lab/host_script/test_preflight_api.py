"""What preflight finds of the way to the API server, and of the clock."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.documented import assert_documented
from tests.lab.host_script.preflight_host import (
    cni,
    found,
)
from tests.lab.host_script.script_host import ScriptHost

__all__ = ["cni"]  # a fixture

pytestmark = pytest.mark.lab


@contextmanager
def api_server(host: ScriptHost, date: float) -> Iterator[str]:
    """Answer on the lab's gateway like an API server whose clock shows `date`."""

    class Handler(BaseHTTPRequestHandler):
        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(date, usegmt=True)

        def do_GET(self) -> None:
            self.send_response(401)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer((host.spec.gateway, 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pki = host.spec.path("pki")
    context.load_cert_chain(pki / "kube-apiserver.crt", pki / "kube-apiserver.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://{host.spec.gateway}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("ahead", "finds"), [(300, True), (-300, True), (20, False)])
def test_a_clock_that_is_not_the_api_servers_is_found(
    host: ScriptHost, ahead: int, finds: bool
) -> None:
    """Hosts of the lab have the machine's clock: it is the server's that is off."""
    with api_server(host, time.time() + ahead) as url:
        findings = found(host, api_server=url)
    assert bool(findings) == finds
    for finding in findings:
        assert abs(int(finding.split()[1]) + ahead) <= 30
        assert_documented(f"n1: {finding}", "Clock off")


def test_an_api_server_that_the_host_does_not_reach_is_found(host: ScriptHost) -> None:
    with socket.socket() as closed:  # bound and not listening: refused at once
        closed.bind((host.spec.gateway, 0))
        url = f"https://{host.spec.gateway}:{closed.getsockname()[1]}"
        (finding,) = found(host, api_server=url)
    assert finding.startswith(f"{url}: curl: (7) ")
    assert_documented(f"n1: {finding}", "API server not reached from the host")
