"""An HTTP server on the lab's bridge that hosts download from, and that can misbehave."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Artifacts:
    """An HTTP server of programs that can misbehave; requests are on record."""

    url: str
    contents: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    ranges: bool = True
    cut_after: int | None = None
    """Close the connection after so many bytes."""
    cuts: int = 1000
    """How many answers are cut."""
    hold: threading.Event | None = None
    """Send one half, then the rest once it is set."""
    moved: dict[str, str] = field(default_factory=dict)
    """By path, where it is now."""
    page: bytes | None = None
    """What is answered, with 200, to every path that is not there."""

    def put(self, name: str, content: bytes) -> tuple[str, str]:
        """Serve content; return its URL and SHA-256."""
        self.contents[f"/{name}"] = content
        return f"{self.url}/{name}", hashlib.sha256(content).hexdigest()


@contextmanager
def serve_artifacts(address: str) -> Iterator[Artifacts]:
    """Serve programs on the lab's bridge."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, artifacts)

        def log_message(self, *_: Any) -> None:
            """Nothing: requests are on record."""

    server = ThreadingHTTPServer((address, 0), Handler)
    artifacts = Artifacts(f"http://{address}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield artifacts
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(request: BaseHTTPRequestHandler, artifacts: Artifacts) -> None:
    wanted = request.headers.get("Range", "")
    artifacts.requests.append((request.path, wanted))
    if request.path in artifacts.moved:
        request.send_response(302)
        request.send_header("Location", artifacts.moved[request.path])
        request.send_header("Content-Length", "0")
        request.end_headers()
        return
    content = artifacts.contents.get(request.path, artifacts.page)
    if content is None:
        request.send_error(404)
        return
    begin = 0
    if wanted and artifacts.ranges:
        begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if begin >= len(content):
            request.send_error(416)
            return
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
    else:
        request.send_response(200)
    request.send_header("Content-Length", str(len(content) - begin))
    request.end_headers()
    body = content[begin:]
    if artifacts.hold is not None:
        half = len(body) // 2
        request.wfile.write(body[:half])
        request.wfile.flush()
        artifacts.hold.wait(60)
        body = body[half:]
    if artifacts.cut_after is not None and artifacts.cuts > 0:
        artifacts.cuts -= 1
        body = body[: artifacts.cut_after]
    request.wfile.write(body)
