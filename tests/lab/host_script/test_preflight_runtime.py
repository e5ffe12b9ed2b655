"""What preflight finds of a host's runtime and pod network; see preflight_host.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.documented import assert_documented
from tests.lab.host_script.preflight_host import (
    CNI,
    PTP,
    RULES,
    SOCKET,
    cni,
    found,
    program,
    recorded,
    subjects,
)
from tests.lab.host_script.script_host import ScriptHost

__all__ = ["cni"]  # a fixture

pytestmark = pytest.mark.lab


def test_a_stopped_runtime_is_found_although_its_socket_is_there(host: ScriptHost) -> None:
    (finding,) = found(
        host,
        f"systemctl kill -s KILL containerd; systemctl stop containerd; [ -S {SOCKET} ] || exit 9",
        "systemctl start containerd",
    )
    assert finding.startswith(f"{SOCKET}: nothing listens; ")
    assert_documented(f"n1: {finding}", "Container runtime down")


def test_a_runtime_whose_cri_plugin_is_off_is_found(host: ScriptHost) -> None:
    """As in the packages of containerd's vendor: the kubelet would say `unknown service`."""
    own = "/etc/containerd/config.toml"
    (finding,) = found(
        host,
        f"echo 'disabled_plugins = [\"cri\"]' >/run/off.toml; mount --bind /run/off.toml {own};"
        " systemctl restart containerd",
        f"umount {own}; rm /run/off.toml; systemctl restart containerd",
    )
    assert finding.startswith("containerd's CRI plugin: switched off; the kubelet speaks to it; ")


def test_another_cgroup_driver_than_the_runtimes_is_found(host: ScriptHost) -> None:
    rules = replace(RULES, cgroup_driver="systemd")
    (finding,) = found(host, rules=rules)
    assert finding.startswith("cgroup driver: cgroupfs in containerd; the kubelet's is systemd, ")
    assert_documented(f"n1: {finding}", "Cgroup driver")
    # Where we write containerd's file, it will have the kubelet's own.
    assert found(host, rules=replace(rules, containerd_file=0)) == []


def test_the_driver_is_that_of_the_runtime_that_pods_get(host: ScriptHost) -> None:
    own = """\
version = 2
[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "other"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.other]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.other.options]
SystemdCgroup = true
"""
    (finding,) = found(host, **recorded("/etc/containerd/config.toml", own))
    assert finding.startswith("cgroup driver: systemd in containerd; the kubelet's is cgroupfs")


@pytest.mark.parametrize(
    ("version", "rules", "finding"),
    [
        (
            "containerd github.com/containerd/containerd 1.5.9-0ubuntu1 ",
            {},
            "containerd: 1.5.9; this kubelet needs CRI v1",
        ),
        (
            "containerd containerd.io 1.7.24 88bf19b2105c8b17560993bee28a01ddc2f97182",
            {"containerd_file": 200},
            "containerd: 1.7.24; only containerd 2 reads version 3 of its file",
        ),
        (
            "containerd containerd.io 1.7.24 88bf19b2105c8b17560993bee28a01ddc2f97182",
            {"containerd_good": 200},
            "note: containerd: 1.7.24; Kubernetes supports only containerd 2 from 1.36 on",
        ),
        (
            "containerd github.com/containerd/containerd/v2 v2.0.2 c507a0257ea6462fbd6f5ba4f5c74f",
            {"containerd_file": 200, "containerd_good": 200},
            "",
        ),
    ],
)
def test_a_runtime_too_old_for_what_is_declared_is_found(
    host: ScriptHost, version: str, rules: dict[str, Any], finding: str
) -> None:
    """Recorded versions: the lab has one containerd."""
    say = program("containerd", f"[ $1 != --version ] || echo '{version}'")
    findings = found(host, **say, rules=replace(RULES, **rules))
    assert [each[: len(finding)] for each in findings] == ([finding] if finding else [])


def test_dockers_cgroup_driver_is_compared(host: ScriptHost) -> None:
    """A recorded answer of Docker, which the lab has not: kubelets up to 1.23 take it."""
    rules = replace(RULES, runtime_socket="/var/run/docker.sock")
    assert subjects(found(host, **program("docker", "echo systemd"), rules=rules)) == [
        "/var/run/docker.sock: nothing listens",
        "cgroup driver: systemd in Docker",
    ]


def test_what_containerd_2_says_of_itself_is_understood(host: ScriptHost) -> None:
    """A recorded `containerd config dump` of 2.1, whose names and quotes differ."""
    dump = """\
version = 3
root = '/var/lib/containerd'
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
[plugins.'io.containerd.cri.v1.runtime'.containerd]
  default_runtime_name = 'runc'
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    BinaryName = ''
    SystemdCgroup = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dir = ''
  bin_dirs = ['/opt/none/bin']
  conf_dir = '/etc/none.d'
  conf_template = ''
"""
    text = f"[ $1 = config ] || exec echo containerd x v2.1.4 y\ncat <<'DUMP'\n{dump}DUMP"
    findings = found(
        host, **program("containerd", text), rules=replace(RULES, cni_bin="", cni_conf="")
    )
    assert subjects(findings) == [
        "cgroup driver: systemd in containerd",
        "note: /opt/none/bin: no CNI plugins",
        "note: /etc/none.d: no CNI configuration",
    ]


def test_a_kernel_without_overlay_is_found(host: ScriptHost) -> None:
    """A recorded /proc/filesystems: the machine's kernel is everybody's."""
    (finding,) = found(host, **recorded("/proc/filesystems", "\text4\n"))
    assert finding.startswith("overlay: not in this kernel; containerd's snapshotter needs it; ")


def test_a_missing_cni_is_a_note_since_an_add_on_may_bring_it(host: ScriptHost) -> None:
    findings = found(
        host,
        f"mkdir /run/fake-empty; rm {CNI}",
        f"rmdir /run/fake-empty; echo '{PTP}' >{CNI}",
        rules=replace(RULES, cni_bin="/run/fake-empty"),
    )
    assert subjects(findings) == [
        "note: /run/fake-empty: no CNI plugins",
        "note: /etc/fake-cni: no CNI configuration",
    ]


def test_pods_on_a_bridge_need_bridge_netfilter(host: ScriptHost) -> None:
    setting = "/proc/sys/net/bridge/bridge-nf-call-iptables"
    (finding,) = found(
        host,
        f"echo '{PTP.replace('ptp', 'bridge')}' >{CNI}; [ ! -e {setting} ] || echo 0 >{setting}",
        f"echo '{PTP}' >{CNI}; [ ! -e {setting} ] || echo 1 >{setting}",
    )
    assert finding.startswith("note: net/bridge/bridge-nf-call-iptables: not 1; ")
