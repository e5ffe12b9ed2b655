"""A host that somebody else set up is taken over whole, or left as it was."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.lab.host_script.foreign_set_up import (
    CERTIFICATE,
    KEY,
    KUBEADM,
    PEM,
    Theirs,
    by_hand,
    by_kubeadm,
)
from tests.lab.host_script.script_host import (
    API,
    KUBELET_CONFIG,
    KUBELET_UNIT,
    Node,
    ScriptHost,
    killed_at,
)

pytestmark = pytest.mark.lab
SetUp = Callable[[ScriptHost], Theirs]


@pytest.fixture(autouse=True)
def _bare(host: ScriptHost, node: Node) -> Iterator[None]:
    """The host has nothing of theirs before and after."""
    node.adopt = True
    yield
    for script in (Node(node.artifacts).units(), Node(node.artifacts).credentials()):
        assert host.run(script, "remove").status == 0
    Theirs(host, "").end()


@pytest.mark.parametrize("set_up", [by_hand, by_kubeadm])
def test_ours_go_on_with_the_identity_of_theirs(
    host: ScriptHost, node: Node, set_up: SetUp
) -> None:
    set_up(host)
    assert host.run(node.credentials()).status == 0
    run = host.run(node.units())
    assert run.status == 0, run.err
    assert run.restarted == ["kubelet", "kube-proxy"]
    assert "\nadopted kubelet\nrenewed kubelet\n" in run.out
    assert host.read(PEM) == CERTIFICATE + KEY
    assert host.sh(f"stat -Lc %a {PEM}") == "600\n"
    assert host.running_with("kubelet") == node.kubelet_config
    assert host.running_with("kube-proxy") == node.kube_proxy_config
    assert host.read("/var/lib/kube-nodes/generation") == "uid-1 1\n"
    # The kubelet writes it, with our server; the stand-in does not.
    assert not host.exists("/etc/kubernetes/kubelet.conf")
    assert host.sh("systemctl show -p FragmentPath --value kubelet") == f"{KUBELET_UNIT}\n"
    assert host.sh("systemctl show -p DropInPaths --value kubelet") == "\n"
    if set_up is by_kubeadm:
        assert host.read(f"{KUBELET_CONFIG}.kn-orig") == "maxPods: 99\n"
        assert host.exists(f"{KUBEADM}.kn-orig")
    host.sh(f"echo server: {API} >/etc/kubernetes/kubelet.conf")
    started = host.started("kubelet")
    for adopt in (True, False):
        node.adopt = adopt
        again = host.run(node.units())
        assert (again.status, again.changed, again.restarted) == (0, [], []), again.err
    assert host.started("kubelet") == started


def test_the_removal_brings_back_what_was_in_our_places_and_starts_nothing(
    host: ScriptHost, node: Node
) -> None:
    by_kubeadm(host)
    host.sh("echo theirs >/etc/kubernetes/proxy.conf")
    assert host.run(node.credentials()).status == 0
    assert host.run(node.units()).status == 0
    assert host.run(node.units(), "remove").status == 0
    assert host.run(node.credentials(), "remove").status == 0
    assert host.read(KUBELET_CONFIG) == "maxPods: 99\n"
    assert host.read("/etc/kubernetes/proxy.conf") == "theirs\n"
    assert host.exists(KUBEADM)
    assert host.sh("systemctl is-active kubelet") == "inactive\n"
    assert host.litter() == ""


@pytest.mark.parametrize("set_up", [by_hand, by_kubeadm])
@pytest.mark.parametrize("broken", ["kubelet_config", "kube_proxy_config"])
def test_one_that_does_not_come_up_leaves_theirs_running_and_every_file_as_it_was(
    host: ScriptHost, node: Node, set_up: SetUp, broken: str
) -> None:
    theirs = set_up(host)
    before = theirs.digest()
    setattr(node, broken, "broken: 1\n")
    run = host.run(node.units())
    assert run.status == 1
    assert "did not come up: " in run.err and "what was there before is put back" in run.err
    assert theirs.runs()
    assert theirs.digest() == before
    assert not host.exists("/var/lib/kube-nodes/generation")
    assert host.litter() == ""
    setattr(node, broken, getattr(Node(node.artifacts), broken))
    assert host.run(node.units()).status == 0


def test_a_run_that_is_killed_at_any_step_converges_at_the_next(
    host: ScriptHost, node: Node
) -> None:
    for step in range(24, 1000, 1 if os.environ.get("KUBE_NODES_TEST_EVERY_STEP") else 29):
        set_up = by_hand if step % 2 else by_kubeadm
        set_up(host)
        whole = "\nsteps " in host.run(killed_at(node.units(), step)).out
        run = host.run(node.units())
        assert run.status == 0, f"step {step}: {run.err}"
        assert host.read(PEM) == CERTIFICATE + KEY
        assert host.running_with("kubelet") == node.kubelet_config
        assert host.read("/var/lib/kube-nodes/generation") == "uid-1 1\n"
        assert "kn-kept" not in host.litter() and "kn-old" not in host.litter(), f"step {step}"
        assert host.run(node.units(), "remove").status == 0
        Theirs(host, "").end()
        if whole:
            break
    assert step > 60


def test_the_credentials_leave_what_runs_alone(host: ScriptHost, node: Node) -> None:
    """Theirs is restarted by units alone, in the transaction that can give it back."""
    theirs = by_kubeadm(host)
    host.sh("echo theirs >/etc/kubernetes/proxy.conf")
    started = host.started("kubelet")
    run = host.run(node.credentials())
    assert (run.status, run.restarted) == (0, []), run.err
    assert (host.started("kubelet"), host.exists(theirs.kubeconfig)) == (started, True)
    assert host.read("/etc/kubernetes/proxy.conf.kn-orig") == "theirs\n"
    # Only what was there before the first run is the host's own.
    host.run(node.credentials(token="other"))
    assert host.read("/etc/kubernetes/proxy.conf.kn-orig") == "theirs\n"


def test_without_the_choice_theirs_is_refused(host: ScriptHost, node: Node) -> None:
    theirs = by_kubeadm(host)
    node.adopt = False
    run = host.run(node.units())
    assert (run.status, "adopt the node" in run.err) == (1, True)
    assert theirs.runs()


def test_a_host_without_a_kubelet_or_a_kubelet_without_a_certificate_is_refused(
    host: ScriptHost, node: Node
) -> None:
    run = host.run(node.units())
    assert run.status == 1
    assert "no kubelet runs here that could be taken over" in run.err
    theirs = by_hand(host)
    host.sh("rm /etc/kubernetes/pki/kubelet-client.key")
    run = host.run(node.units())
    assert run.status == 1
    assert f"{theirs.kubeconfig} has no client certificate with its key" in run.err
    assert theirs.runs()


def test_a_certificate_that_is_taken_over_is_of_the_declared_epoch(
    host: ScriptHost, node: Node
) -> None:
    by_hand(host)
    node.certificate_epoch = 3
    assert host.run(node.units()).status == 0
    assert host.read("/var/lib/kube-nodes/certificates") == "3\n"
