"""Which kubelets an API server supports.

Source: https://kubernetes.io/releases/version-skew-policy/
"""

from __future__ import annotations

# Kubelets from 1.25 on may be three minors older than the API server, earlier ones two.
_WIDER_SINCE_MINOR = 25


def check_skew(kubelet_version: str, api_server_minor: int) -> None:
    """Raise ValueError, with rule and remedy, if the API server does not support the kubelet.

    Args:
        kubelet_version: such as v1.37.2.
        api_server_minor: such as 37.
    """
    minor = int(kubelet_version.split(".")[1])
    if minor > api_server_minor:
        raise ValueError(
            f"kubelet {kubelet_version} is newer than the API server (1.{api_server_minor});"
            " upgrade the control plane first"
        )
    allowed = 3 if minor >= _WIDER_SINCE_MINOR else 2
    if minor < api_server_minor - allowed:
        raise ValueError(
            f"kubelet {kubelet_version} is more than {allowed} minors older than the API server"
            f" (1.{api_server_minor}); declare a newer version"
        )
