"""The receiver: signals, cut connections, users who are not root, scripts cut short."""

from __future__ import annotations

import signal
import subprocess
import threading
import time

import pytest

from tests.documented import assert_documented
from tests.lab.host_script.artifacts import Artifacts
from tests.lab.host_script.script_host import Node, ScriptHost, assert_installed

pytestmark = pytest.mark.lab


def test_a_signal_in_the_middle_puts_back_what_was_there(host: ScriptHost, node: Node) -> None:
    host.run(node.units())
    mute = Node(node.artifacts, kubelet_config="maxPods: 7\n", wait_seconds=60)
    # Up, but it does not answer: the script waits for it until it is told to end.
    script = mute.units().replace("10248/healthz", "10248/nothing")
    host.sh("mkdir -p /var/lib/kubelet/pki; touch /var/lib/kubelet/pki/kubelet-client-current.pem")
    run = host.run(script, timeout_seconds=3)
    assert run.status == 124
    assert run.err.endswith("node-1: stopped by a signal or the time limit\n")
    assert_installed(host, node)


def test_a_cut_connection_does_not_stop_the_run_and_the_next_one_waits_for_its_end(
    host: ScriptHost, node: Node, server: Artifacts
) -> None:
    server.hold = threading.Event()
    client = subprocess.Popen(host.argv(host.call()), stdin=subprocess.PIPE, text=True)
    assert client.stdin is not None
    client.stdin.write(node.units())
    client.stdin.close()
    while not server.requests:
        time.sleep(0.05)
    client.send_signal(signal.SIGKILL)
    client.wait()
    second: list[int] = []
    other = Node(server, kubelet_config="maxPods: 7\n")
    thread = threading.Thread(target=lambda: second.append(host.run(other.units()).status))
    thread.start()
    thread.join(2)
    assert thread.is_alive()
    server.hold.set()
    thread.join(60)
    assert second == [0]
    assert_installed(host, other)


def test_a_script_that_arrives_cut_short_is_not_run(host: ScriptHost, node: Node) -> None:
    script = node.units()
    run = host.run(script[: len(script) - 20])
    assert (run.status, run.err) == (1, "the script arrived cut short\n")
    assert not host.exists("/var/lib/kube-nodes")


def test_a_user_who_is_not_root_gets_the_same_through_sudo(host: ScriptHost, node: Node) -> None:
    assert host.run(node.units(), user="admin").status == 0
    assert_installed(host, node)


def test_a_user_whom_sudo_asks_for_a_password_is_told_what_to_do(
    host: ScriptHost, node: Node
) -> None:
    file = "/etc/sudoers.d/admin"
    host.sh(f"sed -i 's/NOPASSWD: //' {file}")
    try:
        run = host.run(node.units(), user="admin")
    finally:
        host.sh(f"sed -i 's/) ALL$/) NOPASSWD: ALL/' {file}")
    assert run.status == 1
    assert_documented(run.err, "sudo asks for a password")
    assert_documented(run.err, "sudo asks for a password", 2)
    assert not host.exists("/var/lib/kube-nodes")
    # What fails is told as it was where sudo is not to blame.
    assert "sudo" not in host.run("exit 3\n# end\n", user="admin").err
