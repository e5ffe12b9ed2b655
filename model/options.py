"""What can be chosen for a node, at one of three levels: the cluster, its pool, the node itself.

The nearest level wins: a map is merged key by key (null takes an inherited key away), anything
else is replaced. Defaults stand here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from kube_nodes.model.addresses import (
    check_bind_address,
    check_cidr,
    check_domain,
    check_ip,
    check_listening_ip,
    check_ssh_host,
)
from kube_nodes.model.declaration import Declaration
from kube_nodes.model.host_keys import check_host_key
from kube_nodes.model.labels import (
    Taint,
    check_label_value,
    check_own_label_key,
    check_own_taint,
    parse_taint,
)
from kube_nodes.model.values import (
    between,
    check_file,
    check_image,
    check_mirror,
    check_path,
    check_quantity,
    check_socket,
    check_threshold,
    check_user,
    one_of,
)
from kube_nodes.model.versions import KubernetesVersion

RESERVABLE = ("cpu", "memory", "ephemeral-storage", "pid")
EVICTION_SIGNALS = (
    "memory.available",
    "nodefs.available",
    "nodefs.inodesFree",
    "imagefs.available",
    "imagefs.inodesFree",
    "containerfs.available",
    "containerfs.inodesFree",
    "pid.available",
)


# The folders that every systemd reads units from.
UNIT_FOLDERS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
PROXY_MODES = ("nftables", "iptables", "ipvs", "userspace")


def _version(value: Any) -> Any:
    if isinstance(value, KubernetesVersion):
        return value
    if not isinstance(value, str):
        raise ValueError("is not a version; quote it, such as '1.37.2'")  # noqa: TRY004
    return KubernetesVersion.parse(value)


def _taint(value: Any) -> Taint:
    if isinstance(value, Taint):
        return value
    if not isinstance(value, str):
        raise ValueError("is not a string; write the taint in quotes, as 'key=value:Effect'")  # noqa: TRY004
    return check_own_taint(parse_taint(value))


def _label_value(value: str | None) -> str | None:
    return None if value is None else check_label_value(value)


def _taints(values: list[Taint]) -> list[Taint]:
    if len({(taint.key, taint.effect) for taint in values}) < len(values):
        raise ValueError("has a key twice with one effect; keep one of them")
    return values


def _dns_servers(values: list[str]) -> list[str]:
    if len(values) > 3:
        raise ValueError("has more than 3 addresses, which is all a resolver reads; remove some")
    if len(set(values)) < len(values):
        raise ValueError("has an address twice; keep one of them")
    return values


class Role(StrEnum):
    """What runs on a host."""

    WORKER = "worker"
    PROXY_ONLY = "proxy-only"


def _role(value: Any) -> Any:
    try:
        return Role(value)
    except ValueError:
        raise ValueError("is not a role; use worker or proxy-only") from None


Label = Annotated[str, AfterValidator(check_own_label_key)]
LabelValue = Annotated[str | None, AfterValidator(_label_value)]
Quantity = Annotated[str | None, AfterValidator(check_quantity)]
Reserved = dict[Annotated[str, one_of(RESERVABLE, "a reservable resource")], Quantity]
IpAddress = Annotated[str, AfterValidator(check_ip)]
Path = Annotated[str, AfterValidator(check_path)]
File = Annotated[str, AfterValidator(check_file)]


class JumpOptions(Declaration):
    """A host that the connection to a node goes through; its own key is checked as a node's is."""

    address: Annotated[str, AfterValidator(check_ssh_host)] = Field(
        description="IP address or DNS name of the jump host."
    )
    host_key: Annotated[str, AfterValidator(check_host_key)] = Field(
        description="The jump host's SSH public key, such as `ssh-ed25519 AAAA…`."
    )
    user: Annotated[str, AfterValidator(check_user)] = Field(
        "root", description="User to log in as; it needs no rights there."
    )
    port: Annotated[int, between(1, 65535)] = Field(22, description="Port of its sshd.")


class SshOptions(Declaration):
    """How the operator's machine reaches the host; keys come from the SSH agent."""

    user: Annotated[str, AfterValidator(check_user)] = Field(
        "root", description="User to log in as; any but root needs `sudo -n`."
    )
    port: Annotated[int, between(1, 65535)] = Field(22, description="Port of sshd.")
    jump: JumpOptions | None = Field(
        None, description="A jump host, where the host is reached through one; at most one."
    )


class ContainerdOptions(Declaration):
    """containerd's own configuration, where this program is asked to write it."""

    sandbox_image: Annotated[str, AfterValidator(check_image)] = Field(
        "", description="Image of the pods' sandbox (pause) container; required."
    )
    config_version: Annotated[int, between(2, 3, "(2 for containerd 1.x, 3 for 2.x)")] = Field(
        2, description="Version of its file: 2 for containerd 1.x, 3 for 2.x."
    )
    restrict_oom_score_adj: bool = Field(
        False, description="For a host that may not lower an OOM score, such as a container."
    )
    cni_bin_dir: Path = Field("/opt/cni/bin", description="Folder of the CNI plugins.")
    cni_conf_dir: Path = Field("/etc/cni/net.d", description="Folder of the CNI configuration.")


class DockerOptions(Declaration):
    """Docker as the container runtime, through the kubelet's own shim, with CNI."""

    sandbox_image: Annotated[str, AfterValidator(check_image)] = Field(
        "", description="Image of the pods' sandbox (pause) container; unset, the version's own."
    )
    cni_bin_dir: Path = Field("/opt/cni/bin", description="Folder of the CNI plugins.")
    cni_conf_dir: Path = Field("/etc/cni/net.d", description="Folder of the CNI configuration.")
    runtime_cgroups: Annotated[str, AfterValidator(check_path)] = Field(
        "", description="cgroup that Docker runs in, where the kubelet can't find it itself."
    )


class LayoutOptions(Declaration):
    """Where things are on the host: by default where kubeadm and the CIS benchmark's tools look."""

    binary_dir: File = Field("/usr/local/bin", description="Folder of kubelet and kube-proxy.")
    unit_dir: Annotated[str, one_of(UNIT_FOLDERS, "a folder of units")] = Field(
        "/etc/systemd/system", description="Folder of the units."
    )
    ca_certificate: File = Field(
        "/etc/kubernetes/pki/ca.crt", description="The cluster CA's certificate."
    )
    bootstrap_kubeconfig: File = Field(
        "/etc/kubernetes/bootstrap-kubelet.conf",
        description="The kubelet's kubeconfig with the token; up to 1.16.",
    )
    kubelet_kubeconfig: File = Field(
        "/etc/kubernetes/kubelet.conf",
        description="The kubeconfig that the kubelet writes itself; up to 1.16.",
    )
    kube_proxy_kubeconfig: File = Field(
        "/etc/kubernetes/proxy.conf", description="kube-proxy's kubeconfig."
    )
    certificate_dir: File = Field(
        "/var/lib/kubelet/pki", description="Folder of the kubelet's own certificates; up to 1.16."
    )


class NodeOptions(Declaration):
    """The options of a node, with their defaults."""

    kubernetes_version: Annotated[KubernetesVersion, BeforeValidator(_version)] = Field(
        KubernetesVersion(1, 37, 2), description="Version of kubelet and kube-proxy."
    )
    kube_proxy_version: Annotated[KubernetesVersion, BeforeValidator(_version)] | None = Field(
        None, description="Version of kube-proxy, where it is not the kubelet's."
    )
    role: Annotated[Role, BeforeValidator(_role)] = Field(
        Role.WORKER,
        description="`worker`: kubelet and kube-proxy; `proxy-only`: kube-proxy alone, no Node.",
    )
    adopt: bool = Field(
        False,
        description="Take over the kubelet that somebody else set up on the host: its Node and its "
        "pods stay; see what differs with `make adopt` first.",
    )
    token_mode: Literal["bootstrap", "static"] = Field(
        "bootstrap",
        description="What the node joins with: `bootstrap`, a token of its own that is open only "
        "while it joins, or `static`, the one token of `staticToken`.",
    )
    kubelet_certificate_epoch: Annotated[int, between(1, 1000000)] = Field(
        1,
        description="Raise it to have the kubelet get new certificates with the one it has, such as"
        " from a new CA; nothing is drained.",
    )
    ssh: SshOptions = Field(SshOptions(), description="How to reach the host.")
    mirrors: list[Annotated[str, AfterValidator(check_mirror)]] = Field(
        [],
        description="Bases of URLs that are tried before a binary's own, with the path of that.",
    )
    labels: dict[Label, LabelValue] = Field({}, description="Labels of the Node.")
    taints: Annotated[list[Annotated[Taint, BeforeValidator(_taint)]], AfterValidator(_taints)] = (
        Field([], description="Taints of the Node, as `key=value:Effect`.")
    )
    max_pods: Annotated[int, between(1, 1000, "pods")] = Field(
        110, description="Most pods on the node."
    )
    pod_pids_limit: Annotated[int, between(1, 4194304, "processes")] = Field(
        4096, description="Most processes in a pod."
    )
    kube_reserved: Reserved = Field({}, description="Resources kept for kubelet and runtime.")
    system_reserved: Reserved = Field({}, description="Resources kept for the system.")
    eviction_hard: dict[
        Annotated[str, one_of(EVICTION_SIGNALS, "an eviction signal")],
        Annotated[str | None, AfterValidator(check_threshold)],
    ] = Field(
        {
            "memory.available": "100Mi",
            "nodefs.available": "10%",
            "nodefs.inodesFree": "5%",
            "imagefs.available": "15%",
        },
        description="Thresholds at which pods are evicted at once.",
    )
    cluster_dns: Annotated[list[IpAddress], AfterValidator(_dns_servers)] = Field(
        [], description="Addresses of the cluster's DNS Service."
    )
    cluster_domain: Annotated[str, AfterValidator(check_domain)] = Field(
        "cluster.local", description="DNS domain of the cluster."
    )
    cgroup_driver: Annotated[str, one_of(("systemd", "cgroupfs"), "a cgroup driver")] = Field(
        "systemd", description="cgroup driver; must be the container runtime's."
    )
    container_runtime_endpoint: Annotated[str, AfterValidator(check_socket)] = Field(
        "unix:///run/containerd/containerd.sock", description="CRI socket."
    )
    containerd: ContainerdOptions | None = Field(
        None, description="Write containerd's configuration too; unset, it is its owner's."
    )
    docker: DockerOptions | None = Field(
        None, description="Docker instead of a CRI runtime; up to 1.23."
    )
    gpu: Literal["nvidia"] | None = Field(
        None,
        description="Kind of GPU: feature gates, containerd's runtime where its file is written, "
        "a label and a RuntimeClass.",
    )
    layout: LayoutOptions = Field(LayoutOptions(), description="Where things are on the host.")
    cadvisor_allowed_cidrs: list[Annotated[str, AfterValidator(check_cidr)]] = Field(
        [],
        description="Who may reach cAdvisor's port 4194, which is closed otherwise; up to 1.11.",
    )
    proxy_mode: Annotated[str, one_of(PROXY_MODES, "a proxy mode")] = Field(
        "nftables", description="How kube-proxy implements Services."
    )
    proxy_bind_address: Annotated[str, AfterValidator(check_listening_ip)] | None = Field(
        None, description="IP address that kube-proxy takes for its host's; unset, the node IP."
    )
    proxy_healthz_address: Annotated[str, AfterValidator(check_bind_address)] | None = Field(
        None,
        description="Where kube-proxy tells its health; unset, port 10256 of all addresses.",
    )
    proxy_metrics_address: Annotated[str, AfterValidator(check_bind_address)] | None = Field(
        None, description="Where kube-proxy has its metrics; unset, port 10249 of loopback."
    )
    kubelet_configuration: dict[str, Any] = Field(
        {}, description="Further fields of KubeletConfiguration, checked against the version."
    )
    kube_proxy_configuration: dict[str, Any] = Field(
        {}, description="Further fields of KubeProxyConfiguration, checked against the version."
    )
    kubelet_unit: dict[str, Any] = Field(
        {}, description="Further settings of kubelet.service, by section."
    )
    kube_proxy_unit: dict[str, Any] = Field(
        {}, description="Further settings of kube-proxy.service, by section."
    )
    verbosity: Annotated[int, between(0, 10)] = Field(
        2, description="Log verbosity of kubelet and kube-proxy."
    )
    join_timeout_seconds: Annotated[int, between(10, 3600, "seconds")] = Field(
        300, description="How long a node may take to become Ready."
    )
    drain_timeout_seconds: Annotated[int, between(1, 86400, "seconds")] = Field(
        300, description="How long a drain may take."
    )
    drain_force: bool = Field(
        False, description="Delete what is left after the drain's time, budgets or not."
    )


def merge_options(levels: Iterable[NodeOptions]) -> NodeOptions:
    """Merge the levels' own settings, the nearest last, over the defaults."""
    defaults = NodeOptions()
    merged = {name: getattr(defaults, name) for name in NodeOptions.model_fields}
    for level in levels:
        merged = _merge(merged, _own(level))
    return NodeOptions.model_validate(_without_null(merged), by_alias=False, by_name=True)


def _own(level: Declaration) -> dict[str, Any]:
    """Take what a level itself says, without defaults."""
    return {name: getattr(level, name) for name in level.model_fields_set}


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two nested mappings; what `over` says wins, and null stays to be taken away."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(value, Declaration) and isinstance(below, Declaration):
            result[key] = below.model_copy(update=_own(value))
        elif isinstance(value, Mapping) and isinstance(below, Mapping):
            result[key] = _merge(below, value)
        else:
            result[key] = value
    return result


def _without_null(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_null(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if value is not None
    }
