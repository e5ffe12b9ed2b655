"""A script that is killed at any of its steps: the next run ends where it should."""

from __future__ import annotations

import os

import pytest

from tests.lab.host_script.script_host import EXTRA, Node, ScriptHost, assert_installed, killed_at

pytestmark = pytest.mark.lab
# What ssh says when the command's own process ended by a signal, as timeout does after its child.
KILLED = 255
# Every step takes half an hour; it is asked for with KUBE_NODES_TEST_EVERY_STEP=1.
STRIDE = 1 if os.environ.get("KUBE_NODES_TEST_EVERY_STEP") else 11


def test_a_run_that_is_killed_at_any_step_is_completed_or_undone_by_the_next(
    host: ScriptHost, node: Node
) -> None:
    before = Node(node.artifacts, extra=(EXTRA,))
    after = Node(node.artifacts, kubelet_config="maxPods: 7\n", note="after", build=2)
    bad = Node(node.artifacts, kubelet_config="broken: 1\n", note="bad", build=2)
    for step in range(1, 1000, STRIDE):
        attempt, then = [(after, after), (after, before), (bad, before)][step % 3]
        assert host.run(before.units()).status == 0
        if host.run(killed_at(attempt.units(), step)).status != KILLED:
            break
        done = host.run(then.units())
        assert done.status == 0, f"step {step}: {done.err}"
        assert_installed(host, then)
        assert host.exists(EXTRA.path) == (then is before), f"step {step}"
    assert step > 60


def test_a_killed_run_followed_by_a_refused_one_ends_on_the_last_good_files(
    host: ScriptHost, node: Node
) -> None:
    host.run(node.units())
    after = Node(node.artifacts, kubelet_config="maxPods: 7\n", note="after")
    bad = Node(node.artifacts, kube_proxy_config="broken: 1\n", note="bad")
    for step in range(20, 60, 11):
        assert host.run(killed_at(after.units(), step)).status == KILLED
        assert host.run(bad.units()).status == 1
        assert_installed(host, node)


def test_a_run_that_is_killed_while_it_tidies_up_is_tidied_up_after(
    host: ScriptHost, node: Node
) -> None:
    before = Node(node.artifacts, extra=(EXTRA,))
    after = Node(node.artifacts, kubelet_config="maxPods: 7\n")
    host.sh(f"mkdir -p /etc/kubernetes; echo theirs >{EXTRA.path}")
    host.run(before.units())
    total = int(host.run(killed_at(after.units(), 1000)).out.split()[-1])
    for step in range(total - 12, total + 1):
        host.run(before.units())
        assert host.run(killed_at(after.units(), step)).status == KILLED
        assert host.run(after.units()).status == 0
        assert_installed(host, after)
        assert host.read(EXTRA.path) == "theirs\n", f"step {step} of {total}"


def test_credentials_that_are_killed_at_any_step_are_completed_by_the_next_run(
    host: ScriptHost, node: Node
) -> None:
    host.run(node.credentials())
    host.run(node.units())
    for step in range(1, 1000, STRIDE):
        token = f"token-{step}"
        if host.run(killed_at(node.credentials(token=token), step)).status != KILLED:
            break
        token = token if step % 2 else "a-secret"
        assert host.run(node.credentials(token=token)).status == 0
        assert token in host.read("/etc/kubernetes/proxy.conf")
        assert token in host.read("/etc/kubernetes/bootstrap-kubelet.conf")
        assert host.litter() == ""
        assert host.active("kube-proxy")
    assert step > 20


def test_a_removal_that_is_killed_at_any_step_is_completed_by_the_next(
    host: ScriptHost, node: Node
) -> None:
    node.extra = (EXTRA,)
    for step in range(1, 1000, STRIDE):
        host.sh(f"mkdir -p /etc/kubernetes; echo theirs >{EXTRA.path}")
        host.run(node.credentials())
        host.run(node.units())
        killed = [
            host.run(killed_at(script, step), "remove").status
            for script in (node.units(), node.credentials())
        ]
        for script in (node.units(), node.credentials()):
            assert host.run(script, "remove").status == 0
        names = "/var/lib/kube* /usr/local/bin/kube* /etc/systemd/system/kube*"
        assert host.sh(f"ls -d {names}; ls -A /etc/kubernetes") == "extra.conf\n", f"step {step}"
        assert host.read(EXTRA.path) == "theirs\n", f"step {step}"
        if KILLED not in killed:
            break
    assert step > 20
