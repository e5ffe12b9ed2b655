"""The nodes whose rendering is kept in golden files, and what is rendered for each."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from kube_nodes.model.binaries import Binaries
from kube_nodes.model.cluster import Cluster
from kube_nodes.model.nodes import Node
from kube_nodes.model.options import LayoutOptions
from kube_nodes.render import paths
from kube_nodes.render.host_files import (
    render_node_credentials,
    render_node_preflight,
    render_node_service_check,
    render_node_units,
)
from kube_nodes.settings import parse_settings
from tests.configurations import merge, right_configuration

# Markers: they are looked for in what must not hold them.
TOKEN = "tokenx.secretsecretsecr"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIkubeproxy\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIsecretkey\n-----END PRIVATE KEY-----\n"
_CA = "-----BEGIN CERTIFICATE-----\nMIIclusterca\n-----END CERTIFICATE-----\n"
_BINARIES = Binaries.model_validate(
    {
        "kubelet": {"url": "https://files.example/kubelet", "sha256": "a" * 64},
        "kubeProxy": {"url": "https://files.example/kube-proxy", "sha256": "b" * 64},
    }
)
LAYOUT = LayoutOptions()
KUBELET_UNIT = paths.kubelet_unit(LAYOUT)
KUBE_PROXY_UNIT = paths.kube_proxy_unit(LAYOUT)

_FULL = {
    "ssh": {"user": "admin", "port": 2222},
    "labels": {"example.com/zone": "a", "gpu": "true"},
    "taints": ["dedicated=gpu:NoSchedule", "old:NoExecute"],
    "maxPods": 50,
    "podPidsLimit": 1024,
    "kubeReserved": {"cpu": "200m", "memory": "512Mi", "ephemeral-storage": "1Gi"},
    "systemReserved": {"cpu": "100m", "pid": "1000"},
    "evictionHard": {"memory.available": "5%", "imagefs.available": None, "pid.available": "10%"},
    "clusterDns": ["169.254.20.10", "10.96.0.10"],
    "clusterDomain": "lab.example",
    "cgroupDriver": "cgroupfs",
    "containerRuntimeEndpoint": "unix:///run/other/containerd.sock",
    "containerd": {"sandboxImage": "registry.example/pause:3.10", "restrictOomScoreAdj": True},
    "proxyMode": "iptables",
    "kubeletConfiguration": {
        "failSwapOn": False,
        "featureGates": {"NodeSwap": True},
        "logging": {"format": "json", "flushFrequency": "5s"},
        "reservedMemory": [{"numaNode": 0, "limits": {"memory": "1Gi"}}],
        "shutdownGracePeriod": "30s",
        "tlsCipherSuites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
    },
    "kubeProxyConfiguration": {"conntrack": {"min": 0}, "nodePortAddresses": ["192.0.2.0/24"]},
    "verbosity": 4,
}


# What only some versions have.
_NEW_FIELDS: dict[str, dict[str, Any]] = {
    "1.35": {},
    "1.36": {"memoryReservationPolicy": "TieredReservation"},
    "1.37": {"defaultPodSysctls": {"net.ipv4.tcp_syncookies": "1"}},
}
VERSIONS = tuple(_NEW_FIELDS)
# Rendered only, or not run in the lab.
OLD_VERSIONS = ("1.8", "1.10", "1.15", "1.20", "1.24", "1.27", "1.30")
CASES = ("worker", *(f"full-{version}" for version in OLD_VERSIONS + VERSIONS), "proxy-only")
# Where an older version lacks something of _FULL, it is left out: (since, path of keys).
_SINCE = (
    (14, ("podPidsLimit",)),
    (15, ("systemReserved", "pid")),
    (10, ("evictionHard", "pid.available")),
    (22, ("kubeletConfiguration", "featureGates")),
    (28, ("kubeletConfiguration", "logging")),
    (21, ("kubeletConfiguration", "reservedMemory")),
    (20, ("kubeletConfiguration", "shutdownGracePeriod")),
    (10, ("kubeletConfiguration", "tlsCipherSuites")),
    (10, ("kubeProxyConfiguration", "nodePortAddresses")),
)
# What only older versions have, on top: (until, options).
_UNTIL: tuple[tuple[int, dict[str, Any]], ...] = (
    (11, {"cadvisorAllowedCidrs": ["10.0.0.0/8"]}),
    (
        15,
        {
            "containerd": None,
            "containerRuntimeEndpoint": None,
            "docker": {"sandboxImage": "registry.example/pause:3.1"},
        },
    ),
)


def _declaration(name: str, version: str) -> dict[str, Any]:
    """Give what a case's node declares beside its address and host key."""
    options: dict[str, Any] = {"kubernetesVersion": f"{version}.2"}
    if name == "proxy-only":
        return {"options": {**options, "role": "proxy-only"}}
    if name == "worker":
        return {"options": options}
    # containerd 2 reads version 3 of its file.
    options["containerd"] = {"configVersion": 3 if version == "1.37" else 2}
    options["kubeletConfiguration"] = _NEW_FIELDS.get(version, {})
    if version in OLD_VERSIONS:
        options["gpu"] = "nvidia"
    more = {"nodeIp": "192.0.2.121", "generation": 3, "reapply": 2}
    return {"options": _aged(merge(_FULL, options), int(version[2:])), **more}


def _aged(options: dict[str, Any], minor: int) -> dict[str, Any]:
    """Take away what a version lacks, and add what only it has."""
    options = copy.deepcopy(options)
    for since, (*parents, key) in _SINCE:
        place = options
        for parent in parents:
            place = place[parent]
        if minor < since:
            del place[key]
    for until, more in _UNTIL:
        if minor <= until:
            options = {key: value for key, value in (options | more).items() if value is not None}
    return options


@dataclass(frozen=True)
class Rendered:
    """All that is rendered for a node: what arrives on its host's stdin, step by step."""

    node: Node
    preflight: str
    credentials: str
    units: str
    service_check: str


@cache
def rendered(case: str, version: str = VERSIONS[-1]) -> Rendered:
    """Render a case."""
    name, _, own_version = case.partition("-1.")
    version = f"1.{own_version}" if own_version else version
    node_declaration = _declaration(name, version)
    values = right_configuration(pools={"workers": {"nodes": {"n1": node_declaration}}})
    settings = parse_settings(values)
    cluster: Cluster = replace(settings.cluster, ca_certificate=_CA)
    node = settings.nodes[0]
    token = TOKEN if node.is_worker else None
    return Rendered(
        node=node,
        preflight=render_node_preflight(cluster, node, _BINARIES),
        credentials=render_node_credentials(cluster, node, token, CERTIFICATE, KEY),
        units=render_node_units(cluster, node, _BINARIES),
        service_check=render_node_service_check(
            node,
            url="https://10.96.0.1/readyz",
            ca_certificate=_CA,
            timeout_seconds=60,
            runs=("6f1c7b0e",),
        ),
    )


def written_files(script: str) -> dict[str, str]:
    """Take the files that a script writes out of its here-documents, by path."""
    found = re.findall(
        r"^put (\S+) [^\n]*<<'(END\d*)'\n(.*?)^\2$", script, re.DOTALL | re.MULTILINE
    )
    return {path: content for path, _, content in found}
