"""The remove action: nothing of ours stays, everything of others does."""

from __future__ import annotations

import subprocess

import pytest

from tests.lab.host_script.script_host import EXTRA, Node, ScriptHost, program

pytestmark = pytest.mark.lab


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
    for _ in range(2):
        assert host.run(node.units(), "remove").status == 0
        assert host.read(EXTRA.path) == "theirs\n"
    assert host.sh("cat /usr/local/bin/kubelet; stat -c %a /usr/local/bin/kubelet") == "old\n750\n"


def test_a_volume_is_not_deleted_through_a_root_that_is_a_link_to_a_larger_disk(
    host: ScriptHost, node: Node
) -> None:
    """The kernel names mounts by the real path; one of the same disk is no other device."""
    host.sh("mkdir -p /srv/kubelet /srv/volume; ln -s /srv/kubelet /var/lib/kubelet")
    host.sh("echo data >/srv/volume/file")
    host.run(node.units())
    host.sh("mkdir -p /var/lib/kubelet/pods/uid/v")
    host.sh("mount --bind /srv/volume /var/lib/kubelet/pods/uid/v")
    run = host.run(node.units(), "remove")
    assert (run.status, run.err) == (0, "")
    assert host.read("/srv/volume/file") == "data\n"
    assert host.sh("grep /srv/kubelet /proc/self/mountinfo") == ""
    assert host.sh("ls -A /srv/kubelet") == ""
    host.sh("rm -rf /var/lib/kubelet /srv/kubelet /srv/volume")


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
