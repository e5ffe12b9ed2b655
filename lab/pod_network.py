"""The lab's pod network, as a process that follows the cluster's Nodes.

It does what the daemon of a real network add-on does: gives each node the CNI configuration of its
pod range, and routes that range to it. The runtime's own template for that file is written only
while there is none, so a host that joined again with another range would keep the old one.

A node's peers need no route of their own: their way out leads over the gateway, which has them.
Run by `lab up` as `python -m lab.pod_network DIRECTORY`.
"""

from __future__ import annotations

import ipaddress
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import network
from lab.errors import LabError
from lab.files import write_atomically
from lab.host_files import CNI_CONFIG, cni_config
from lab.hosts import root
from lab.spec import LabSpec, require

NAME = "pod-network"
_WATCH_SECONDS = 60
"""A watch ends after this long and everything is compared anew: nothing stays wrong for longer."""


@dataclass(frozen=True)
class NodeNetwork:
    """What a Node object says: the address of its host and the pod range it was given."""

    address: str
    pod_cidr: str


def node_network(node: Any) -> NodeNetwork | None:
    """Read a Node of the kubernetes client; None while it has no address or no range."""
    addresses = (node.status and node.status.addresses) or []
    address = next((entry.address for entry in addresses if entry.type == "InternalIP"), None)
    if not address or not node.spec.pod_cidr:
        return None
    return NodeNetwork(address, node.spec.pod_cidr)


def apply(spec: LabSpec, nodes: Iterable[NodeNetwork]) -> list[str]:
    """Bring hosts and routes to what the Nodes say; return a line for each change."""
    changes = []
    wanted = {node.address: _inside(spec, node.pod_cidr) for node in nodes}
    for host in spec.hosts:
        if not root(spec, host.name).is_dir():
            continue
        path = root(spec, host.name) / CNI_CONFIG
        pod_cidr = wanted.get(host.address)
        if pod_cidr is None:
            if path.exists():
                path.unlink()
                changes.append(f"{host.name}: no node, CNI configuration removed")
        elif write_atomically(path, cni_config(pod_cidr), mode=0o644):
            changes.append(f"{host.name}: CNI configuration for {pod_cidr}")
    addresses = {host.address for host in spec.hosts}
    routes = {cidr: address for address, cidr in wanted.items() if address in addresses}
    present = network.node_routes(spec)
    for cidr in present.keys() - routes.keys():
        network.remove_route(spec, cidr)
        changes.append(f"route {cidr} removed")
    for cidr, address in routes.items():
        if present.get(cidr) != address:
            network.replace_route(spec, cidr, address)
            changes.append(f"route {cidr} via {address}")
    return changes


def follow(directory: Path) -> None:
    """List the Nodes, then apply each change as it comes, until the watch ends."""
    from kubernetes import client, config, watch

    spec = require(directory)
    kubeconfig = str(spec.path("kubeconfig"))
    api = client.CoreV1Api(config.new_client_from_config(kubeconfig))
    listed: Any = api.list_node(_request_timeout=10)
    nodes: dict[str, NodeNetwork | None] = {
        node.metadata.name: node_network(node) for node in listed.items
    }
    _apply(directory, nodes)
    stream = watch.Watch().stream(
        api.list_node,
        resource_version=listed.metadata.resource_version,
        timeout_seconds=_WATCH_SECONDS,
        _request_timeout=_WATCH_SECONDS + 10,
    )
    for event in stream:
        node = event["object"]
        name, seen = node.metadata.name, node_network(node)
        if event["type"] == "DELETED":
            seen = None
        if nodes.get(name) == seen:
            continue
        nodes[name] = seen
        _apply(directory, nodes)


def main() -> None:
    """Follow the Nodes for ever; an API server that is away is asked again."""
    directory = Path(sys.argv[1])
    while True:
        # It must outlive whatever the cluster does: killed, restarted, made anew.
        try:
            follow(directory)
        except Exception as error:
            print(f"{type(error).__name__}: {str(error)[:300]}", flush=True)
            time.sleep(1)


def _apply(directory: Path, nodes: dict[str, NodeNetwork | None]) -> None:
    # Read anew each time: a host may have been added since.
    spec = require(directory)
    for line in apply(spec, [node for node in nodes.values() if node]):
        print(line, flush=True)


def _inside(spec: LabSpec, pod_cidr: str) -> str:
    if not ipaddress.IPv4Network(pod_cidr).subnet_of(ipaddress.IPv4Network(spec.pod_cidr)):
        raise LabError(f"pod range {pod_cidr} is not in the lab's {spec.pod_cidr}.")
    return pod_cidr


if __name__ == "__main__":
    main()
