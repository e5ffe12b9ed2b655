"""The launcher and its process: from any folder, killed at any time, nothing secret in sight."""

from __future__ import annotations

import base64
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from kube_nodes.membership import api
from kube_nodes.membership.connection import CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS
from kube_nodes.model.requests import ApproveRequest, Drain
from tests.api.conftest import Machine, Result, in_background
from tests.api.pods import make_pod

Run = Callable[..., Result]
RUN = Path(__file__).parents[2] / "membership" / "run"


@contextmanager
def started(verb: str, text: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a verb as the command plugin does."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [RUN, verb], stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=folder
    )
    with process:
        assert process.stdin
        process.stdin.write(text)
        process.stdin.close()
        process.stdin = None
        try:
            yield process
        finally:
            process.kill()


def test_a_node_joins_through_the_launcher_from_any_folder(
    machine: Machine, tmp_path: Path
) -> None:
    # A module of this name in the folder would be imported, were the folder on the path.
    (tmp_path / "kube_nodes.py").write_text("raise SystemExit(99)")
    with started("prepare", machine.prepare().to_json(), tmp_path) as process:
        out, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, "")
        assert out.startswith("run ")
    kubelet = in_background(lambda: machine.kubelet.join(machine.bearer))
    with started("join", machine.join().to_json(), tmp_path) as process:
        out, err = process.communicate(timeout=30)
    kubelet.join()
    assert (process.returncode, err) == (0, "")
    assert machine.annotations()["kube-nodes/generation"] == "1"


def test_the_secret_is_in_no_argument_or_environment(machine: Machine, tmp_path: Path) -> None:
    request = machine.join(timeout_seconds=3)
    with started("join", request.to_json(), tmp_path) as process:
        time.sleep(1)
        seen = b"".join(
            Path(f"/proc/{process.pid}/{file}").read_bytes() for file in ("cmdline", "environ")
        )
        assert b"membership" in seen
        assert machine.token.secret.encode() not in seen
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        assert children == ""


@pytest.mark.parametrize("seconds", [0.3, 0.6, 0.9])
def test_killed_at_any_moment_the_next_run_finishes(
    machine: Machine, tmp_path: Path, seconds: float
) -> None:
    with started("prepare", machine.prepare().to_json(), tmp_path) as process:
        time.sleep(seconds)
    kubelet = in_background(lambda: machine.kubelet.join(machine.bearer))
    with started("join", machine.join().to_json(), tmp_path) as process:
        time.sleep(seconds)
    with started("join", machine.join().to_json(), tmp_path) as process:
        _, err = process.communicate(timeout=30)
    kubelet.join()
    assert process.returncode == 0, err
    assert machine.annotations()["kube-nodes/generation"] == "1"
    assert "token-secret" not in machine.data()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_drain_that_is_interrupted_leaves_the_node_schedulable(
    member: Machine, tmp_path: Path, ending: signal.Signals
) -> None:
    make_pod(member, "stuck", grace_seconds=600)
    newer = replace(member.node, version="v1.36.9")
    request = member.prepare(node=newer, drain=Drain(timeout_seconds=60))
    with started("prepare", request.to_json(), tmp_path) as process:
        wait_for_cordon(member)
        process.send_signal(ending)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 128 + ending
    assert "is schedulable again" in err
    assert "unschedulable" not in member.plane.get(member.path)["spec"]


def test_a_cordon_that_a_killed_drain_left_is_undone_by_approve_once_nothing_is_to_be_done(
    member: Machine, tmp_path: Path, run: Run
) -> None:
    make_pod(member, "stuck", grace_seconds=600)
    newer = replace(member.node, version="v1.36.9")
    request = member.prepare(node=newer, drain=Drain(timeout_seconds=60))
    with started("prepare", request.to_json(), tmp_path):
        wait_for_cordon(member)
    # While the new version is declared, the next run goes on with it.
    approve = ApproveRequest(cluster=member.cluster, nodes=(newer,))
    assert "cordon" not in run("approve", approve).out
    assert member.annotations()["kube-nodes/cordoned"] == "true"
    result = run("approve", ApproveRequest(cluster=member.cluster, nodes=(member.node,)))
    assert f"{member.node.id}: undid the cordon" in result.out
    assert "unschedulable" not in member.plane.get(member.path)["spec"]
    assert "kube-nodes/cordoned" not in member.annotations()


def wait_for_cordon(machine: Machine) -> None:
    """Wait until the drain has begun."""
    end = time.monotonic() + 20
    while "unschedulable" not in machine.plane.get(machine.path)["spec"]:
        assert time.monotonic() < end, "the Node is not cordoned"
        time.sleep(0.05)


def test_nothing_of_the_kubeconfig_is_left_in_a_file(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = yaml.safe_load(machine.plane.kubeconfig.read_text())
    user = tmp_path / "config"
    ca = Path(config["clusters"][0]["cluster"].pop("certificate-authority")).read_bytes()
    config["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(ca).decode()
    user.write_text(yaml.safe_dump(config))
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setenv("KUBECONFIG", str(user))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(memory))
    monkeypatch.setenv("TMPDIR", str(memory))
    with started("join", machine.join(timeout_seconds=9).to_json(), tmp_path) as process:
        time.sleep(1.5)
        assert process.poll() is None
        assert list(memory.iterdir()) == []


def test_an_api_server_that_is_down_is_one_clear_line(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = yaml.safe_load(machine.plane.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    machine_config = tmp_path / "config"
    machine_config.write_text(yaml.safe_dump(config))
    monkeypatch.setattr(
        "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(machine_config)
    )
    monkeypatch.setattr(api, "_RETRY", api._RETRY.new(backoff_factor=0))
    result = run("prepare", machine.prepare())
    assert result.status == 1
    assert result.err.startswith(
        f"{machine.node.id}: the API server https://127.0.0.1:{port} gives no answer"
    )
    assert result.err.count("\n") == 1


def test_an_api_server_that_is_down_for_ever_is_given_up_within_a_minute() -> None:
    retry = api._RETRY
    assert isinstance(retry.total, int)
    assert isinstance(retry.read, int)
    pauses = [min(retry.backoff_max, retry.backoff_factor * 2**n) for n in range(retry.total)]
    unanswered = (retry.total + 1) * CONNECT_TIMEOUT_SECONDS
    assert sum(pauses) + unanswered <= 60
    assert sum(pauses[: retry.read]) + (retry.read + 1) * READ_TIMEOUT_SECONDS <= 60
