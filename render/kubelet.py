"""The kubelet's configuration file and unit."""

from __future__ import annotations

from typing import Any

from kube_nodes.model.labels import JOINING_TAINT
from kube_nodes.model.nodes import Node
from kube_nodes.render import paths
from kube_nodes.render.documents import (
    merge_documents,
    render_command,
    render_unit,
    render_yaml,
)

# The strong suites of CIS Kubernetes Benchmark 1.12, 4.2.12.
TLS_CIPHER_SUITES = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
)


def render_kubelet_configuration(node: Node) -> str:
    """Render KubeletConfiguration for the node's version.

    Source: https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/; the settings
    that stand here for safety are those of CIS Kubernetes Benchmark 1.12, section 4.2.
    """
    options = node.options
    document: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": paths.CA_CERTIFICATE},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": options.cgroup_driver,
        "clusterDNS": options.cluster_dns,
        "clusterDomain": options.cluster_domain,
        "containerRuntimeEndpoint": options.container_runtime_endpoint,
        "evictionHard": options.eviction_hard,
        "kubeReserved": options.kube_reserved,
        "logging": {"verbosity": options.verbosity},
        "makeIPTablesUtilChains": True,
        "maxPods": options.max_pods,
        "podPidsLimit": options.pod_pids_limit,
        "readOnlyPort": 0,
        "registerWithTaints": [{"key": JOINING_TAINT[0], "effect": JOINING_TAINT[1]}],
        "rotateCertificates": True,
        "seccompDefault": True,
        "serverTLSBootstrap": True,
        "staticPodPath": paths.STATIC_PODS,
        "streamingConnectionIdleTimeout": "4h0m0s",
        "systemReserved": options.system_reserved,
        "tlsCipherSuites": list(TLS_CIPHER_SUITES),
    }
    # Without evictionHard the kubelet takes its own thresholds; an empty one means none.
    filled = {
        key: value
        for key, value in document.items()
        if value not in ([], {}) or key == "evictionHard"
    }
    return render_yaml(merge_documents(filled, options.kubelet_configuration))


def render_kubelet_unit(node: Node) -> str:
    """Render kubelet.service; every setting that has a field is in the configuration file."""
    flags = [
        f"--bootstrap-kubeconfig={paths.BOOTSTRAP_KUBECONFIG}",
        f"--config={paths.KUBELET_CONFIGURATION}",
        f"--kubeconfig={paths.KUBELET_KUBECONFIG}",
        f"--node-ip={node.node_ip}",
    ]
    return render_unit(
        {
            "Unit": [
                ("Description", "kubelet: the Kubernetes node agent"),
                ("Documentation", "https://kubernetes.io/docs/concepts/architecture/#kubelet"),
                ("Wants", "network-online.target"),
                ("After", "network-online.target containerd.service"),
                # The kubelet must come back however long its runtime or API server is away.
                ("StartLimitIntervalSec", "0"),
            ],
            "Service": [
                ("ExecStart", render_command(paths.KUBELET_BINARY, flags)),
                ("Restart", "always"),
                ("RestartSec", "5"),
            ],
            "Install": [("WantedBy", "multi-user.target")],
        }
    )
