"""Rules about where a node's files are: each has a path of its own, and folders stay folders."""

from __future__ import annotations

from collections.abc import Iterator

from kube_nodes.model.declaration import show
from kube_nodes.model.faults import Fault, Origins
from kube_nodes.model.nodes import Node
from kube_nodes.model.options import LayoutOptions
from kube_nodes.model.versions import OLDEST_JOINING_MINOR

# Where what no option moves is.
KUBELET_CONFIGURATION = "/var/lib/kubelet/config.yaml"
KUBE_PROXY_CONFIGURATION = "/var/lib/kube-proxy/config.conf"
CONTAINERD_CONFIGURATION = "/etc/containerd/config.toml"

# Files of the kubelet's identity: the scripts that take a host out of a cluster look for them.
_IDENTITY = ("bootstrap_kubeconfig", "kubelet_kubeconfig", "certificate_dir")
_PROGRAMS = ("kubelet", "kube-proxy")
_FILES = {
    "ca_certificate": "the CA's certificate",
    "bootstrap_kubeconfig": "the bootstrap kubeconfig",
    "kubelet_kubeconfig": "the kubelet's kubeconfig",
    "kube_proxy_kubeconfig": "kube-proxy's kubeconfig",
}
_FIXED = {
    KUBELET_CONFIGURATION: "the kubelet's configuration",
    KUBE_PROXY_CONFIGURATION: "kube-proxy's configuration",
    CONTAINERD_CONFIGURATION: "containerd's configuration",
}


def find_layout_faults(node: Node, origins: Origins) -> Iterator[Fault]:
    """Find files that would meet, and those that the host's scripts would not find."""
    place = origins.of("layout", "layout")
    layout, default = node.options.layout, LayoutOptions()
    taken = dict(_FIXED)
    taken |= {f"{layout.unit_dir}/{name}.service": f"{name}'s unit" for name in _PROGRAMS}
    for field, what in _FILES.items():
        path = getattr(layout, field)
        rule = _meets(path, taken)
        if rule:
            yield (*place, _alias(field)), f"{show(path)} {rule}"
        taken.setdefault(path, what)
    for field in ("binary_dir", "certificate_dir"):
        path = getattr(layout, field)
        if path in taken:
            yield (*place, _alias(field)), f"{show(path)} is {taken[path]}; give a folder"
    for path in (f"{layout.binary_dir}/{name}" for name in _PROGRAMS):
        if path in taken:
            yield (*place, "binaryDir"), f"has {taken[path]} at {path}; give another folder"
    if not node.is_worker or node.options.kubernetes_version.minor < OLDEST_JOINING_MINOR:
        return
    for field in _IDENTITY:
        value = getattr(layout, field)
        if value != getattr(default, field):
            yield (
                (*place, _alias(field)),
                f"{show(value)} is not where the host's scripts look for the identity of a kubelet "
                f"that joins (1.{OLDEST_JOINING_MINOR} and newer); remove it",
            )


def _alias(field: str) -> str:
    return str(LayoutOptions.model_fields[field].alias)


def _meets(path: str, taken: dict[str, str]) -> str:
    """Say what else is at this path, above it or below it."""
    if path in taken:
        return f"is {taken[path]} too; give each a path of its own"
    for other, what in taken.items():
        if path.startswith(f"{other}/"):
            return f"lies in {what}, which is a file; give another path"
        if other.startswith(f"{path}/"):
            return f"is the folder of {what}; give the path of a file"
    return ""
