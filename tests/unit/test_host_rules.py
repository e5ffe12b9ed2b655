"""What a host is compared with follows from its node's options and version."""

from __future__ import annotations

from typing import Any

import pytest

from kube_nodes.render.preflight import HostRules, host_rules
from kube_nodes.settings import parse_settings
from tests.configurations import right_configuration


def rules(downloads: bool = True, pod_cidrs: list[str] | None = None, **options: Any) -> HostRules:
    """Work out the rules of one node with these options."""
    nodes = {"pools": {"workers": {"nodes": {"n1": {"options": options}}}}}
    settings = parse_settings(right_configuration(**nodes))
    cluster = settings.cluster
    if pod_cidrs:
        settings = settings.model_copy(update={"pod_cidrs": pod_cidrs})
        cluster = settings.cluster
    return host_rules(cluster, settings.nodes[0], downloads=downloads)


@pytest.mark.parametrize(
    ("version", "fields", "accepted"),
    [
        ("1.34.2", {}, True),
        ("1.35.4", {}, False),
        ("1.35.4", {"failCgroupV1": False}, True),
        ("1.34.2", {"failCgroupV1": True}, False),
    ],
)
def test_cgroup_version_1_is_refused_as_the_kubelet_would(
    version: str, fields: dict[str, Any], accepted: bool
) -> None:
    found = rules(kubernetesVersion=version, kubeletConfiguration=fields)
    assert found.cgroup_v1 is accepted


def test_swap_is_refused_unless_the_kubelet_takes_it() -> None:
    assert rules().fail_swap_on is True
    assert rules(kubeletConfiguration={"failSwapOn": False}).fail_swap_on is False


@pytest.mark.parametrize(
    ("pods", "sysctls"),
    [
        (["10.200.0.0/16"], ("net/ipv4/ip_forward=1",)),
        (["fd00::/56"], ("net/ipv6/conf/all/forwarding=1",)),
        (
            ["10.200.0.0/16", "fd00::/56"],
            ("net/ipv4/ip_forward=1", "net/ipv6/conf/all/forwarding=1"),
        ),
    ],
)
def test_what_is_forwarded_are_the_families_of_the_pods(
    pods: list[str], sysctls: tuple[str, ...]
) -> None:
    assert rules(pod_cidrs=pods).sysctls == sysctls


def test_protected_kernel_defaults_are_demanded() -> None:
    found = rules(kubeletConfiguration={"protectKernelDefaults": True}).sysctls
    assert set(found) > {"kernel/panic=10", "vm/overcommit_memory=1"}


@pytest.mark.parametrize(
    ("version", "least", "good"), [("1.25.1", 0, 0), ("1.26.0", 106, 0), ("1.36.0", 106, 200)]
)
def test_a_containerd_is_demanded_by_the_kubelets_version(
    version: str, least: int, good: int
) -> None:
    found = rules(kubernetesVersion=version, proxyMode="iptables")
    assert (found.containerd_least, found.containerd_good) == (least, good)
    assert found.containerd_file is None


@pytest.mark.parametrize(("config", "least"), [(2, 0), (3, 200)])
def test_the_file_that_we_write_demands_a_containerd_that_reads_it(config: int, least: int) -> None:
    found = rules(containerd={"sandboxImage": "pause:1", "configVersion": config})
    assert found.containerd_file == least
    assert (found.cni_bin, found.cni_conf) == ("/opt/cni/bin", "/etc/cni/net.d")


def test_the_ports_are_those_that_are_configured() -> None:
    assert rules().ports == (
        *("kubelet=10250", "kubelet=10248", "kube-proxy=10256", "kube-proxy=10249"),
    )
    changed = rules(
        kubeletConfiguration={"port": 10350},
        proxyHealthzAddress="[::]:11256",
        proxyMetricsAddress="127.0.0.1:11249",
    )
    assert changed.ports == (
        "kubelet=10350",
        "kubelet=10248",
        "kube-proxy=11256",
        "kube-proxy=11249",
    )


def test_eviction_thresholds_in_percent_are_compared_and_quantities_are_not() -> None:
    found = rules(evictionHard={"nodefs.available": "12.5%", "imagefs.available": "2Gi"})
    assert "/var/lib/kubelet=12%" in found.disks
    assert found.images_percent == 0


def test_binaries_that_are_the_hosts_own_need_no_room() -> None:
    assert "/usr/local/bin=300" in rules().disks
    assert "/usr/local/bin=300" not in rules(downloads=False).disks


def test_kube_proxy_alone_needs_no_runtime_and_none_of_the_kubelets_ports() -> None:
    found = rules(role="proxy-only")
    assert found.runtime_socket == ""
    assert found.ports == ("kube-proxy=10256", "kube-proxy=10249")
    assert (found.fail_swap_on, found.cgroup_v1, found.sysctls) == (False, True, ())
