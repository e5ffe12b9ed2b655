"""What was changed by hand is put right when the scripts run again."""

from __future__ import annotations

import pytest

from tests.lab.host_script.script_host import Node, ScriptHost, assert_installed

pytestmark = pytest.mark.lab

_DROP_IN = "/etc/systemd/system/kubelet.service.d/10-x.conf"


def _install(host: ScriptHost, node: Node) -> None:
    for script in (node.credentials(), node.units()):
        run = host.run(script)
        assert run.status == 0, run.err


def test_a_drop_in_is_kept_aside_until_the_node_is_removed(host: ScriptHost, node: Node) -> None:
    _install(host, node)
    host.sh(f"mkdir {_DROP_IN.rpartition('/')[0]}; printf '[Service]\\nNice=1\\n' >{_DROP_IN}")
    for changed, restarted in (([_DROP_IN], ["kubelet"]), ([], [])):
        run = host.run(node.units())
        assert (run.status, run.changed, run.restarted) == (0, changed, restarted), run.err
        assert host.sh("systemctl show -p DropInPaths --value kubelet").split() == []
        assert host.exists(f"{_DROP_IN}.kn-orig")
    assert host.run(node.units(), "remove").status == 0
    assert host.read(_DROP_IN) == "[Service]\nNice=1\n"
    host.sh(f"rm -r {_DROP_IN.rpartition('/')[0]}")


def test_a_disabled_unit_is_enabled_without_a_restart(host: ScriptHost, node: Node) -> None:
    _install(host, node)
    host.sh("systemctl disable kubelet")
    run = host.run(node.units())
    assert (run.status, run.restarted) == (0, []), run.err
    assert host.sh("systemctl is-enabled kubelet") == "enabled\n"


def test_what_keeps_a_unit_from_starting_does_not_keep_its_credentials_from_coming(
    host: ScriptHost, node: Node
) -> None:
    """Else another reapply would never come to the step that mends it."""
    _install(host, node)
    config = "/var/lib/kube-proxy/config.conf"
    host.sh(f"echo broken >{config}; echo other >/etc/kubernetes/proxy.conf")
    same = host.run(node.credentials())
    assert same.status == 1
    assert "kube-proxy did not come up with the new credentials" in same.err
    node.reapply = 1
    started = host.started("kube-proxy")
    run = host.run(node.credentials())
    assert (run.status, run.restarted) == (0, []), run.err
    assert host.read("/etc/kubernetes/proxy.conf") != "other\n"
    run = host.run(node.units())
    assert (run.status, run.restarted) == (0, ["kube-proxy"]), run.err
    assert host.started("kube-proxy") != started
    assert_installed(host, node)
    # Its work is done: the next run leaves kube-proxy alone.
    assert host.run(node.units()).restarted == []


def test_the_sums_of_the_secret_files_are_kept_and_go_with_them(
    host: ScriptHost, node: Node
) -> None:
    _install(host, node)
    sums = "/var/lib/kube-nodes/credentials.sums"
    assert host.sh(f"head -n 1 {sums}; tail -n +2 {sums} | sha256sum -c --status && echo good") == (
        "# 1 0\ngood\n"
    )
    assert host.sh(f"stat -c %a {sums}") == "600\n"
    assert host.run(node.units(), "remove").status == 0
    assert host.run(node.credentials(), "remove").status == 0
    assert not host.exists("/var/lib/kube-nodes")
