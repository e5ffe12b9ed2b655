"""Rules about what a node's version of Kubernetes has, and about what excludes each other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kube_nodes.model.cluster import Cluster
from kube_nodes.model.component_settings import refuse_option
from kube_nodes.model.declaration import show
from kube_nodes.model.faults import Fault, Origins
from kube_nodes.model.nodes import Node
from kube_nodes.model.version_skew import allowed_skew
from kube_nodes.model.versions import OLDEST_JOINING_MINOR

_DUAL_STACK_SINCE = 21
# The labels that a kubelet from 1.16 on may set on itself, of those that have Kubernetes' prefixes.
# Source: k8s.io/kubernetes v1.16.0 pkg/kubelet/apis/well_known_labels.go.
_RESERVED_LABEL = re.compile(r"(.*\.)?(kubernetes|k8s)\.io/.*")
_ALLOWED_LABEL = re.compile(
    r"(.*\.)?(kubelet|node)\.kubernetes\.io/.*"
    r"|failure-domain\.(beta\.)?kubernetes\.io/(zone|region)"
    r"|(beta\.)?kubernetes\.io/instance-type"
)


def find_version_faults(cluster: Cluster, node: Node, origins: Origins) -> Iterator[Fault]:
    """Find what this node's version does not have."""
    options, version = node.options, node.options.kubernetes_version
    yield from _mode_faults(node, origins)
    yield from _proxy_faults(node, origins)
    if len(cluster.pod_cidrs) > 1 and version.minor < _DUAL_STACK_SINCE:
        rule = f"has two IP families, which exists only since 1.{_DUAL_STACK_SINCE}"
        yield ("podCidrs",), f"{rule}, and {node.id} is {version}; give one CIDR"
    if not node.is_worker:
        return
    cidrs = options.cadvisor_allowed_cidrs
    for field, alias, value in (
        ("docker", "docker", {} if options.docker else None),
        ("cadvisor_allowed_cidrs", "cadvisorAllowedCidrs", cidrs or None),
        ("pod_pids_limit", "podPidsLimit", options.pod_pids_limit),
    ):
        rule = refuse_option(alias, version)
        if rule and value is not None and origins.wrote(field):
            yield origins.of(field, alias), f"{show(value)} {rule}"
    for field, alias in (
        ("eviction_hard", "evictionHard"),
        ("kube_reserved", "kubeReserved"),
        ("system_reserved", "systemReserved"),
    ):
        for key, value in getattr(options, field).items():
            rule = refuse_option(f"{alias}.{key}", version)
            if rule:
                yield (*origins.of(field, alias, key), key), f"{show(value)} {rule}"
    yield from _runtime_faults(node, origins)
    yield from _label_faults(node, origins)


def _mode_faults(node: Node, origins: Origins) -> Iterator[Fault]:
    mode = node.options.proxy_mode
    rule = refuse_option(f"proxyMode={mode}", node.kube_proxy_version)
    if rule:
        default = "" if origins.wrote("proxy_mode") else " (the default)"
        yield origins.of("proxy_mode", "proxyMode"), f"{show(mode)}{default} {rule}"


def _proxy_faults(node: Node, origins: Origins) -> Iterator[Fault]:
    """Find a kube-proxy that is too far from its host's kubelet; without one any will do."""
    kubelet, proxy = node.kubelet_version, node.kube_proxy_version
    allowed = allowed_skew(min(kubelet.minor, proxy.minor))
    if node.is_worker and abs(kubelet.minor - proxy.minor) > allowed:
        yield (
            origins.of("kube_proxy_version", "kubeProxyVersion"),
            f"{show(str(proxy))} is more than {allowed} minors from the kubelet's {kubelet}; "
            "give a nearer one",
        )


def _runtime_faults(node: Node, origins: Origins) -> Iterator[Fault]:
    if node.options.docker is None:
        return
    if node.options.containerd is not None:
        yield origins.of("docker", "docker"), "stands beside containerd; keep one of them"
    if origins.wrote("container_runtime_endpoint"):
        yield (
            origins.of("container_runtime_endpoint", "containerRuntimeEndpoint"),
            "is that of a CRI runtime, and docker is set; keep one of them",
        )


def _label_faults(node: Node, origins: Origins) -> Iterator[Fault]:
    """A 1.16 kubelet labels itself, as older ones do, and exits on most of Kubernetes' prefixes."""
    if node.options.kubernetes_version.minor != OLDEST_JOINING_MINOR - 1:
        return
    for key in node.labels:
        if _RESERVED_LABEL.fullmatch(key) and not _ALLOWED_LABEL.fullmatch(key):
            yield (
                (*origins.of("labels", "labels", key), key),
                "is a label that a kubelet of 1.16 may not set on itself; remove it",
            )
