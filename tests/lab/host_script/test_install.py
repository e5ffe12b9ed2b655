"""The units script on a real host: what it installs, restarts, and takes back."""

from __future__ import annotations

import re

import pytest

from tests.lab.host_script.artifacts import Artifacts
from tests.lab.host_script.script_host import (
    EXTRA,
    KUBE_PROXY_CONFIG,
    KUBELET_CONFIG,
    KUBELET_UNIT,
    VERSION,
    Node,
    ScriptHost,
    assert_installed,
)

pytestmark = pytest.mark.lab


def test_a_first_run_installs_files_binaries_and_units_and_waits_until_they_answer(
    host: ScriptHost, node: Node
) -> None:
    run = host.run(node.units())
    assert (run.status, run.err) == (0, "")
    first, second, *_ = run.out.splitlines()
    assert first.split()[0] == "run" and len(first.split()[1]) == 36
    assert second == f"machine {host.read('/etc/machine-id').strip()}"
    assert run.restarted == ["kubelet", "kube-proxy"]
    assert set(run.changed) >= {KUBELET_CONFIG, KUBELET_UNIT, "/usr/local/bin/kubelet"}
    assert_installed(host, node)
    assert host.sh(f"stat -c %a:%U:%G {KUBELET_CONFIG} {KUBELET_UNIT}") == "600:root:root\n" * 2
    assert host.sh("stat -c %a /usr/local/bin/kubelet /var/lib/kubelet") == "755\n700\n"
    assert host.sh("systemctl is-enabled kubelet kube-proxy") == "enabled\nenabled\n"


def test_a_second_run_downloads_nothing_changes_nothing_and_restarts_nothing(
    host: ScriptHost, node: Node, server: Artifacts
) -> None:
    host.run(node.units())
    before = host.started("kubelet"), host.started("kube-proxy")
    server.requests.clear()
    run = host.run(node.units())
    assert (run.status, run.changed, run.restarted) == (0, [], [])
    assert server.requests == []
    assert (host.started("kubelet"), host.started("kube-proxy")) == before


def test_only_the_unit_whose_file_changed_is_restarted(host: ScriptHost, node: Node) -> None:
    host.run(node.units())
    kubelet, kube_proxy = host.started("kubelet"), host.started("kube-proxy")
    node.kubelet_config = "maxPods: 50\n"
    run = host.run(node.units())
    assert (run.changed, run.restarted) == ([KUBELET_CONFIG], ["kubelet"])
    assert host.started("kubelet") != kubelet
    assert host.started("kube-proxy") == kube_proxy
    assert_installed(host, node)


def test_a_changed_unit_file_and_a_new_binary_take_effect(host: ScriptHost, node: Node) -> None:
    host.run(node.units())
    node.note, node.build = "second", 2
    run = host.run(node.units())
    assert run.status == 0
    assert host.sh("systemctl show -p Description --value kubelet") == "kubelet (second)\n"
    assert_installed(host, node)


def test_a_configuration_that_is_refused_is_taken_back_with_the_journals_own_line(
    host: ScriptHost, node: Node
) -> None:
    host.run(node.units())
    bad = Node(node.artifacts, kubelet_config="broken: 1\n", note="bad", build=2, extra=(EXTRA,))
    run = host.run(bad.units())
    assert run.status == 1
    assert run.out == ""
    assert run.err.startswith("node-1: kubelet did not come up: E1124 ")
    assert "kubelet: broken is unknown" in run.err
    assert run.err.count("\n") == 1
    assert_installed(host, node)
    assert not host.exists(EXTRA.path)
    assert host.run(node.units()).changed == []


def test_a_refused_first_install_leaves_no_unit_behind(host: ScriptHost, node: Node) -> None:
    node.kubelet_config = "broken: 1\n"
    run = host.run(node.units())
    assert run.status == 1 and "broken is unknown" in run.err
    assert not host.exists(KUBELET_UNIT)
    assert not host.exists(KUBELET_CONFIG)
    assert not host.active("kubelet") and not host.active("kube-proxy")
    assert host.litter() == ""


def test_a_unit_that_ended_or_was_stopped_is_started_again(host: ScriptHost, node: Node) -> None:
    host.run(node.units())
    host.sh("systemctl disable --now kubelet")
    run = host.run(node.units())
    assert (run.changed, run.restarted) == ([], ["kubelet"])
    assert host.sh("systemctl is-enabled kubelet") == "enabled\n"


def test_what_was_changed_by_hand_is_put_right(host: ScriptHost, node: Node) -> None:
    host.run(node.units())
    host.sh(f"echo 'maxPods: 1' >{KUBELET_CONFIG}; chmod 644 {KUBE_PROXY_CONFIG}")
    host.sh(f"ln -sf /dev/null {KUBELET_UNIT}; systemctl daemon-reload")
    kube_proxy = host.started("kube-proxy")
    run = host.run(node.units())
    assert run.restarted == ["kubelet"]
    assert host.sh(f"stat -c %a {KUBE_PROXY_CONFIG}") == "600\n"
    assert host.started("kube-proxy") == kube_proxy
    assert_installed(host, node)


def test_a_file_that_is_no_longer_declared_goes_and_comes_back_with_what_was_before(
    host: ScriptHost, node: Node
) -> None:
    node.extra = (EXTRA,)
    host.run(node.units())
    bad = Node(node.artifacts, kubelet_config="broken: 1\n")
    assert host.run(bad.units()).status == 1
    assert host.read(EXTRA.path) == EXTRA.content
    assert host.run(Node(node.artifacts).units()).changed == [EXTRA.path]
    assert not host.exists(EXTRA.path)


# It has no Node yet, so nothing answers at its health port.
_WAITING = """#!/bin/sh
[ "$1" != --version ] || {{ echo 'Kubernetes {version}'; exit 0; }}
[ "$1" != --cleanup ] || exit 0
echo 'I1124 00:00:00.000000 1 shared_informer.go:531] "{says}"' >&2
exec sleep 600
"""


@pytest.mark.parametrize(
    ("says", "at_once"), [("Caches are synced", True), ("Waiting for caches to sync", False)]
)
def test_a_kube_proxy_that_waits_for_its_node_has_come_up_when_it_says_so(
    host: ScriptHost, node: Node, says: str, at_once: bool
) -> None:
    """Else it has to live for two seconds; a first certificate request waits as long."""
    node.contents = {"kube-proxy": _WAITING.format(version=VERSION, says=says).encode()}
    run = host.run(node.units())
    assert run.status == 0, run.err
    began = float(re.findall(r"^restarted kube-proxy ([0-9.]+)$", run.out, re.MULTILINE)[0])
    lived = float(host.sh("date +%s.%N")) - began
    assert (lived < 1.5) == at_once, lived
