"""kube-proxy's configuration file and unit, for any version."""

from __future__ import annotations

from kube_nodes.model.cluster import Cluster
from kube_nodes.model.component_settings import KUBE_PROXY
from kube_nodes.model.nodes import Node
from kube_nodes.model.proxy_addresses import kube_proxy_addresses
from kube_nodes.render import paths
from kube_nodes.render.documents import (
    merge_documents,
    render_command,
    render_unit,
    render_yaml,
    replace_settings,
)
from kube_nodes.render.placement import Placed, place_settings
from kube_nodes.render.sandbox import kube_proxy_sandbox


def render_kube_proxy_configuration(cluster: Cluster, node: Node) -> str:
    """Render KubeProxyConfiguration for the node's version, which is 1.10 or newer."""
    head = {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration"}
    return render_yaml({**head, **_placed(cluster, node).fields})


def render_kube_proxy_unit(cluster: Cluster, node: Node) -> str:
    """Render kube-proxy.service; a setting that has a field is in the configuration file."""
    program = paths.kube_proxy_binary(node.options.layout)
    sections = {
        "Unit": [
            ("Description", "kube-proxy: the Kubernetes network proxy"),
            ("Documentation", "https://kubernetes.io/docs/concepts/architecture/#kube-proxy"),
            ("Wants", "network-online.target"),
            ("After", "network-online.target"),
            ("StartLimitIntervalSec", "0"),
        ],
        "Service": [
            ("ExecStart", render_command(program, _placed(cluster, node).flags)),
            ("Restart", "always"),
            ("RestartSec", "5"),
            ("LimitNOFILE", "65536"),
            *kube_proxy_sandbox(node.options),
        ],
        "Install": [("WantedBy", "multi-user.target")],
    }
    return render_unit(replace_settings(sections, node.options.kube_proxy_unit))


def _placed(cluster: Cluster, node: Node) -> Placed:
    """Say everything that has a field in some version.

    Source: https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/.
    """
    settings = {
        "bindAddress": kube_proxy_addresses(node).bind,
        "clientConnection": {"kubeconfig": node.options.layout.kube_proxy_kubeconfig},
        "clusterCIDR": ",".join(cluster.pod_cidrs),
        # Must equal the Node's name, or kube-proxy does not know which endpoints are its own.
        "healthzBindAddress": kube_proxy_addresses(node).healthz,
        "hostnameOverride": node.id,
        "logging": {"verbosity": node.options.verbosity},
        "metricsBindAddress": kube_proxy_addresses(node).metrics,
        # Written always: the default of an empty mode differs between versions.
        "mode": node.options.proxy_mode,
    }
    return place_settings(
        KUBE_PROXY,
        node.kube_proxy_version,
        merge_documents(settings, node.options.kube_proxy_configuration),
        {"--config": paths.KUBE_PROXY_CONFIGURATION, "--logtostderr": "true"},
    )
