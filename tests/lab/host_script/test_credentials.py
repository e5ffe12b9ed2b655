"""The credentials script: secret files, and a way back from those that do not work."""

from __future__ import annotations

import subprocess

import pytest

from tests.lab.host_script.script_host import API, Node, ScriptHost

pytestmark = pytest.mark.lab


def test_credentials_are_0600_and_in_no_argument_list_and_restart_what_runs(
    host: ScriptHost, node: Node
) -> None:
    assert host.run(node.credentials()).status == 0
    assert host.run(node.units()).status == 0
    kubelet = host.started("kubelet")
    loop = "while [ ! -e /run/fake-stop ]; do cat /proc/[0-9]*/cmdline; done >/run/fake-seen"
    watcher = subprocess.Popen(host.argv(f"{loop} 2>/dev/null"))
    run = host.run(node.credentials(token="other-secret"))
    host.sh("touch /run/fake-stop")
    watcher.wait()
    assert host.sh("grep -c -a other-secret /run/fake-seen") == "0\n"
    assert host.sh("grep -c -a [.]kube-nodes/ /run/fake-seen") != "0\n"
    assert (run.status, run.restarted) == (0, ["kube-proxy"])
    assert "secret" not in run.out + run.err
    assert host.started("kubelet") == kubelet
    files = "/etc/kubernetes/bootstrap-kubelet.conf /etc/kubernetes/proxy.conf"
    assert host.sh(f"stat -c %a:%U:%G {files}") == "600:root:root\n" * 2
    assert "other-secret" in host.read("/etc/kubernetes/proxy.conf")


def test_new_credentials_that_do_not_work_are_taken_back(host: ScriptHost, node: Node) -> None:
    host.run(node.credentials())
    host.run(node.units())
    host.sh("mkdir -p /var/lib/kubelet/pki; touch /var/lib/kubelet/pki/kubelet-client-current.pem")
    node.wait_seconds = 1
    script = node.credentials(token="bad-secret").replace("10256/healthz", "10256/nothing")
    run = host.run(script)
    assert run.status == 1
    assert run.err.startswith("node-1: kube-proxy did not come up with the new credentials")
    assert "a-secret" in host.read("/etc/kubernetes/proxy.conf")
    assert host.active("kube-proxy")
    assert host.litter() == ""


def test_those_of_another_life_need_no_answer_from_a_kube_proxy_whose_node_is_gone(
    host: ScriptHost, node: Node
) -> None:
    """A rebuilt cluster has no Node, and kube-proxy's certificate is another: found by a fault."""
    host.run(node.credentials())
    host.run(node.units())
    host.sh("mkdir -p /var/lib/kubelet/pki; touch /var/lib/kubelet/pki/kubelet-client-current.pem")
    node.wait_seconds = 3
    node.generation = 2
    run = host.run(node.credentials(token="other").replace("10256/healthz", "10256/nothing"))
    assert (run.status, run.restarted) == (0, []), run.err
    assert "other" in host.read("/etc/kubernetes/proxy.conf")
    run = host.run(node.units().replace("10256/healthz", "10256/nothing"))
    assert (run.status, run.restarted) == (0, ["kubelet", "kube-proxy"]), run.err


def test_a_new_server_makes_the_kubelet_write_its_kubeconfig_again(
    host: ScriptHost, node: Node
) -> None:
    host.run(node.credentials())
    host.run(node.units())
    host.sh(f"echo '  server: {API}' >/etc/kubernetes/kubelet.conf")
    assert host.run(node.credentials(token="other")).restarted == ["kube-proxy"]
    assert host.exists("/etc/kubernetes/kubelet.conf")
    run = host.run(node.credentials(server="https://192.0.2.2:6443"))
    assert run.restarted == ["kubelet", "kube-proxy"]
    assert not host.exists("/etc/kubernetes/kubelet.conf")
