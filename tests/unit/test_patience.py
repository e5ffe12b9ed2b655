"""A request that is tried again says what is waited for; what is answered at once says nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import urllib3
from kubernetes.client import Configuration

from kube_nodes.membership.api import Api
from kube_nodes.membership.connection import Connection


@contextmanager
def _server(refusals: int) -> Iterator[str]:
    """A server that answers 503 so many times, and then well."""
    left = [refusals]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            left[0] -= 1
            self.send_response(503 if left[0] >= 0 else 200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _api(url: str, told: list[str]) -> Iterator[Api]:
    with urllib3.PoolManager() as pool:
        yield Api(Connection(url, pool, pool, Configuration()), told.append)


@pytest.mark.parametrize("refusals", [0, 3])
def test_each_try_after_the_first_is_told(refusals: int) -> None:
    told: list[str] = []
    with _server(refusals) as url, _api(url, told) as api:
        assert api.get("/version") == {}
    assert told == [f"the API server {url} to answer"] * refusals


def test_the_thread_of_a_watch_is_silent() -> None:
    """The loop that reads it goes on, and tells what it misses itself."""
    told: list[str] = []
    with _server(3) as url, _api(url, told) as api:
        thread = threading.Thread(target=api.get, args=("/version",))
        thread.start()
        thread.join()
    assert told == []
