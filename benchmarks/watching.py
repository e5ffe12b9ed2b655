"""See a join as it happens: the engine's event log, and objects of the API server."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID
from urllib3.exceptions import HTTPError

from kube_nodes.model.node_annotations import GENERATION
from lab.spec import LabSpec

_POLL_SECONDS = 0.005
_LONGEST_SECONDS = 300
_SERVING = "kubernetes.io/kubelet-serving"


class EventLog:
    """Lines of the engine's event log, each with when it was there; read while it grows.

    The log's own times are whole seconds. What is read here is late by at most _POLL_SECONDS.
    """

    def __init__(self, file: Path) -> None:
        self.lines: list[tuple[float, str]] = []
        self._file = file
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> EventLog:
        self._file.unlink(missing_ok=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _follow(self) -> None:
        place, rest = 0, b""
        while True:
            ended = self._end.is_set()
            if self._file.exists():
                with self._file.open("rb") as log:
                    log.seek(place)
                    read = log.read()
                now = time.time()
                place += len(read)
                *whole, rest = (rest + read).split(b"\n")
                self.lines += [(now, line.decode()) for line in whole if line]
            if ended:
                return
            time.sleep(_POLL_SECONDS)


@contextmanager
def objects(lab: LabSpec) -> Iterator[dict[str, dict[str, float]]]:
    """Watch Nodes and certificate requests in the block; yield when what was seen, by node.

    The objects' own times are whole seconds; what is seen here is late by a watch's way.
    """
    from kubernetes import client, config

    seen: dict[str, dict[str, float]] = {}
    api = config.new_client_from_config(str(lab.path("kubeconfig")))
    nodes = client.CoreV1Api(api).list_node
    requests = client.CertificatesV1Api(api).list_certificate_signing_request
    end = threading.Event()
    for collection, read in ((nodes, read_node), (requests, read_request)):
        arguments = (collection, read, seen, end)
        threading.Thread(target=_watch, args=arguments, daemon=True).start()
    yield seen
    end.set()


def _watch(
    collection: Callable[..., Any],
    read: Callable[[Mapping[str, Any]], tuple[str, list[str]]],
    seen: dict[str, dict[str, float]],
    end: threading.Event,
) -> None:
    from kubernetes import watch

    version = collection().metadata.resource_version
    stream = watch.Watch().stream(
        collection, resource_version=version, timeout_seconds=_LONGEST_SECONDS
    )
    try:
        for event in stream:
            if end.is_set():
                return
            now = time.time()
            name, marks = read(event["raw_object"])
            for mark in marks:
                seen.setdefault(name, {}).setdefault(mark, now)
    except HTTPError:
        # The lab may go before the watch: only while somebody looks that is an error.
        if not end.is_set():
            raise


def read_node(node: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return a Node's name, and what can be seen of its join."""
    metadata, marks = node["metadata"], ["registered"]
    conditions = (node.get("status") or {}).get("conditions") or []
    if any(each["type"] == "Ready" and each["status"] == "True" for each in conditions):
        marks.append("ready")
    if GENERATION in (metadata.get("annotations") or {}):
        marks.append("member")
    return metadata["name"], marks


def read_request(request: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return whose certificate a request asks for, and how far it has come.

    Those for serving are told apart by "serving " before their marks.
    """
    spec, status = request["spec"], request.get("status") or {}
    subject = x509.load_pem_x509_csr(base64.b64decode(spec["request"])).subject
    names = [str(each.value) for each in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    kind = "serving " if spec["signerName"] == _SERVING else ""
    marks = [f"{kind}requested"]
    if any(each["type"] == "Approved" for each in status.get("conditions") or []):
        marks.append(f"{kind}approved")
    if status.get("certificate"):
        marks.append(f"{kind}issued")
    return "".join(names).removeprefix("system:node:"), marks
