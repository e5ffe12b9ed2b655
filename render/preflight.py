"""What preflight demands of a host beyond its tools: thresholds and expected values, as data.

The shell in host/preflight*.sh compares; what it compares with is decided here, from the node's
options and the version's own rules. docs/preflight.md lists every finding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kube_nodes.model.cluster import Cluster
from kube_nodes.model.nodes import Node
from kube_nodes.model.proxy_addresses import kube_proxy_addresses, split_address
from kube_nodes.render import paths

# What may pass between the host's time and the API server's, in seconds. Nothing of a join needs
# better: certificates are issued as of five minutes ago (kube-controller-manager's signer), tokens
# end after ten minutes. A host that is a minute off has no time synchronisation, and drifts on.
CLOCK_SECONDS = 60

# MiB that must be free. kubelet and kube-proxy are 60 to 110 MiB together, twice while they are
# replaced; configuration and records are some kB; the kubelet keeps its state and small volumes;
# a sandbox image and the first add-on's images need hundreds.
_BINARIES_MIB = 300
_CONFIGURATION_MIB = 10
_KUBELET_ROOT_MIB = 100
_IMAGES_MIB = 500

# From 1.26 the kubelet speaks CRI v1 alone, and containerd has it from 1.6 (releases.md there).
_CRI_V1_ALONE = 26
_CONTAINERD_WITH_CRI_V1 = 106
# 1.35 is the last to support containerd 1.x (Kubernetes' release notes); 1.6.20 still works.
_CONTAINERD_2_ALONE = 36
_CONTAINERD_2 = 200

# failCgroupV1 is a field from 1.31; its default is true from 1.35 (pkg/kubelet/apis/config).
_CGROUP_V1_REFUSED = 35

# What the kubelet sets, or with protectKernelDefaults only demands (pkg/kubelet/cm,
# setupKernelTunables; pkg/util/sysctl).
_KERNEL_DEFAULTS = (
    "kernel/keys/root_maxbytes=25000000",
    "kernel/keys/root_maxkeys=1000000",
    "kernel/panic=10",
    "kernel/panic_on_oops=1",
    "vm/overcommit_memory=1",
    "vm/panic_on_oom=0",
)


@dataclass(frozen=True, kw_only=True)
class HostRules:
    """What a host is compared with; the defaults demand nothing of it."""

    fail_swap_on: bool = False
    """The kubelet refuses to start with swap."""
    cgroup_v1: bool = True
    """cgroup version 1 is accepted."""
    sysctls: tuple[str, ...] = ()
    """`net/ipv4/ip_forward=1` and the like."""
    clock_seconds: int = CLOCK_SECONDS
    """Most seconds between the host's time and the API server's."""
    disks: tuple[str, ...] = ()
    """`path=MIB` (must be free) or `path=N%` (should be)."""
    images_mib: int = 0
    """MiB that must be free at the runtime's root."""
    images_percent: int = 0
    """Percent that should be free there."""
    ports: tuple[str, ...] = ()
    """`unit=port`."""
    runtime_socket: str = ""
    """Where the container runtime listens; empty: none is needed."""
    cgroup_driver: str = "systemd"
    """The kubelet's cgroup driver."""
    containerd_file: int | None = None
    """Least containerd that reads the file we write, as 100 * major + minor; None: not ours."""
    containerd_least: int = 0
    """Least containerd that works with the kubelet."""
    containerd_good: int = 0
    """Least containerd that Kubernetes supports."""
    cni_bin: str = ""
    """Folder of the CNI plugins; empty: ask containerd."""
    cni_conf: str = ""
    """Folder of the CNI configuration; empty: ask containerd."""
    kubelet_kubeconfig: str = "/etc/kubernetes/kubelet.conf"
    """The kubeconfig that a kubelet has written."""
    adopting_unit_dir: str = ""
    """Folder of our units, where somebody else's kubelet is taken over; empty: it is refused."""

    def settings(self) -> dict[str, str]:
        """Give the shell's variables."""
        host = {
            "fail_swap_on": "yes" if self.fail_swap_on else "no",
            "cgroup_v1": "yes" if self.cgroup_v1 else "no",
            "sysctls": " ".join(self.sysctls),
            "clock": str(self.clock_seconds),
            "disks": " ".join(self.disks),
            "ports": " ".join(self.ports),
            "kubeconfig": self.kubelet_kubeconfig,
        }
        if self.adopting_unit_dir:
            host |= {"unit_dir": self.adopting_unit_dir, "kubelet_root": paths.KUBELET_ROOT}
        return host | self._runtime_settings() if self.runtime_socket else host

    def _runtime_settings(self) -> dict[str, str]:
        return {
            "socket": self.runtime_socket,
            "images": str(self.images_mib),
            "imagefs": str(self.images_percent),
            "driver": self.cgroup_driver,
            "containerd_file": "" if self.containerd_file is None else str(self.containerd_file),
            "containerd_least": str(self.containerd_least),
            "containerd_good": str(self.containerd_good),
            "cni_bin": self.cni_bin,
            "cni_conf": self.cni_conf,
            "conf": "",
            "root": "",
        }


NO_RULES = HostRules()


def host_rules(cluster: Cluster, node: Node, *, downloads: bool) -> HostRules:
    """Work out what a node's host is compared with.

    Args:
        cluster: its pods' families decide what must be forwarded.
        node: its options.
        downloads: kubelet and kube-proxy are installed by us, and need room.
    """
    options = node.options
    disks = [f"/etc={_CONFIGURATION_MIB}"]
    if downloads:
        disks.append(f"{options.layout.binary_dir}={_BINARIES_MIB}")
    if not node.is_worker:
        # kube-proxy alone needs no container runtime, and minds no swap.
        return HostRules(disks=tuple(disks), ports=tuple(_proxy_ports(node)))

    fields = options.kubelet_configuration
    minor = options.kubernetes_version.minor
    disks += [
        f"{paths.KUBELET_ROOT}={_KUBELET_ROOT_MIB}",
        f"{paths.KUBELET_ROOT}={_percent(node, 'nodefs.available')}%",
    ]
    endpoint = options.container_runtime_endpoint.removeprefix("unix://")
    cni = options.docker or options.containerd
    return HostRules(
        fail_swap_on=bool(fields.get("failSwapOn", True)),
        cgroup_v1=not fields.get("failCgroupV1", minor >= _CGROUP_V1_REFUSED),
        sysctls=tuple(_sysctls(cluster, fields.get("protectKernelDefaults") is True)),
        disks=tuple(disks),
        images_mib=_IMAGES_MIB,
        images_percent=_percent(node, "imagefs.available"),
        ports=(*_kubelet_ports(node), *_proxy_ports(node)),
        runtime_socket=paths.DOCKER_SOCKET if options.docker else endpoint,
        cgroup_driver=options.cgroup_driver,
        containerd_file=_containerd_file(node),
        containerd_least=_CONTAINERD_WITH_CRI_V1 if minor >= _CRI_V1_ALONE else 0,
        containerd_good=_CONTAINERD_2 if minor >= _CONTAINERD_2_ALONE else 0,
        cni_bin=cni.cni_bin_dir if cni else "",
        cni_conf=cni.cni_conf_dir if cni else "",
        kubelet_kubeconfig=options.layout.kubelet_kubeconfig,
        adopting_unit_dir=options.layout.unit_dir if node.adopts else "",
    )


def _sysctls(cluster: Cluster, kernel_defaults: bool) -> Iterator[str]:
    """Pods' packets are forwarded by the host (kubeadm's preflight demands the same)."""
    families = {":" in cidr for cidr in cluster.pod_cidrs}
    if False in families:
        yield "net/ipv4/ip_forward=1"
    if True in families:
        yield "net/ipv6/conf/all/forwarding=1"
    if kernel_defaults:
        yield from _KERNEL_DEFAULTS


def _kubelet_ports(node: Node) -> Iterator[str]:
    fields = node.options.kubelet_configuration
    for port in (fields.get("port", 10250), 10248, fields.get("readOnlyPort", 0)):
        if port:
            yield f"kubelet={port}"


def _proxy_ports(node: Node) -> Iterator[str]:
    addresses = kube_proxy_addresses(node)
    for address in (addresses.healthz, addresses.metrics):
        yield f"kube-proxy={split_address(address)[1]}"


def _percent(node: Node, signal: str) -> int:
    """Take an eviction threshold's percents; a quantity is not compared, and is 0 here."""
    threshold = node.options.eviction_hard.get(signal) or ""
    number = threshold.removesuffix("%")
    return int(float(number)) if number != threshold else 0


def _containerd_file(node: Node) -> int | None:
    """Version 3 of the file is containerd 2's own; 2.x still reads version 2."""
    if not node.options.containerd:
        return None
    return _CONTAINERD_2 if node.options.containerd.config_version == 3 else 0
