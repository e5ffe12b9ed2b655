"""Every key of the configuration can be set, and whatever is written there is told or used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kube_nodes.render.host_files import (
    render_node_credentials,
    render_node_preflight,
    render_node_units,
)
from kube_nodes.settings import (
    Settings,
    parse_settings,
)
from tests.configurations import materials, merge, right_configuration
from tests.unit.settings_store import faults

_JUMP_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICEM9a/ROWFNdybP/Vtux8H+QJEib0YMWkGln6u/GNlb"
_EVERYTHING = right_configuration(
    clusterName="lab",
    podCidrs=["10.200.0.0/16", "fd00:200::/56"],
    podCidrAllocator="network-add-on",
    serviceCidrs=["10.96.0.0/16", "fd00:96::/112"],
    binaries={
        "1.37.2": materials()["binaries"],
        "1.36.3": {
            "kubelet": {"file": "binaries/1.36.3/kubelet", "sha512": "e" * 128},
            "kubeProxy": {"file": "binaries/1.36.3/kube-proxy", "sha512": "f" * 128},
        },
    },
    kubeProxyCertificate={
        "issuer": "ca",
        "algorithm": "ECDSA",
        "validityHours": 24,
        "epoch": 2,
        "subject": {
            "country": "CN",
            "province": "ShangHai",
            "locality": "ShangHai",
            "organization": "k8s",
            "organizationalUnit": "paas",
        },
    },
    gpuRuntimeClass="nvidia-own",
    serviceCheck={"image": "registry.example:5000/web:1", "port": 8080, "timeoutSeconds": 30},
    staticToken={
        "user": "joins",
        "uid": 1,
        "group": "system:bootstrappers:static",
        "binding": "group",
        "epoch": 2,
        "file": "/srv/token.csv",
        "hosts": {"n1": {**materials()["n3"], "ssh": {"user": "admin", "port": 2222}}},
    },
    options={
        "kubernetesVersion": "1.37.2",
        "kubeProxyVersion": "1.36.3",
        "role": "worker",
        "tokenMode": "static",
        "ssh": {
            "user": "admin",
            "port": 2222,
            "jump": {"address": "jump.example", "user": "jump", "port": 2222, "hostKey": _JUMP_KEY},
        },
        "labels": {"example.com/zone": "a", "empty": ""},
        "taints": ["dedicated=gpu:NoSchedule", "old:NoExecute"],
        "mirrors": ["https://mirror.example/kubernetes", "http://192.0.2.9:8080/"],
        "maxPods": 50,
        "podPidsLimit": 1024,
        "kubeReserved": {"cpu": "200m", "memory": "512Mi"},
        "systemReserved": {"cpu": "1.5", "pid": "1000"},
        "evictionHard": {"memory.available": "5%", "nodefs.available": None},
        "clusterDns": ["169.254.20.10", "fd00:96::a"],
        "clusterDomain": "lab.example",
        "cgroupDriver": "systemd",
        "containerRuntimeEndpoint": "unix:///run/crio/crio.sock",
        "containerd": {
            "sandboxImage": "registry.example/pause:3.10",
            "configVersion": 3,
            "restrictOomScoreAdj": True,
            "cniBinDir": "/usr/lib/cni",
            "cniConfDir": "/etc/cni/net.d",
        },
        "gpu": "nvidia",
        "layout": {
            "binaryDir": "/opt/kubernetes/bin",
            "unitDir": "/usr/lib/systemd/system",
            "caCertificate": "/etc/kubernetes/pki/cluster-ca.pem",
            "bootstrapKubeconfig": "/etc/kubernetes/bootstrap-kubelet.conf",
            "kubeletKubeconfig": "/etc/kubernetes/kubelet.conf",
            "kubeProxyKubeconfig": "/etc/kubernetes/kube-proxy.kubeconfig",
            "certificateDir": "/var/lib/kubelet/pki",
        },
        "proxyMode": "iptables",
        "proxyBindAddress": "0.0.0.0",  # noqa: S104
        "proxyHealthzAddress": "[::]:11256",
        "proxyMetricsAddress": "127.0.0.1:11249",
        "kubeletConfiguration": {"failSwapOn": False, "featureGates": {"NodeSwap": True}},
        "kubeProxyConfiguration": {"conntrack": {"min": 0}, "iptables": {"syncPeriod": "1m0s"}},
        "kubeletUnit": {"Service": {"Environment": ["A=1", "B=2"]}},
        "kubeProxyUnit": {"Unit": {"Wants": []}},
        "verbosity": 4,
        "kubeletCertificateEpoch": 2,
        "joinTimeoutSeconds": 60,
        "drainTimeoutSeconds": 60,
        "drainForce": True,
        "adopt": True,
    },
    allowRemovals={"workers": 5},
    sharedStack="",
    pools={
        "workers": {
            "canary": "10%",
            "batch": 5,
            "maxUnavailable": "10%",
            "options": {"maxPods": 60},
            "nodes": {
                "n1": {
                    "nodeIp": "fd00::21",
                    "generation": 2,
                    "reapply": 3,
                    "held": True,
                    "lost": True,
                    "options": {"labels": {"gpu": "true"}},
                },
                # No version has these beside the rest; a host without a kubelet ignores them.
                "n2": {
                    "options": {
                        "role": "proxy-only",
                        "docker": {
                            "sandboxImage": "registry.example/pause:3.0",
                            "cniBinDir": "/opt/cni/bin",
                            "cniConfDir": "/etc/cni/net.d",
                            "runtimeCgroups": "/systemd/system.slice",
                        },
                        "cadvisorAllowedCidrs": ["10.0.0.0/8"],
                    },
                },
            },
        }
    },
)
_CA_KEY = {"caKey": materials()["ca_key"]}


def test_every_key_can_be_set() -> None:
    assert faults(_EVERYTHING, {**_CA_KEY, "sshPrivateKey": materials()["ssh_key"]}) == []


def test_this_test_sets_every_key_that_there_is() -> None:
    assert set(_keys(Settings.model_json_schema())) == set(_leaf_names(_EVERYTHING))


def _keys(schema: dict[str, Any]) -> Iterator[str]:
    for part in (schema, *schema["$defs"].values()):
        if part.get("title") not in ("Taint", "KubernetesVersion", "Share"):
            yield from part.get("properties", {})


def _leaf_names(values: dict[str, Any]) -> Iterator[str]:
    maps = ("labels", "kubeReserved", "systemReserved", "evictionHard")
    free = ("kubeletConfiguration", "kubeProxyConfiguration", "kubeletUnit", "kubeProxyUnit")
    for key, value in values.items():
        if key not in ("workers", "n1", "n2", "1.36.3", "1.37.2"):
            yield key
        if isinstance(value, dict) and key not in maps + free:
            yield from _leaf_names(value)


def _places(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield place
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from _places(inner, (*place, key))


_PLACES = list(_places(_EVERYTHING))[1:]


def _with(place: tuple[str, ...], value: Any) -> dict[str, Any]:
    for key in reversed(place):
        value = {key: value}
    return merge(_EVERYTHING, value)


@pytest.mark.parametrize("place", _PLACES, ids=".".join)
@pytest.mark.parametrize("secret", ["key", "ssh_key", "password"])
def test_a_secret_in_the_wrong_place_is_in_no_error(place: tuple[str, ...], secret: str) -> None:
    password = "hunter2" * 3
    text = f"https://ci:{password}@files.example/" if secret == "password" else materials()[secret]
    hidden = [password] if secret == "password" else text.split()[3:-3]

    told = "\n".join(faults(_with(place, text), _CA_KEY))

    assert not [part for part in hidden if part in told]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.sampled_from(_PLACES), _JSON)
@example(("options", "kubeletConfiguration"), {"nodeStatusMaxImages": 2**70, "podCIDR": "\x85"})
@example(("clusterName",), "n\u00f6rd # '1'")
@settings(max_examples=150, deadline=None)
def test_whatever_is_written_is_told_as_faults_or_can_be_rendered(
    place: tuple[str, ...], value: Any
) -> None:
    for fault in faults(_with(place, value), _CA_KEY):
        assert fault.startswith("kube-nodes:")
        assert "\n" not in fault
    if faults(_with(place, value), _CA_KEY):
        return
    accepted = parse_settings(_with(place, value), _CA_KEY)
    for node in accepted.nodes:
        assert render_node_units(accepted.cluster, node, None).endswith("# end\n")
        assert render_node_preflight(accepted.cluster, node).endswith("# end\n")
        assert render_node_credentials(accepted.cluster, node, "id.secret", "c", "k")
