"""The scripts on a real host: what they install, and that no accident leaves a host half-made."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kube_nodes.render.host_script import ManagedFile, render_receiver
from lab import lifecycle
from lab.spec import load
from tests.lab.script_host import (
    API,
    KUBE_PROXY_CONFIG,
    KUBELET_CONFIG,
    Artifacts,
    Node,
    ScriptHost,
    killed_at,
    program,
    serve_artifacts,
)

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(bool(lifecycle.why_not_here()), reason=lifecycle.why_not_here() or "-"),
]
# What ssh says when the command's own process ended by a signal, as timeout does after its child.
KILLED = 255
# Every step is some minutes; a new one is tried at each release with KUBE_NODES_TEST_EVERY_STEP=1.
STRIDE = 1 if os.environ.get("KUBE_NODES_TEST_EVERY_STEP") else 11
KUBELET_UNIT = "/etc/systemd/system/kubelet.service"
EXTRA = ManagedFile(path="/etc/kubernetes/extra.conf", content="extra\n", restarts=("kubelet",))


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptHost]:
    """A host of a lab of its own; KUBE_NODES_TEST_LAB names the folder of one that is up."""
    given = os.environ.get("KUBE_NODES_TEST_LAB")
    if given:
        spec = load(Path(given))
        assert spec is not None
        yield ScriptHost(spec, spec.hosts[0])
        return
    directory = tmp_path_factory.mktemp("lab")
    wish = lifecycle.Wish(hosts=("h1",), subnet="10.98.231.0/24", bridge="kntest1")
    try:
        spec = lifecycle.up(directory, wish, lifecycle.progress())
        yield ScriptHost(spec, spec.hosts[0])
    finally:
        assert lifecycle.down(directory, lifecycle.progress()) == []


@pytest.fixture(scope="module")
def server(host: ScriptHost) -> Iterator[Artifacts]:
    """Where the host downloads from."""
    with serve_artifacts(host.spec.gateway) as artifacts:
        yield artifacts


@pytest.fixture
def node(host: ScriptHost, server: Artifacts) -> Iterator[Node]:
    """A node whose host is clean before and after."""
    node = Node(server)
    yield node
    server.ranges, server.cut_after, server.hold = True, None, None
    plain = Node(server)
    host.sh("rm -f /etc/kubernetes/kubelet.conf")
    assert host.run(plain.units(), "remove").status == 0
    assert host.run(plain.credentials(), "remove").status == 0
    host.sh("rm -rf /run/fake-* /usr/local/bin/kube* /etc/kubernetes /var/lib/kube*")
    assert host.litter() == ""


def assert_installed(host: ScriptHost, node: Node) -> None:
    """The host is what the node declares, and runs it."""
    assert host.read(KUBELET_CONFIG) == node.kubelet_config
    assert host.read(KUBE_PROXY_CONFIG) == node.kube_proxy_config
    assert f"({node.note})" in host.read(KUBELET_UNIT)
    assert host.read("/usr/local/bin/kubelet") == program("kubelet", node.build).decode()
    assert host.running_with("kubelet") == node.kubelet_config
    assert host.running_with("kube-proxy") == node.kube_proxy_config
    assert host.litter() == ""


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
    client = subprocess.Popen(host.argv(render_receiver()), stdin=subprocess.PIPE, text=True)
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


def test_a_wrong_checksum_leaves_the_old_program_running(host: ScriptHost, node: Node) -> None:
    host.run(node.units())
    before = host.started("kubelet")
    node.build = 2
    script = node.units()
    node.artifacts.contents["/2/kubelet"] = b"something else"
    run = host.run(script)
    assert run.status == 1
    assert run.err.startswith(f"node-1: {node.artifacts.url}/2/kubelet has the SHA-256 ")
    assert host.started("kubelet") == before
    node.build = 1
    assert_installed(host, node)


def test_a_download_that_is_cut_goes_on_where_it_ended(
    host: ScriptHost, node: Node, server: Artifacts
) -> None:
    server.cut_after = 40
    run = host.run(node.units())
    assert run.status == 1
    assert "cannot download" in run.err and "nothing was changed" in run.err
    server.cut_after = None
    server.requests.clear()
    assert host.run(node.units()).status == 0
    assert [wanted for _, wanted in server.requests if wanted]
    assert_installed(host, node)


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("size", [5, 5000])
def test_a_part_of_something_else_is_thrown_away(
    host: ScriptHost, node: Node, server: Artifacts, ranges: bool, size: int
) -> None:
    server.ranges = ranges
    host.sh(f"head -c {size} /dev/zero >/usr/local/bin/kubelet.kn-part")
    assert host.run(node.units()).status == 0
    assert_installed(host, node)


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
    assert host.sh("grep -c -a /dev/fd/4 /run/fake-seen") != "0\n"
    assert (run.status, run.restarted) == (0, ["kube-proxy"])
    assert "secret" not in run.out + run.err
    assert host.started("kubelet") == kubelet
    files = "/etc/kubernetes/bootstrap-kubelet.conf /etc/kubernetes/proxy.conf"
    assert host.sh(f"stat -c %a:%U:%G {files}") == "600:root:root\n" * 2
    assert "other-secret" in host.read("/etc/kubernetes/proxy.conf")


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


def test_removal_leaves_nothing_of_ours_and_everything_of_others(
    host: ScriptHost, node: Node
) -> None:
    host.run(node.credentials())
    host.run(node.units())
    host.sh("touch /etc/kubernetes/theirs; mkdir -p /var/lib/kubelet/pods/uid/v")
    host.sh("mount -t tmpfs none /var/lib/kubelet/pods/uid/v")
    for _ in range(2):
        for script in (node.units(), node.credentials()):
            run = host.run(script, "remove")
            assert (run.status, run.err) == (0, "")
    assert host.sh("ls -A /etc/kubernetes") == "theirs\n"
    assert host.sh("ls -d /var/lib/kube* /usr/local/bin/kube* /etc/systemd/system/kube*") == ""
    assert host.sh("systemctl list-units --all --plain --no-legend 'kube*'") == ""
    assert host.sh("grep kubelet /proc/self/mountinfo") == ""
    assert host.read("/run/fake-cleanup") == "cleaned\n"


def test_a_program_that_was_there_before_us_stays(host: ScriptHost, node: Node) -> None:
    host.sh("cat >/usr/local/bin/kubelet <<'X'\n" + program("kubelet").decode() + "X\n")
    assert "/usr/local/bin/kubelet" not in host.run(node.units()).changed
    host.run(node.units(), "remove")
    assert host.exists("/usr/local/bin/kubelet")
    assert not host.exists("/usr/local/bin/kube-proxy")


def test_what_stood_there_before_us_comes_back_in_the_end(host: ScriptHost, node: Node) -> None:
    host.sh("mkdir -p /etc/kubernetes; echo theirs >/etc/kubernetes/extra.conf")
    host.sh("echo old >/usr/local/bin/kubelet; chmod 750 /usr/local/bin/kubelet")
    node.extra = (EXTRA,)
    bad = Node(node.artifacts, kubelet_config="broken: 1\n", extra=(EXTRA,))
    assert host.run(bad.units()).status == 1
    assert host.read(EXTRA.path) == "theirs\n"
    for _ in range(2):
        assert host.run(node.units()).status == 0
    assert host.read(EXTRA.path) == "extra\n"
    assert host.run(Node(node.artifacts).units()).status == 0
    assert host.read(EXTRA.path) == "theirs\n"
    host.run(node.units())
    assert host.run(node.units(), "remove").status == 0
    assert host.read(EXTRA.path) == "theirs\n"
    assert host.sh("cat /usr/local/bin/kubelet; stat -c %a /usr/local/bin/kubelet") == "old\n750\n"


def test_a_mount_that_is_in_use_stops_the_removal_before_anything_behind_it_is_deleted(
    host: ScriptHost, node: Node
) -> None:
    host.run(node.units())
    host.sh("mkdir -p '/var/lib/kubelet/pods/uid/a b' /srv/volume; echo data >/srv/volume/file")
    host.sh("mount --bind /srv/volume '/var/lib/kubelet/pods/uid/a b'")
    holder = subprocess.Popen(
        host.argv("cd '/var/lib/kubelet/pods/uid/a b' && echo in && exec sleep 60"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None and holder.stdout.readline() == "in\n"
    run = host.run(node.units(), "remove")
    assert run.status == 1
    assert "cannot be unmounted" in run.err
    assert host.read("/srv/volume/file") == "data\n"
    host.sh("kill $(pgrep -x sleep)")
    holder.wait()
    holder.stdout.close()
    assert host.run(node.units(), "remove").status == 0
    assert host.read("/srv/volume/file") == "data\n"
    assert not host.exists("/var/lib/kubelet")


def test_a_removal_that_is_killed_at_any_step_is_completed_by_the_next(
    host: ScriptHost, node: Node
) -> None:
    for step in range(1, 1000, STRIDE):
        host.run(node.credentials())
        host.run(node.units())
        killed = [
            host.run(killed_at(script, step), "remove").status
            for script in (node.units(), node.credentials())
        ]
        for script in (node.units(), node.credentials()):
            assert host.run(script, "remove").status == 0
        names = "/etc/kubernetes /var/lib/kube* /usr/local/bin/kube* /etc/systemd/system/kube*"
        assert host.sh(f"ls -d {names}") == "", f"step {step}"
        if KILLED not in killed:
            break
    assert step > 20


def test_a_script_that_arrives_cut_short_is_not_run(host: ScriptHost, node: Node) -> None:
    script = node.units()
    run = host.run(script[: len(script) - 20])
    assert (run.status, run.err) == (1, "the script arrived cut short\n")
    assert not host.exists("/var/lib/kube-nodes")


def test_a_user_who_is_not_root_gets_the_same_through_sudo(host: ScriptHost, node: Node) -> None:
    assert host.run(node.units(), user="admin").status == 0
    assert_installed(host, node)
