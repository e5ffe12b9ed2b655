"""Which files, binaries and units a node gets, and the scripts that put them there."""

from __future__ import annotations

from collections.abc import Iterator

from kube_nodes.model.cluster import Cluster
from kube_nodes.model.nodes import Node, NodeBinaries
from kube_nodes.render import paths
from kube_nodes.render.containerd import render_containerd_configuration
from kube_nodes.render.host_script import (
    CONTAINERD,
    KUBE_PROXY,
    KUBELET,
    Binary,
    Directory,
    ManagedFile,
    ServiceUnit,
    render_credentials_script,
    render_preflight_script,
    render_service_check_script,
    render_units_script,
)
from kube_nodes.render.kube_proxy import render_kube_proxy_configuration, render_kube_proxy_unit
from kube_nodes.render.kubeconfig import (
    render_bootstrap_kubeconfig,
    render_kube_proxy_kubeconfig,
)
from kube_nodes.render.kubelet import render_kubelet_configuration, render_kubelet_unit
from kube_nodes.render.placement import has_file
from kube_nodes.render.preflight import host_rules


def render_node_preflight(cluster: Cluster, node: Node, *, downloads: bool) -> str:
    """Render the read-only look at the host; `downloads`: we install kubelet and kube-proxy."""
    return render_preflight_script(
        node_id=node.id,
        api_server=cluster.server,
        ca_pem=cluster.ca_certificate,
        rules=host_rules(cluster, node, downloads=downloads),
        units=node_service_units(node),
    )


def render_node_credentials(
    cluster: Cluster,
    node: Node,
    token: str | None,
    certificate: str,
    key: str,
    *,
    token_end: int | None = None,
) -> str:
    """Render the script with the secret files.

    Args:
        cluster: the cluster.
        node: the node.
        token: `id.secret`; None without a kubelet.
        certificate: kube-proxy's, PEM.
        key: its key, PEM.
        token_end: until when the token is open, in seconds since 1970; None: it is not tried.
    """
    layout = node.options.layout
    files = [
        ManagedFile(
            path=layout.kube_proxy_kubeconfig,
            content=render_kube_proxy_kubeconfig(cluster, layout.ca_certificate, certificate, key),
            restarts=(KUBE_PROXY.name,),
        )
    ]
    if token is not None:
        # A kubelet that has its certificate never reads it again: nothing is restarted.
        content = render_bootstrap_kubeconfig(cluster, layout.ca_certificate, token)
        files.append(ManagedFile(path=layout.bootstrap_kubeconfig, content=content))
    return render_credentials_script(
        node_id=node.id,
        generation=node.generation,
        reapply=node.reapply,
        files=files,
        units=node_service_units(node),
        kubelet_root=paths.KUBELET_ROOT,
        kube_proxy_kubeconfig=layout.kube_proxy_kubeconfig,
        token_end=token_end if token else None,
        ca_pem=cluster.ca_certificate,
    )


def render_node_units(cluster: Cluster, node: Node, binaries: NodeBinaries | None) -> str:
    """Render the script with everything that is not secret."""
    return render_units_script(
        node_id=node.id,
        generation=node.generation,
        reapply=node.reapply,
        cluster_uid=cluster.uid,
        api_server=cluster.server,
        files=node_files(cluster, node),
        binaries=node_binaries(node, binaries) if binaries else (),
        directories=node_directories(node),
        units=node_service_units(node),
        kubelet_root=paths.KUBELET_ROOT,
    )


def render_node_service_check(
    node: Node, *, url: str, ca_certificate: str | None, timeout_seconds: int, units_run: str
) -> str:
    """Render the script that curls a Service; `units_run` is what the units script printed."""
    run_id = units_run.partition("\n")[0].removeprefix("run ")
    return render_service_check_script(
        node_id=node.id,
        url=url,
        run_id=run_id,
        ca_pem=ca_certificate or "",
        accept=("200", "401", "403") if ca_certificate else ("200",),
        wait_seconds=timeout_seconds,
    )


def node_service_units(node: Node) -> tuple[ServiceUnit, ...]:
    """Give the units of this node, in the order in which they are restarted."""
    runtime = (CONTAINERD,) if node.options.containerd else ()
    return (*runtime, *((KUBELET,) if node.is_worker else ()), KUBE_PROXY)


def node_files(cluster: Cluster, node: Node) -> Iterator[ManagedFile]:
    """Give the files of the units script."""
    names = [unit.name for unit in node_service_units(node) if unit is not CONTAINERD]
    yield ManagedFile(
        path=node.options.layout.ca_certificate,
        content=cluster.ca_certificate,
        mode="0644",
        restarts=tuple(names),
    )
    if has_file(node.options.kubernetes_version):
        yield ManagedFile(
            path=paths.KUBE_PROXY_CONFIGURATION,
            content=render_kube_proxy_configuration(cluster, node),
            restarts=(KUBE_PROXY.name,),
        )
    yield ManagedFile(
        path=paths.kube_proxy_unit(node.options.layout),
        content=render_kube_proxy_unit(cluster, node),
        restarts=(KUBE_PROXY.name,),
    )
    if node.is_worker:
        yield from _kubelet_files(node)


def _kubelet_files(node: Node) -> Iterator[ManagedFile]:
    if has_file(node.options.kubernetes_version):
        yield ManagedFile(
            path=paths.KUBELET_CONFIGURATION,
            content=render_kubelet_configuration(node),
            restarts=(KUBELET.name,),
        )
    yield ManagedFile(
        path=paths.kubelet_unit(node.options.layout),
        content=render_kubelet_unit(node),
        restarts=(KUBELET.name,),
    )
    if node.options.containerd:
        yield ManagedFile(
            path=paths.CONTAINERD_CONFIGURATION,
            content=render_containerd_configuration(node.options.containerd, node.options),
            mode="0644",
            restarts=(CONTAINERD.name,),
        )


def node_binaries(node: Node, binaries: NodeBinaries) -> Iterator[Binary]:
    """Give the programs that the node downloads."""
    if node.is_worker:
        yield Binary(
            path=paths.kubelet_binary(node.options.layout),
            url=binaries.kubelet_url,
            sha256=binaries.kubelet_sha256,
            restarts=(KUBELET.name,),
        )
    yield Binary(
        path=paths.kube_proxy_binary(node.options.layout),
        url=binaries.kube_proxy_url,
        sha256=binaries.kube_proxy_sha256,
        restarts=(KUBE_PROXY.name,),
    )


def node_directories(node: Node) -> Iterator[Directory]:
    """Give the folders of the units script."""
    yield Directory(path=paths.KUBE_PROXY_ROOT, mode="0700")
    if node.is_worker:
        yield Directory(path=paths.KUBELET_ROOT, mode="0700")
        yield Directory(path=paths.STATIC_PODS, mode="0700")
        if node.options.docker:
            yield Directory(path=node.options.docker.cni_conf_dir, mode="0755")
