"""A life of a node is a generation in a cluster; another's is never ended."""

from __future__ import annotations

import pytest

from kube_nodes.render.host_script import KUBE_PROXY
from tests.lab.host_script.script_host import KUBELET_UNIT, Node, ScriptHost

pytestmark = pytest.mark.lab


def test_a_new_generation_clears_identity_and_pods_of_the_one_before(
    host: ScriptHost, node: Node
) -> None:
    host.run(node.units())
    host.sh(
        "cd /var/lib/kubelet; mkdir -p pki pods/uid/volumes/v /etc/kubernetes; touch pki/x"
        "; echo server: there >/etc/kubernetes/kubelet.conf"
        "; mount -t tmpfs none pods/uid/volumes/v; touch pods/uid/volumes/v/data"
    )
    assert host.run(node.units()).restarted == []
    assert host.exists("/var/lib/kubelet/pki/x")
    node.generation = 2
    run = host.run(node.units())
    assert (run.status, run.restarted) == (0, ["kubelet"])
    assert host.sh("cd /var/lib/kubelet; ls -d pki pods; cat /etc/kubernetes/kubelet.conf") == ""
    assert host.read("/var/lib/kube-nodes/generation") == "uid-1 2\n"


def test_a_kubelet_that_somebody_else_set_up_is_left_alone(host: ScriptHost, node: Node) -> None:
    host.sh("mkdir -p /etc/kubernetes; echo 'server: https://other' >/etc/kubernetes/kubelet.conf")
    run = host.run(node.units())
    assert run.status == 1
    assert run.err.startswith("node-1: /etc/kubernetes/kubelet.conf is of a kubelet that was not")
    assert not host.exists(KUBELET_UNIT)


def test_a_host_that_another_cluster_took_over_is_not_cleared_by_the_removal(
    host: ScriptHost, node: Node
) -> None:
    host.run(node.units())
    host.sh("mkdir -p /etc/kubernetes; echo 'server: https://other' >/etc/kubernetes/kubelet.conf")
    host.sh("mkdir -p /var/lib/kubelet/pods/theirs")
    run = host.run(node.units(), "remove")
    assert (run.status, "a kubelet of https://other by now" in run.err) == (1, True)
    assert host.exists("/var/lib/kubelet/pods/theirs")
    host.sh("rm /etc/kubernetes/kubelet.conf")


def test_the_same_generation_of_another_cluster_is_refused(host: ScriptHost, node: Node) -> None:
    host.run(node.units())
    node.cluster_uid = "uid-2"
    run = host.run(node.units())
    assert run.status == 1 and "raise the node's generation" in run.err
    node.generation = 2
    assert host.run(node.units()).status == 0


def test_beside_kube_proxy_alone_somebody_elses_kubelet_and_its_pods_are_left_alone(
    host: ScriptHost, node: Node
) -> None:
    host.sh("mkdir -p /etc/kubernetes /var/lib/kubelet/pods/theirs")
    host.sh("echo theirs >/etc/kubernetes/kubelet.conf")
    node.programs = (KUBE_PROXY,)
    for action in ("apply", "remove"):
        run = host.run(node.units(), action)
        assert (run.status, run.err) == (0, "")
        assert host.read("/etc/kubernetes/kubelet.conf") == "theirs\n"
        assert host.exists("/var/lib/kubelet/pods/theirs")
