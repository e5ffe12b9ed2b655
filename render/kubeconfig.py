"""kubeconfigs of the kubelet's bootstrap and of kube-proxy.

They name the CA by path, so that the CA's certificate is in one file of the host and not in each.
Source: k8s.io/client-go/tools/clientcmd/api/v1 Config.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from kube_nodes.model.cluster import Cluster
from kube_nodes.render.documents import render_yaml

BOOTSTRAP_USER = "kubelet-bootstrap"
PROXY_USER = "kube-proxy"


def render_bootstrap_kubeconfig(cluster: Cluster, ca_path: str, token: str) -> str:
    """Render the kubeconfig that a kubelet without a certificate uses; holds the token."""
    return _render(cluster, ca_path, BOOTSTRAP_USER, {"token": token})


# Of a stack's nodes nearly all have the same one.
@lru_cache(maxsize=8)
def render_kube_proxy_kubeconfig(cluster: Cluster, ca_path: str, certificate: str, key: str) -> str:
    """Render kube-proxy's kubeconfig from a client certificate and its key, both PEM."""
    return _render(
        cluster,
        ca_path,
        PROXY_USER,
        {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)},
    )


def _render(cluster: Cluster, ca_path: str, user: str, credentials: Mapping[str, Any]) -> str:
    return render_yaml(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": cluster.name,
                    "cluster": {
                        "certificate-authority": ca_path,
                        "server": cluster.server,
                    },
                }
            ],
            "users": [{"name": user, "user": credentials}],
            "contexts": [
                {"name": "default", "context": {"cluster": cluster.name, "user": user}},
            ],
            "current-context": "default",
        }
    )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
