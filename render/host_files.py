"""Which files, binaries and units a node gets, and the scripts that put them there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_network

from kube_nodes.model.binaries import Binaries, Download
from kube_nodes.model.cluster import Cluster
from kube_nodes.model.nodes import Node
from kube_nodes.model.proxy_addresses import kube_proxy_addresses
from kube_nodes.model.routes import Hop, Route, SentFile
from kube_nodes.render import paths
from kube_nodes.render.check_scripts import (
    ProxyNeeds,
    render_preflight_script,
    render_service_check_script,
)
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
from kube_nodes.render.script_text import RUN_ID

# From this minor on kube-proxy speaks to the kernel itself and runs no conntrack.
NETLINK_CONNTRACK_MINOR = 32


def render_node_preflight(cluster: Cluster, node: Node, binaries: Binaries | None = None) -> str:
    """Render the read-only look at the host; without binaries they have to be there already."""
    return render_preflight_script(
        node_id=node.id,
        api_server=cluster.server,
        ca_pem=cluster.ca_certificate,
        rules=host_rules(cluster, node, downloads=binaries is not None),
        units=node_service_units(node),
        binaries=node_binaries(node, binaries),
        proxy=_proxy_needs(cluster, node),
    )


def _proxy_needs(cluster: Cluster, node: Node) -> ProxyNeeds:
    """Say what a node's kube-proxy needs of the host.

    Source for conntrack: https://github.com/kubernetes/kubernetes/pull/126847.
    """
    options = node.options
    ipvs = options.kube_proxy_configuration.get("ipvs") or {}
    return ProxyNeeds(
        mode=options.proxy_mode,
        families=tuple(sorted({ip_network(cidr).version for cidr in cluster.pod_cidrs})),
        conntrack=node.kube_proxy_version.minor < NETLINK_CONNTRACK_MINOR,
        scheduler=ipvs.get("scheduler") or "rr",
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


def render_node_units(cluster: Cluster, node: Node, binaries: Binaries | None) -> str:
    """Render the script with everything that is not secret."""
    return render_units_script(
        node_id=node.id,
        generation=node.generation,
        reapply=node.reapply,
        certificate_epoch=node.options.kubelet_certificate_epoch,
        adopt=node.adopts,
        cluster_uid=cluster.uid,
        api_server=cluster.server,
        files=node_files(cluster, node),
        binaries=node_binaries(node, binaries),
        directories=node_directories(node),
        units=node_service_units(node),
        kubelet_root=paths.KUBELET_ROOT,
    )


def read_run_id(printed: str) -> str:
    """Take from what a changing script printed the id of its run."""
    run_id = printed[:100].partition("\n")[0].removeprefix("run ")
    if not RUN_ID.fullmatch(run_id):
        # A host that prints something else is not to stop the program, and with it the other nodes.
        run_id = hashlib.sha256(printed.encode()).hexdigest()
    return run_id


def render_node_service_check(
    node: Node,
    *,
    url: str,
    ca_certificate: str | None,
    timeout_seconds: int,
    runs: Sequence[str],
) -> str:
    """Render the script that curls a Service; `runs` are the ids of the runs that it proves."""
    return render_service_check_script(
        node_id=node.id,
        url=url,
        run_id=hashlib.sha256("\n".join(runs).encode()).hexdigest(),
        ca_pem=ca_certificate or "",
        accept=("200", "401", "403") if ca_certificate else ("200",),
        wait_seconds=timeout_seconds,
    )


def route_to(node: Node) -> Route:
    """Say how a node's host is reached over SSH."""
    ssh = node.options.ssh
    own = Hop(address=node.address, port=ssh.port, user=ssh.user, host_key=node.host_key)
    jump = ssh.jump
    if jump is None:
        return Route(hops=(own,))
    first = Hop(address=jump.address, port=jump.port, user=jump.user, host_key=jump.host_key)
    return Route(hops=(first, own))


def sent_files(node: Node, binaries: Binaries | None) -> tuple[SentFile, ...]:
    """Name the programs that are sent to the node's host from the operator's machine."""
    if binaries is None:
        return ()
    layout = node.options.layout
    pairs = [(binaries.kube_proxy, paths.kube_proxy_binary(layout))]
    if node.is_worker:
        pairs.append((binaries.kubelet, paths.kubelet_binary(layout)))
    return tuple(
        SentFile(source=each.file, path=path, digest=each.digest)
        for each, path in pairs
        if each.file
    )


def node_service_units(node: Node) -> tuple[ServiceUnit, ...]:
    """Give the units of this node, in the order in which they are restarted."""
    runtime = (CONTAINERD,) if node.options.containerd else ()
    kube_proxy = replace(KUBE_PROXY, health_url=kube_proxy_addresses(node).health_url)
    return (*runtime, *((KUBELET,) if node.is_worker else ()), kube_proxy)


def node_files(cluster: Cluster, node: Node) -> Iterator[ManagedFile]:
    """Give the files of the units script."""
    names = [unit.name for unit in node_service_units(node) if unit is not CONTAINERD]
    yield ManagedFile(
        path=node.options.layout.ca_certificate,
        content=cluster.ca_certificate,
        mode="0644",
        restarts=tuple(names),
    )
    if has_file(node.kube_proxy_version):
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
    if has_file(node.kubelet_version):
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


def node_binaries(node: Node, binaries: Binaries | None) -> Iterator[Binary]:
    """Give the programs of Kubernetes; without binaries they have to be there already."""
    layout = node.options.layout
    if node.is_worker:
        kubelet = binaries.kubelet if binaries else None
        yield _binary(node, paths.kubelet_binary(layout), kubelet, KUBELET)
    kube_proxy = binaries.kube_proxy if binaries else None
    yield _binary(node, paths.kube_proxy_binary(layout), kube_proxy, KUBE_PROXY)


def _binary(node: Node, path: str, declared: Download | None, unit: ServiceUnit) -> Binary:
    sources: tuple[str, ...] = ()
    if declared:
        sent = (paths.sent_file(declared.digest),) if declared.file else ()
        sources = sent or declared.urls(node.options.mirrors)
    return Binary(
        path=path,
        version=str(node.kubelet_version if unit is KUBELET else node.kube_proxy_version),
        sources=sources,
        digest=declared.digest if declared else "",
        restarts=(unit.name,),
    )


def node_directories(node: Node) -> Iterator[Directory]:
    """Give the folders of the units script."""
    yield Directory(path=paths.KUBE_PROXY_ROOT, mode="0700")
    if node.is_worker:
        yield Directory(path=paths.KUBELET_ROOT, mode="0700")
        yield Directory(path=paths.STATIC_PODS, mode="0700")
        if node.options.docker:
            yield Directory(path=node.options.docker.cni_conf_dir, mode="0755")
