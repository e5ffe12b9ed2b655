"""What a node must be, taken from the same text that its scripts write."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from kube_nodes.model.binaries import Binaries
from kube_nodes.model.certificate_requests import (
    KUBE_PROXY_USER,
    NODE_PREFIX,
    NODES_GROUP,
)
from kube_nodes.model.cluster import Cluster
from kube_nodes.model.expectation import (
    Expectation,
    ExpectedCertificate,
    ExpectedFile,
    ExpectedKubeconfig,
    ExpectedNetwork,
    ExpectedNode,
    ExpectedUnit,
)
from kube_nodes.model.nodes import Node
from kube_nodes.model.proxy_addresses import kube_proxy_addresses
from kube_nodes.model.versions import OLDEST_JOINING_MINOR
from kube_nodes.render import paths
from kube_nodes.render.host_files import (
    node_binaries,
    node_directories,
    node_files,
    node_service_units,
)
from kube_nodes.render.host_script import KUBE_PROXY, KUBELET, ServiceUnit
from kube_nodes.render.kubeconfig import BOOTSTRAP_USER, PROXY_USER
from kube_nodes.render.preflight import host_rules

_KILLED = "a run was killed here; run up, which takes back what it left"
_RENEW = "see `journalctl -u kubelet` there, and run approve: its request may be pending"


def expect_node(
    cluster: Cluster,
    node: Node,
    binaries: Binaries | None,
    network: ExpectedNetwork | None = None,
) -> Expectation:
    """Say everything that a look at the host and at the Node can be compared with."""
    options, layout = node.options, node.options.layout
    programs = {paths.kubelet_binary(layout): str(node.kubelet_version)} if node.is_worker else {}
    return Expectation(
        id=node.id,
        version=str(options.kubernetes_version),
        ca_certificate=cluster.ca_certificate,
        ca_path=layout.ca_certificate,
        life=f"{cluster.uid} {node.generation}" if node.is_worker else "",
        files=(*_files(cluster, node, binaries), *_secret_files(node)),
        is_sent_to=not node.held,
        programs=programs | {paths.kube_proxy_binary(layout): str(node.kube_proxy_version)},
        kubeconfigs=tuple(_kubeconfigs(cluster, node)),
        certificates=tuple(_certificates(node)),
        units=tuple(_unit(node, unit) for unit in node_service_units(node)),
        sysctls=tuple(_sysctls(cluster, node)),
        proxy_mode=options.proxy_mode,
        proxy_mode_url=kube_proxy_addresses(node).mode_url,
        node=_node(cluster, node) if node.is_worker else None,
        network=network or ExpectedNetwork(),
    )


def _files(cluster: Cluster, node: Node, binaries: Binaries | None) -> Iterator[ExpectedFile]:
    for file in node_files(cluster, node):
        sha256 = hashlib.sha256(file.content.encode()).hexdigest()
        yield ExpectedFile(path=file.path, mode=file.mode, digest=sha256, content=file.content)
    for binary in node_binaries(node, binaries) if binaries else ():
        yield ExpectedFile(path=binary.path, mode="0755", digest=binary.digest)
    for directory in node_directories(node):
        yield ExpectedFile(path=directory.path, mode=directory.mode, kind="folder")
    yield ExpectedFile(path=paths.UNITS_JOURNAL, mode="", kind="absent", remedy=_KILLED)


def _secret_files(node: Node) -> Iterator[ExpectedFile]:
    """Name the files whose content nobody but the host reads."""
    layout = node.options.layout
    yield ExpectedFile(path=layout.kube_proxy_kubeconfig, mode="0600")
    if node.is_worker:
        yield ExpectedFile(path=layout.bootstrap_kubeconfig, mode="0600")
        yield ExpectedFile(path=layout.kubelet_kubeconfig, mode="0600", kind="target")
        for path in _kubelet_certificates(node):
            yield ExpectedFile(
                path=path, mode="0600", kind="target", remedy=_RENEW, identifies=True
            )


def _kubelet_certificates(node: Node) -> tuple[str, ...]:
    """Name the kubelet's certificates: for its own requests, and for those of others.

    Kubelets too old to join have other names for them.
    """
    if node.options.kubernetes_version.minor < OLDEST_JOINING_MINOR:
        return ()
    folder = node.options.layout.certificate_dir
    return (f"{folder}/kubelet-client-current.pem", f"{folder}/kubelet-server-current.pem")


def _kubeconfigs(cluster: Cluster, node: Node) -> Iterator[ExpectedKubeconfig]:
    layout = node.options.layout
    names = {layout.kube_proxy_kubeconfig: (PROXY_USER, "")}
    if node.is_worker:
        names[layout.bootstrap_kubeconfig] = (BOOTSTRAP_USER, "")
        certificate, *_ = _kubelet_certificates(node) or ("",)
        names[layout.kubelet_kubeconfig] = ("", certificate)
    for path, (user, certificate) in names.items():
        yield ExpectedKubeconfig(
            path=path,
            server=cluster.server,
            ca_path=layout.ca_certificate,
            user=user,
            certificate_path=certificate,
        )


def _certificates(node: Node) -> Iterator[ExpectedCertificate]:
    for path in _kubelet_certificates(node) if node.is_worker else ():
        serves = path.endswith("server-current.pem")
        yield ExpectedCertificate(
            name="kubelet's serving certificate" if serves else "kubelet's certificate",
            path=path,
            common_name=f"{NODE_PREFIX}{node.id}",
            organizations=frozenset({NODES_GROUP}),
            addresses=(node.node_ip,) if serves else (),
            renews=True,
            remedy=_RENEW,
        )
    yield ExpectedCertificate(
        name="kube-proxy's certificate",
        path=node.options.layout.kube_proxy_kubeconfig,
        common_name=KUBE_PROXY_USER,
        remedy="raise kubeProxyCertificate.epoch, and run up",
    )


def _sysctls(cluster: Cluster, node: Node) -> Iterator[tuple[str, str]]:
    for rule in host_rules(cluster, node, downloads=False).sysctls:
        name, _, value = rule.partition("=")
        yield name, value


def _unit(node: Node, unit: ServiceUnit) -> ExpectedUnit:
    layout = node.options.layout
    ours = {
        KUBELET.name: (paths.kubelet_binary(layout), paths.kubelet_unit(layout)),
        KUBE_PROXY.name: (paths.kube_proxy_binary(layout), paths.kube_proxy_unit(layout)),
    }
    program, file = ours.get(unit.name, ("", ""))
    return ExpectedUnit(name=unit.name, program=program, unit_file=file, health_url=unit.health_url)


def _node(cluster: Cluster, node: Node) -> ExpectedNode:
    return ExpectedNode(
        generation=node.generation,
        addresses=frozenset({node.node_ip}),
        labels=node.node_labels,
        taints=tuple(node.options.taints),
        max_pods=node.options.max_pods,
        pod_cidrs=cluster.pod_cidrs,
    )
