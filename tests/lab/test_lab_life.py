"""A lab's life on this machine: up, up again, parts killed, down, and nothing left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab import cgroups, hosts, lifecycle, processes, ssh, status
from lab.commands import run
from lab.errors import LabError
from lab.spec import LabSpec, require
from tests.lab.conftest import wish
from tests.lab.traces import KINDS, traces


def command(spec: LabSpec, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "lab", *arguments, f"--dir={spec.directory}"]


def up_command(spec: LabSpec, names: str) -> list[str]:
    network = [f"--subnet={spec.subnet}", f"--bridge={spec.bridge}"]
    return [*command(spec, "up"), *network, f"--hosts={names}"]


def records(spec: LabSpec) -> dict[str, int]:
    """Return the pid of each process of the lab."""
    folder = spec.path("pids")
    return {path.stem: json.loads(path.read_text())["pid"] for path in folder.glob("*.json")}


def down(spec: LabSpec) -> list[str]:
    return [row.name for row in status.rows(require(spec.directory)) if not row.up]


def test_up_gives_a_ready_api_and_hosts_that_answer_ssh(lab: LabSpec) -> None:
    assert down(lab) == []
    for host in lab.hosts:
        assert ssh.on_host(lab, host, "hostname").strip() == host.name
        images = ssh.on_host(lab, host, "ctr -n k8s.io images list -q")
        assert {"localhost/kube-nodes/pause:1", "localhost/kube-nodes/web:1"} <= set(images.split())
        sudo = run([*ssh.command(lab, host, "admin"), "sudo -n id --user"])
        assert sudo.strip() == "0"


def test_the_agent_holds_the_operators_key(lab: LabSpec) -> None:
    listed = subprocess.run(
        ["ssh-add", "-L"],
        env={**os.environ, "SSH_AUTH_SOCK": str(ssh.agent_socket(lab))},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ssh.key_file(lab).with_suffix(".pub").read_text().split()[1] in listed.stdout


def test_up_again_starts_nothing_and_takes_seconds(lab: LabSpec) -> None:
    before = records(lab)
    begin = time.monotonic()

    lifecycle.up(lab.directory, lifecycle.Wish(), print)

    assert time.monotonic() - begin < 15
    assert records(lab) == before


def test_up_brings_back_every_part_that_was_killed_and_leaves_the_others(lab: LabSpec) -> None:
    before = records(lab)
    kept = "host-n2"
    for name, pid in before.items():
        if name != kept:
            os.kill(pid, signal.SIGKILL)

    lifecycle.up(lab.directory, lifecycle.Wish(), print)

    assert down(lab) == []
    after = records(lab)
    assert [name for name in before if before[name] == after[name]] == [kept]
    for host in lab.hosts:
        assert ssh.on_host(lab, host, "hostname").strip() == host.name


def test_a_subnet_that_the_machine_knows_is_refused(lab: LabSpec, own_lab: LabSpec) -> None:
    wanted = lifecycle.Wish(hosts=("n1",), subnet=lab.subnet, bridge=own_lab.bridge)

    with pytest.raises(LabError, match=f"subnet {lab.subnet}: this machine already routes"):
        lifecycle.up(own_lab.directory, wanted, print)
    assert set(traces(own_lab)) == {"files"}  # the lock alone


def test_a_bridge_of_another_lab_is_refused(lab: LabSpec, own_lab: LabSpec) -> None:
    wanted = lifecycle.Wish(hosts=("n1",), subnet=own_lab.subnet, bridge=lab.bridge)

    with pytest.raises(LabError, match="is not of this lab"):
        lifecycle.up(own_lab.directory, wanted, print)
    assert down(lab) == []


def test_a_host_comes_and_goes_while_the_others_stay(lab: LabSpec) -> None:
    before = records(lab)

    assert subprocess.run([*command(lab, "add-host"), "n3"], check=False).returncode == 0
    spec = require(lab.directory)
    assert ssh.on_host(spec, spec.host("n3"), "hostname").strip() == "n3"
    assert subprocess.run([*command(lab, "remove-host"), "n3"], check=False).returncode == 0

    assert require(lab.directory).host_names == ("n1", "n2")
    assert records(lab) == before
    assert not hosts.root(lab, "n3").exists()


def test_two_labs_side_by_side_do_not_meet_and_down_takes_only_its_own(
    lab: LabSpec, own_lab: LabSpec
) -> None:
    other = lifecycle.up(own_lab.directory, wish(own_lab, ("n1",)), print)
    host = other.host("n1")
    reach = "curl --silent --insecure --max-time 2 --output /dev/null https://{}:{}/ && echo met"
    assert "met" in ssh.on_host(other, host, f"{reach.format(other.gateway, 6443)} || true")
    for address, port in ((lab.gateway, 6443), (lab.hosts[0].address, 22)):
        assert "met" not in ssh.on_host(other, host, f"{reach.format(address, port)} || true")
    assert set(traces(other)) == set(KINDS) - {"mounts"}

    assert lifecycle.down(other.directory, print) == []

    assert traces(other) == {}
    assert down(lab) == []


@pytest.mark.parametrize("seconds", [0.4, 1.5, 3.0])
def test_up_goes_on_after_a_kill_in_its_middle(own_lab: LabSpec, seconds: float) -> None:
    # Not a second time after `up` is through: every kill hits another stage of the first start.
    with subprocess.Popen(up_command(own_lab, "n1,n2")) as process:
        time.sleep(seconds)
        process.kill()

    spec = lifecycle.up(own_lab.directory, wish(own_lab, ("n1", "n2")), print)

    assert down(spec) == []
    assert lifecycle.down(spec.directory, print) == []
    assert traces(spec) == {}


def test_ctrl_c_ends_up_at_once_and_down_leaves_nothing_of_it(own_lab: LabSpec) -> None:
    with subprocess.Popen(up_command(own_lab, "n1"), stderr=subprocess.PIPE, text=True) as process:
        _wait(lambda: "host-n1" in records(own_lab), 60)
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        _, errors = process.communicate()

    assert process.returncode == 130
    assert time.monotonic() - begin < 2
    assert "interrupted; run the same command again" in errors
    assert lifecycle.down(own_lab.directory, print) == []
    assert traces(own_lab) == {}


def test_down_after_a_crash_of_everything_leaves_nothing(own_lab: LabSpec) -> None:
    spec = lifecycle.up(own_lab.directory, wish(own_lab, ("n1",)), print)
    for pid in records(spec).values():
        os.kill(pid, signal.SIGKILL)
    for record in spec.path("pids").glob("*.json"):
        record.unlink()
    # As from an `up` that died before it could write a record, and from a pod's volume.
    stray = processes.group(spec, "stray")
    cgroups.create(stray)
    orphan = subprocess.Popen(["sleep", "600"])
    for folder in cgroups.existing(stray):
        (folder / "cgroup.procs").write_text(str(orphan.pid))
    volume = hosts.root(spec, "n1") / "var/lib/volume"
    volume.mkdir()
    run(["mount", "-t", "tmpfs", "tmpfs", str(volume)])

    assert lifecycle.down(spec.directory, print) == []

    assert orphan.wait(timeout=1) == -signal.SIGKILL
    assert traces(spec) == {}


def test_down_says_what_it_cannot_remove_deletes_nothing_through_it_and_can_be_run_again(
    own_lab: LabSpec, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("somebody's")
    spec = lifecycle.up(own_lab.directory, wish(own_lab, ()), print)
    inside = spec.path("hosts", "n1", "volume")
    inside.mkdir(parents=True)
    run(["mount", "--bind", str(tmp_path), str(inside)])

    with subprocess.Popen(["sleep", "600"], cwd=inside) as user:
        failed = subprocess.run(command(spec, "down"), capture_output=True, text=True, check=False)
        user.kill()

    assert failed.returncode == 1
    assert f"{inside}: still mounted and in use" in failed.stderr
    assert precious.read_text() == "somebody's"
    assert lifecycle.down(spec.directory, print) == []
    assert traces(spec) == {}


def test_a_node_gets_its_pod_range_on_its_host_and_a_route_and_loses_both(lab: LabSpec) -> None:
    from kubernetes import client, config

    connection = config.new_client_from_config(str(lab.path("kubeconfig")))
    api: Any = client.CoreV1Api(connection)
    host = lab.host("n1")
    cni = hosts.root(lab, "n1") / "etc/cni/net.d/10-lab.conflist"
    api.create_node({"metadata": {"name": "made-by-hand"}})
    try:
        address = {"type": "InternalIP", "address": host.address}
        api.patch_node_status("made-by-hand", {"status": {"addresses": [address]}})
        node = _wait(lambda: api.read_node("made-by-hand").spec.pod_cidr)
        _wait(lambda: cni.exists() and node in cni.read_text())
        _wait(lambda: f"{node} via {host.address}" in run(["ip", "route"]))
    finally:
        api.delete_node("made-by-hand")
    _wait(lambda: not cni.exists() and f"{node} via" not in run(["ip", "route"]))


def _wait(condition: Callable[[], object], seconds: float = 10) -> str:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.1)
    return str(result)
