"""What has to be right in a request, whoever wrote it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kube_nodes.model.request_text import Rule

if TYPE_CHECKING:
    from kube_nodes.model.requests import Cluster, DeclaredNode, Drain, Token

_TOKEN_ID = re.compile(r"[a-z0-9]{6}")
_TOKEN_SECRET = re.compile(r"[a-z0-9]{16}")
_VERSION = re.compile(r"v1\.\d{1,3}\.\d{1,3}")
_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def names_cluster(cluster: Cluster) -> Rule:
    """Ask for the cluster's UID."""
    return bool(cluster.uid), "cluster.uid", "must name the cluster"


def node_rules(
    cluster: Cluster, node: DeclaredNode, token: Token | None, drain: Drain
) -> Iterator[Rule]:
    """Give the rules of what is prepared and joined."""
    yield names_cluster(cluster)
    yield drain.timeout_seconds > 0, "drain.timeout_seconds", "must be above 0"
    yield from declared_rules(node, "node")
    yield bool(node.version), "node.version", "must name the kubelet's version"
    given = token is not None or node.bootstrap_user is not None
    yield given, "token", "needs a token, or node.bootstrap_user in the static token mode"
    if token is not None:
        # Secret's name and the user's name are made of the id: nothing but the exact form.
        yield bool(_TOKEN_ID.fullmatch(token.id)), "token.id", "is not [a-z0-9]{6}"
        yield bool(_TOKEN_SECRET.fullmatch(token.secret)), "token.secret", "is not [a-z0-9]{16}"


def declared_rules(node: DeclaredNode, path: str) -> Iterator[Rule]:
    """Give the rules of a node of the inventory, which stands at `path`."""
    name, version = node.name, node.version
    yield bool(node.id), f"{path}.id", "must not be empty"
    right = len(name) <= 253 and bool(_DNS_NAME.fullmatch(name))
    yield right, f"{path}.name", f"{name!r} is not a Node's name (lower-case DNS subdomain)"
    right = not version or bool(_VERSION.fullmatch(version))
    yield right, f"{path}.version", f"{version!r} is not like v1.37.2"
    for address in node.addresses:
        yield _is_address(address), f"{path}.addresses", f"{address!r} is not an IP address"


def _is_address(value: str) -> bool:
    try:
        return bool(ipaddress.ip_address(value))
    except ValueError:
        return False


def is_cidr(value: str) -> bool:
    """Tell whether it is a network's."""
    try:
        return bool(ipaddress.ip_network(value))
    except ValueError:
        return False
