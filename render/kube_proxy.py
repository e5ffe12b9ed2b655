"""kube-proxy's configuration file and unit."""

from __future__ import annotations

from kube_nodes.model.cluster import Cluster
from kube_nodes.model.nodes import Node
from kube_nodes.render import paths
from kube_nodes.render.documents import (
    merge_documents,
    render_command,
    render_unit,
    render_yaml,
)


def render_kube_proxy_configuration(cluster: Cluster, node: Node) -> str:
    """Render KubeProxyConfiguration for the node's version.

    Source: https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/; metrics on
    loopback alone is CIS Kubernetes Benchmark 1.12, 4.3.1.
    """
    document = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": node.node_ip,
        "clientConnection": {"kubeconfig": paths.KUBE_PROXY_KUBECONFIG},
        "clusterCIDR": ",".join(cluster.pod_cidrs),
        # Must equal the Node's name, or kube-proxy does not know which endpoints are its own.
        "hostnameOverride": node.id,
        "logging": {"verbosity": node.options.verbosity},
        "metricsBindAddress": "127.0.0.1:10249",
        # Written always: the default of an empty mode differs between versions.
        "mode": node.options.proxy_mode,
    }
    return render_yaml(merge_documents(document, node.options.kube_proxy_configuration))


def render_kube_proxy_unit() -> str:
    """Render kube-proxy.service."""
    command = render_command(
        paths.KUBE_PROXY_BINARY, [f"--config={paths.KUBE_PROXY_CONFIGURATION}"]
    )
    return render_unit(
        {
            "Unit": [
                ("Description", "kube-proxy: the Kubernetes network proxy"),
                ("Documentation", "https://kubernetes.io/docs/concepts/architecture/#kube-proxy"),
                ("Wants", "network-online.target"),
                ("After", "network-online.target"),
                ("StartLimitIntervalSec", "0"),
            ],
            "Service": [
                ("ExecStart", command),
                ("Restart", "always"),
                ("RestartSec", "5"),
                ("LimitNOFILE", "65536"),
            ],
            "Install": [("WantedBy", "multi-user.target")],
        }
    )
