"""What a node's host and its Node must be, as plain data: what the checks compare facts with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kube_nodes.model.labels import Taint

HOST_FOLDER = ".kube-nodes"
"""Of the user who logs in, in his home: for each stack a folder with what it has sent once, each
file under its SHA-256."""


@dataclass(frozen=True, kw_only=True)
class ExpectedFile:
    """A path on the host that this program owns."""

    path: str
    mode: str
    digest: str = ""
    """SHA-256 or SHA-512, as long as it is. Empty: its content is secret, or not ours to say."""
    kind: str = "file"
    """file, folder, absent; or `target`: a file, or a link to one."""
    remedy: str = ""
    """Empty: the step that writes it is to be run again."""
    content: str = field(default="", repr=False)
    """Its text, where that is declared and not secret."""
    identifies: bool = False
    """It is the kubelet's identity, which only a new generation gives."""


@dataclass(frozen=True, kw_only=True)
class ExpectedKubeconfig:
    """A kubeconfig on the host; its credential is not looked at."""

    path: str
    server: str
    ca_path: str
    user: str = ""
    """Empty: any."""
    certificate_path: str = ""
    """The file that its client certificate is in; empty: it is none of its own."""


@dataclass(frozen=True, kw_only=True)
class ExpectedCertificate:
    """A certificate on the host."""

    name: str
    path: str
    """The file that it stands in, or the kubeconfig."""
    common_name: str
    organizations: frozenset[str] | None = None
    """None: any."""
    addresses: tuple[str, ...] = ()
    """IP addresses that it must be good for."""
    renews: bool = False
    """The kubelet renews it by itself."""
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class ExpectedUnit:
    """A unit of systemd."""

    name: str
    program: str = ""
    """The file that it runs; empty: not ours."""
    unit_file: str = ""
    """Where its unit stands; empty: not ours."""
    health_url: str = ""


@dataclass(frozen=True, kw_only=True)
class ExpectedName:
    """A name that the cluster's DNS must know."""

    name: str
    address: str
    servers: tuple[str, ...]
    """Addresses of the DNS servers that pods are given."""
    served: frozenset[str] = frozenset()
    """Those of them that are a Service's."""


@dataclass(frozen=True, kw_only=True)
class ExpectedNetwork:
    """What must be reached from the host; known only from the cluster."""

    service_url: str = ""
    """Empty: it is not known."""
    service_status: frozenset[str] = frozenset({"200"})
    pods: Mapping[str, str] = field(default_factory=dict)
    """By node: URL of a pod on another node."""
    name: ExpectedName | None = None


@dataclass(frozen=True, kw_only=True)
class ExpectedNode:
    """The Node object of a worker."""

    generation: int
    addresses: frozenset[str]
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    max_pods: int
    pod_cidrs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One node, as it is declared."""

    id: str
    version: str
    """Such as v1.37.2."""
    ca_certificate: str
    ca_path: str
    life: str = ""
    """What the host's record of its generation holds; empty: it keeps none."""
    files: tuple[ExpectedFile, ...]
    is_sent_to: bool = True
    """Whether what its steps call is on the host; of a held one it need not be."""
    programs: Mapping[str, str]
    """Versions of kubelet and kube-proxy, such as v1.37.2, by the program's path."""
    kubeconfigs: tuple[ExpectedKubeconfig, ...]
    certificates: tuple[ExpectedCertificate, ...]
    units: tuple[ExpectedUnit, ...]
    sysctls: tuple[tuple[str, str], ...] = ()
    """What the host must have set, such as net/ipv4/ip_forward to 1."""
    proxy_mode: str
    proxy_mode_url: str
    """Empty: kube-proxy tells it nowhere."""
    node: ExpectedNode | None
    """None: no kubelet runs there."""
    network: ExpectedNetwork = ExpectedNetwork()
