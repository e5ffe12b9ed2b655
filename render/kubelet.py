"""The kubelet's configuration file and unit, for any version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kube_nodes.model.component_settings import KUBELET, gpu_gates, written_since
from kube_nodes.model.labels import JOINING_TAINT
from kube_nodes.model.nodes import Node
from kube_nodes.model.versions import OLDEST_JOINING_MINOR
from kube_nodes.render import paths
from kube_nodes.render.documents import (
    merge_documents,
    render_command,
    render_unit,
    render_yaml,
    replace_settings,
)
from kube_nodes.render.placement import Placed, has_file, place_settings
from kube_nodes.render.sandbox import kubelet_sandbox

# The strong suites of CIS Kubernetes Benchmark 1.12, 4.2.12.
TLS_CIPHER_SUITES = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
)
_CADVISOR_PORT = 4194


def render_kubelet_configuration(node: Node) -> str:
    """Render KubeletConfiguration for the node's version, which is 1.10 or newer."""
    head = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}
    return render_yaml({**head, **_placed(node).fields})


def render_kubelet_unit(node: Node) -> str:
    """Render kubelet.service; a setting that has a field is in the configuration file."""
    layout, docker = node.options.layout, node.options.docker is not None
    runtime = "docker.service" if docker else "containerd.service"
    sections = {
        "Unit": [
            ("Description", "kubelet: the Kubernetes node agent"),
            ("Documentation", "https://kubernetes.io/docs/concepts/architecture/#kubelet"),
            ("Wants", "network-online.target"),
            ("After", f"network-online.target {runtime}"),
            *([("Requires", runtime)] if docker else []),
            # The kubelet must come back however long its runtime or API server is away.
            ("StartLimitIntervalSec", "0"),
        ],
        "Service": [
            *_firewall(node),
            ("ExecStart", render_command(paths.kubelet_binary(layout), _placed(node).flags)),
            ("Restart", "always"),
            ("RestartSec", "5"),
            *kubelet_sandbox(node.options),
        ],
        "Install": [("WantedBy", "multi-user.target")],
    }
    return render_unit(replace_settings(sections, node.options.kubelet_unit))


def _placed(node: Node) -> Placed:
    version = node.options.kubernetes_version
    own = {
        path: value
        for path, value in _settings(node).items()
        if version.minor >= written_since(path)
        # Without evictionHard the kubelet takes its own thresholds; an empty one means none.
        and (value not in ("", [], {}) or path == "evictionHard")
    }
    settings = merge_documents(own, node.options.kubelet_configuration)
    return place_settings(KUBELET, version, settings, dict(_flag_only(node)))


def _settings(node: Node) -> dict[str, Any]:
    """Say everything that has a field in some version.

    Source: https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/; the settings
    that stand here for safety are those of CIS Kubernetes Benchmark 1.12, section 4.2.
    """
    options = node.options
    return {
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": options.layout.ca_certificate},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": options.cgroup_driver,
        "clusterDNS": options.cluster_dns,
        "clusterDomain": options.cluster_domain,
        "containerRuntimeEndpoint": "" if options.docker else options.container_runtime_endpoint,
        "evictionHard": options.eviction_hard,
        "featureGates": gpu_gates(options.gpu, options.kubernetes_version),
        "kubeReserved": options.kube_reserved,
        "logging": {"verbosity": options.verbosity},
        "makeIPTablesUtilChains": True,
        "maxPods": options.max_pods,
        "podPidsLimit": options.pod_pids_limit,
        "readOnlyPort": 0,
        "registerWithTaints": _first_taints(node),
        "rotateCertificates": True,
        "seccompDefault": True,
        "serverTLSBootstrap": True,
        "staticPodPath": paths.STATIC_PODS,
        "streamingConnectionIdleTimeout": "4h0m0s",
        "systemReserved": options.system_reserved,
        "tlsCipherSuites": _cipher_suites(options.kubernetes_version.minor),
    }


def _first_taints(node: Node) -> list[dict[str, str]]:
    """Say the taints of a new Node: one that membership/ takes away, or where it can't, its own."""
    if node.options.kubernetes_version.minor >= OLDEST_JOINING_MINOR:
        return [{"key": JOINING_TAINT[0], "effect": JOINING_TAINT[1]}]
    return [
        {
            "key": taint.key,
            "effect": taint.effect,
            **({"value": taint.value} if taint.value else {}),
        }
        for taint in sorted(node.options.taints)
    ]


def _cipher_suites(minor: int) -> list[str]:
    """Name the suites; before 1.19 two of them had no _SHA256 at their end."""
    if minor >= 19:
        return list(TLS_CIPHER_SUITES)
    return [suite.replace("POLY1305_SHA256", "POLY1305") for suite in TLS_CIPHER_SUITES]


def _flag_only(node: Node) -> Iterator[tuple[str, str]]:
    """Give the flags that no field stands for; those that the version lacks are left out later."""
    options, layout, version = node.options, node.options.layout, node.options.kubernetes_version
    yield "--bootstrap-kubeconfig", layout.bootstrap_kubeconfig
    yield "--config", paths.KUBELET_CONFIGURATION
    yield "--kubeconfig", layout.kubelet_kubeconfig
    yield "--node-ip", node.node_ip
    yield "--allow-privileged", "true"
    yield "--cadvisor-port", str(_CADVISOR_PORT if options.cadvisor_allowed_cidrs else 0)
    yield "--logtostderr", "true"
    if not has_file(version):
        yield "--root-dir", paths.KUBELET_ROOT
    if not has_file(version) or layout.certificate_dir != f"{paths.KUBELET_ROOT}/pki":
        yield "--cert-dir", layout.certificate_dir
    if version.minor < OLDEST_JOINING_MINOR and node.labels:
        yield "--node-labels", ",".join(f"{key}={value}" for key, value in node.labels.items())
    yield from _runtime_flags(node)


def _runtime_flags(node: Node) -> Iterator[tuple[str, str]]:
    docker, containerd = node.options.docker, node.options.containerd
    if docker is None:
        yield "--container-runtime", "remote"
    else:
        yield "--network-plugin", "cni"
        yield "--cni-bin-dir", docker.cni_bin_dir
        yield "--cni-conf-dir", docker.cni_conf_dir
        if docker.runtime_cgroups:
            yield "--runtime-cgroups", docker.runtime_cgroups
    image = docker.sandbox_image if docker else containerd.sandbox_image if containerd else ""
    if image:
        # Also with containerd: the kubelet's image collector spares what this flag names.
        yield "--pod-infra-container-image", image


def _firewall(node: Node) -> Iterator[tuple[str, str]]:
    """Let only the allowed reach cAdvisor's port, from before the kubelet opens it.

    Each rule is deleted before it is added, so that restarts don't pile them up, and the order
    stays: what is allowed, then the rest.
    """
    allowed = node.options.cadvisor_allowed_cidrs
    if not allowed:
        return
    to_port = f"-p tcp --dport {_CADVISOR_PORT} -j"
    rules = [*(f"-s {cidr} {to_port} ACCEPT" for cidr in allowed), f"{to_port} DROP"]
    for rule in rules:
        yield "ExecStartPre", f"-/sbin/iptables -w -D INPUT {rule}"
    for rule in rules:
        yield "ExecStartPre", f"/sbin/iptables -w -A INPUT {rule}"
    for rule in rules:
        yield "ExecStopPost", f"-/sbin/iptables -w -D INPUT {rule}"
