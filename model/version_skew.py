"""Which kubelets and kube-proxies an API server supports, and each other.

Source: https://kubernetes.io/releases/version-skew-policy/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Each step on the operator's machine is a process: none imports the configuration's model.
    from kube_nodes.model.nodes import Node

# Kubelets from 1.25 on may be three minors older than the API server, earlier ones two.
_WIDER_SINCE_MINOR = 25


def check_skew(version: str, api_server_minor: int, component: str = "kubelet") -> None:
    """Raise ValueError, with rule and remedy, if the API server does not support the component.

    Args:
        version: of the kubelet or kube-proxy, such as v1.37.2.
        api_server_minor: such as 37.
        component: its name.
    """
    minor = int(version.split(".")[1])
    if minor > api_server_minor:
        raise ValueError(
            f"{component} {version} is newer than the API server (1.{api_server_minor});"
            " upgrade the control plane first"
        )
    allowed = allowed_skew(minor)
    if minor < api_server_minor - allowed:
        raise ValueError(
            f"{component} {version} is more than {allowed} minors older than the API server"
            f" (1.{api_server_minor}); declare a newer version"
        )


def allowed_skew(minor: int) -> int:
    """Tell by how many minors a kubelet or kube-proxy may differ from what it works with."""
    return 3 if minor >= _WIDER_SINCE_MINOR else 2


def find_skews(nodes: Iterable[Node], api_server_minor: int) -> Iterator[tuple[Node, str]]:
    """Find what the API server does not support, each with rule and remedy."""
    for node in nodes:
        parts = [("kube-proxy", node.kube_proxy_version)]
        if node.is_worker:
            parts.insert(0, ("kubelet", node.kubelet_version))
        for component, version in parts:
            try:
                check_skew(str(version), api_server_minor, component)
            except ValueError as error:
                yield node, str(error)


def check_spread(versions: Iterable[str]) -> None:
    """Raise ValueError if no API server supports all of these kubelets at once.

    The API server is at least as new as the newest of them; a preview knows no more of it.

    Args:
        versions: such as v1.37.2.
    """
    by_minor = {int(version.split(".")[1]): version for version in versions}
    if not by_minor:
        return
    oldest, newest = by_minor[min(by_minor)], by_minor[max(by_minor)]
    try:
        check_skew(oldest, max(by_minor))
    except ValueError:
        raise ValueError(
            f"no API server supports both {oldest} and {newest}; upgrade the oldest kubelets first"
        ) from None
