"""A DNS server for one name, behind a Service: what a cluster's own would answer."""

from __future__ import annotations

import ipaddress
import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.nodes_stack import NodesStack

_ADDRESS_RECORD = b"\0\x01\0\x01"


@contextmanager
def cluster_dns(nodes: NodesStack, address: str, answer: str) -> Iterator[None]:
    """Run the server on this machine, and a Service with this address that leads to it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((nodes.lab.gateway, 0))
        thread = threading.Thread(target=_serve, args=(server, answer), daemon=True)
        thread.start()
        _apply(nodes, _objects(address, *server.getsockname()))
        try:
            yield
        finally:
            nodes.kubectl("delete", "-n", "kube-system", "service/kube-dns", "endpointslice/kn-dns")
            server.sendto(b"", server.getsockname())
            thread.join(timeout=10)


def _serve(server: socket.socket, answer: str) -> None:
    """Answer every question for an IPv4 address alike, until something empty comes."""
    while True:
        query, client = server.recvfrom(512)
        if not query:
            return
        record = b"\xc0\x0c" + _ADDRESS_RECORD + b"\0\0\0\x1e\0\x04"
        counts = b"\0\x01\0\x01\0\0\0\0"
        head = query[:2] + b"\x85\0" + counts
        server.sendto(head + query[12:] + record + ipaddress.ip_address(answer).packed, client)


def _objects(address: str, host: str, port: int) -> list[dict[str, object]]:
    metadata = {"namespace": "kube-system"}
    dns = {"name": "dns", "protocol": "UDP"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**metadata, "name": "kube-dns"},
            "spec": {"clusterIP": address, "ports": [{**dns, "port": 53}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                **metadata,
                "name": "kn-dns",
                "labels": {"kubernetes.io/service-name": "kube-dns"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [host]}],
            "ports": [{**dns, "port": port}],
        },
    ]


def _apply(nodes: NodesStack, objects: list[dict[str, object]]) -> None:
    subprocess.run(
        ["kubectl", "apply", "-f", "-"],
        input="".join(f"{json.dumps(each)}\n" for each in objects),
        env=nodes.stack.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
