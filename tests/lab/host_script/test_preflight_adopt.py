"""Preflight of a host whose node is adopted: each finding provoked, against a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from lab.pki import Authority
from lab.stack_config import ask
from tests.api.kubelet import NODE_INFO
from tests.lab.host_script.foreign_set_up import Theirs, by_hand
from tests.lab.host_script.preflight_host import CNI, PTP, RULES, found, subjects
from tests.lab.host_script.script_host import Node, ScriptHost

pytestmark = pytest.mark.lab
# A child of the stand-in has its port; a real kubelet has it itself (tests/lab/test_adopt.py).
ADOPTING = replace(RULES, adopting_unit_dir="/etc/systemd/system", ports=())
_CGROUP = "/sys/fs/cgroup/pids/kubepods"
_KUBECONFIG = "/etc/kubernetes/kubeconfig/kubelet.kubeconfig"


@pytest.fixture
def theirs(host: ScriptHost) -> Iterator[Theirs]:
    """A kubelet that an administrator let in: its certificate, its Node, cgroups of pods."""
    name, pki = host.host.name, host.spec.path("pki")
    Authority(pki, "ca").ensure_certificate(
        "theirs", f"system:node:{name}", organization="system:nodes"
    )
    pem = [(pki / f"theirs.{end}").read_text() for end in ("crt", "key")]
    host.sh(f"mkdir -p {_CGROUP} /etc/fake-cni; echo '{PTP}' >{CNI}")
    ask(host.spec, lambda api: api.create_node({"metadata": {"name": name}}))
    _report(host, host.read("/etc/machine-id").strip())
    yield by_hand(host, certificate=pem[0], key=pem[1])
    ask(host.spec, lambda api: api.delete_node(name))
    Theirs(host, "").end()
    host.sh(f"rmdir {_CGROUP}; rm -rf /etc/fake-cni")


def _report(host: ScriptHost, machine_id: str) -> None:
    info = dict.fromkeys(NODE_INFO, "") | {"kubeletVersion": "v1.37.2", "machineID": machine_id}
    status = {"status": {"nodeInfo": info}}
    ask(host.spec, lambda api: api.patch_node_status(host.host.name, status))


def _found(host: ScriptHost, **rules: object) -> list[str]:
    return subjects(found(host, rules=replace(ADOPTING, **rules)))  # type: ignore[arg-type]


def test_a_kubelet_that_is_this_node_is_no_finding_and_each_fault_is_one(
    host: ScriptHost, theirs: Theirs
) -> None:
    name = host.host.name
    assert _found(host) == []
    # The runtime's own driver is looked at on every host.
    said = ["cgroup driver: cgroupfs in containerd", f"cgroups of pods: {_CGROUP}"]
    assert _found(host, cgroup_driver="systemd") == said
    assert _found(host, adopting_unit_dir="/usr/lib/systemd/system") == []
    _report(host, "f" * 32)
    assert _found(host) == [f"Node {name}: {'f' * 32}"]
    host.sh("systemctl stop kubelet")
    assert _found(host) == ["kubelet.service: does not run"]


def test_another_root_directory_or_runtime_is_refused(host: ScriptHost, theirs: Theirs) -> None:
    unit = "/usr/lib/systemd/system/kubelet.service"
    flags = "--root_dir /srv/kubelet --container-runtime-endpoint=unix:///run/crio.sock"
    host.sh(f"sed -i 's|^ExecStart=.*|& {flags}|' {unit}; systemctl daemon-reload")
    host.sh("systemctl restart kubelet")
    assert _found(host) == ["root-dir: /srv/kubelet", "container runtime: unix:///run/crio.sock"]


def test_the_certificate_of_another_or_of_another_cluster_is_refused(
    host: ScriptHost, theirs: Theirs
) -> None:
    pki = host.spec.path("pki")
    pair = "/etc/kubernetes/pki/kubelet-client"
    for authority, said in (("ca", "system:node:other"), ("etcd-ca", "")):
        file = f"other-{authority}"
        Authority(pki, authority).ensure_certificate(
            file, "system:node:other", organization="system:nodes"
        )
        for end in ("crt", "key"):
            host.sh(f"cat >{pair}.{end} <<'END'\n{(pki / f'{file}.{end}').read_text()}END\n")
        (finding,) = _found(host)
        assert finding.startswith(f"{_KUBECONFIG}: {said}")


def test_a_kube_proxy_beside_the_unit_and_a_unit_before_ours_are_refused(
    host: ScriptHost, theirs: Theirs
) -> None:
    host.sh(
        "systemctl stop kube-proxy; systemd-run -q --unit=of-a-pod /usr/bin/kube-proxy; sleep 1"
    )
    try:
        said = _found(host)
    finally:
        host.sh("systemctl stop of-a-pod; systemctl start kube-proxy")
    assert any(each.endswith(": kube-proxy, and not of kube-proxy.service") for each in said)
    unit = "systemd/system/kubelet.service"
    host.sh(f"cp /usr/lib/{unit} /etc/{unit}; systemctl daemon-reload")
    said = _found(host, adopting_unit_dir="/usr/lib/systemd/system")
    assert said == [f"kubelet: /etc/{unit}"]


def test_a_host_that_is_ours_is_looked_at_as_any_other(host: ScriptHost, node: Node) -> None:
    host.run(node.units())
    host.sh("d=/etc/systemd/system/kubelet.service.d; mkdir $d; echo '[Unit]' >$d/x.conf")
    host.sh(f"systemctl daemon-reload; mkdir -p /etc/fake-cni; echo '{PTP}' >{CNI}")
    try:
        assert _found(host) == ["kubelet: /etc/systemd/system/kubelet.service.d/x.conf"]
    finally:
        host.sh("rm -r /etc/systemd/system/kubelet.service.d; systemctl daemon-reload")
