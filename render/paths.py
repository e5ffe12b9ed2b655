"""Where things are on a host that no option moves; the rest is in the node's layout."""

from kube_nodes.model import file_checks, layout_rules
from kube_nodes.model.options import LayoutOptions

STATIC_PODS = "/etc/kubernetes/manifests"
KUBELET_CONFIGURATION = layout_rules.KUBELET_CONFIGURATION
KUBE_PROXY_CONFIGURATION = layout_rules.KUBE_PROXY_CONFIGURATION
CONTAINERD_CONFIGURATION = layout_rules.CONTAINERD_CONFIGURATION
KUBELET_ROOT = "/var/lib/kubelet"
KUBE_PROXY_ROOT = "/var/lib/kube-proxy"
# The host scripts' own record: host/life.sh, record.sh, credentials.sh.
GENERATION = "/var/lib/kube-nodes/generation"
UNITS_LIST = file_checks.RECORD
CREDENTIALS_SUMS = "/var/lib/kube-nodes/credentials.sums"
UNITS_JOURNAL = "/var/lib/kube-nodes/units.journal"
SENT_FILES = "/var/lib/kube-nodes/sent"
DOCKER_SOCKET = "/var/run/docker.sock"


def kubelet_binary(layout: LayoutOptions) -> str:
    """Name the kubelet's binary."""
    return f"{layout.binary_dir}/kubelet"


def kube_proxy_binary(layout: LayoutOptions) -> str:
    """Name kube-proxy's binary."""
    return f"{layout.binary_dir}/kube-proxy"


def kubelet_unit(layout: LayoutOptions) -> str:
    """Name kubelet.service."""
    return f"{layout.unit_dir}/kubelet.service"


def kube_proxy_unit(layout: LayoutOptions) -> str:
    """Name kube-proxy.service."""
    return f"{layout.unit_dir}/kube-proxy.service"


def sent_file(digest: str) -> str:
    """Name a file on the host that was sent from the operator's machine."""
    return f"{SENT_FILES}/{digest[:16]}"
