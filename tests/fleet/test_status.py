"""The status of a stack, by the real CLI, from a real API server; hosts that nobody contacts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_nodes.fleet.__main__ import main
from kube_nodes.fleet.stack import Stack
from kube_nodes.fleet.status import Looker
from kube_nodes.membership.api import Api
from kube_nodes.settings import parse_settings
from tests.api.conftest import use_kubeconfig
from tests.components.stacks import configuration
from tests.fleet.backend import use_pulumi
from tests.plugins.control_plane import ControlPlane, run_control_plane
from tests.plugins.engine import CHECKOUT
from tests.unit.fleets import fleet_document, pool_stack, write_fleet


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with run_control_plane(tmp_path_factory.mktemp("plane")) as running:
        yield running


def _values(plane: ControlPlane, **changes: Any) -> dict[str, Any]:
    uid = plane.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    ca = (plane.directory / "ca.crt").read_text()
    return configuration(1, 2, server=plane.server, clusterUid=uid, caCertificate=ca, **changes)


@pytest.fixture
def stack(plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stack that was never run, for this cluster; n1 has joined it."""
    use_pulumi(monkeypatch, tmp_path)
    use_kubeconfig(monkeypatch, plane)
    (tmp_path / "Pulumi.yaml").write_text("name: kube-nodes\nruntime: yaml\n")
    monkeypatch.chdir(tmp_path)
    subprocess.run(["pulumi", "stack", "init", "prod"], check=True, capture_output=True)
    file = tmp_path / "Pulumi.prod.yaml"
    config = {f"kube-nodes:{key}": value for key, value in _values(plane).items()}
    file.write_text(file.read_text() + yaml.safe_dump({"config": config}))
    return file


def _join(plane: ControlPlane, name: str, version: str = "v1.37.2") -> None:
    node = {"metadata": {"name": name, "annotations": {"kube-nodes/generation": "1"}}}
    answer = plane.call("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", **node})
    assert answer.status in (201, 409)
    condition = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    info = dict.fromkeys(
        (
            *("architecture", "bootID", "containerRuntimeVersion", "kernelVersion"),
            *("kubeProxyVersion", "machineID", "operatingSystem", "osImage", "systemUUID"),
        ),
        "",
    )
    status = {"conditions": [condition], "nodeInfo": {**info, "kubeletVersion": version}}
    plane.merge(f"/api/v1/nodes/{name}/status", {"status": status})


def _leave(plane: ControlPlane, name: str) -> None:
    plane.call("DELETE", f"/api/v1/nodes/{name}")


def test_what_is_declared_is_held_against_what_the_cluster_says(
    plane: ControlPlane, stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _join(plane, "n1")
    _leave(plane, "n2")
    assert main(["status", "--stack", "prod", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    told = {name: (each["ready"], each["notes"]) for name, each in document["nodes"].items()}
    assert told == {"n1": ("True", []), "n2": ("no Node", ["not joined"])}
    assert document["kubeProxyCertificate"] == {"expires": None, "daysLeft": None}
    _join(plane, "n2")
    assert main(["status", "--stack", "prod"]) == 0
    assert "2 nodes, 2 well" in capsys.readouterr().out


def test_a_fleet_is_told_stack_by_stack_from_one_read(
    plane: ControlPlane,
    stack: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _join(plane, "n1")
    _leave(plane, "n2")
    document = fleet_document(a=pool_stack("a", 1), b=pool_stack("b", 2))
    values = _values(plane)
    del values["pools"]
    document["config"] = {f"kube-nodes:{key}": value for key, value in values.items()}
    file = str(write_fleet(stack.parent, document))
    paths: list[str] = []
    get = Api.get

    def note(api: Api, path: str, **query: str) -> Any:
        paths.append(path)
        return get(api, path, **query)

    monkeypatch.setattr(Api, "get", note)
    assert main(["fleet-status", "--fleet", file, "--json"]) == 1
    assert paths.count("/api/v1/nodes") == 1
    told = json.loads(capsys.readouterr().out)
    assert {name: each["well"] for name, each in told["stacks"].items()} == {
        "prod-shared": True,
        "prod-a": True,
        "prod-b": False,
    }
    _join(plane, "n2")
    assert main(["fleet-status", "--fleet", file]) == 0
    assert "prod at " in capsys.readouterr().out


def test_another_cluster_is_no_answer(
    plane: ControlPlane, stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uid = plane.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    stack.write_text(stack.read_text().replace(uid, "0" * 8 + uid[8:]))
    assert main(["status", "--stack", "prod"]) == 2
    assert "the cluster does not tell: the kubeconfig reaches another" in capsys.readouterr().out


def test_each_refresh_reads_the_cluster_once(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_kubeconfig(monkeypatch, plane)
    _join(plane, "n1")
    looker = Looker(Stack(name="prod", settings=parse_settings(_values(plane))), {})
    looker.look()
    api = looker._api
    assert api
    paths: list[str] = []
    get = api.get

    def note(path: str, **query: str) -> Any:
        paths.append(path)
        return get(path, **query)

    monkeypatch.setattr(api, "get", note)
    _leave(plane, "n1")
    end = time.monotonic() + 10
    while looker.look().nodes[0].ready != "no Node":
        assert time.monotonic() < end
    looked = len(paths)
    looker.look()
    assert paths[looked:] == ["/api/v1/nodes"]


def test_it_can_be_watched_and_ends_with_ctrl_c(plane: ControlPlane, stack: Path) -> None:
    _join(plane, "n1")
    _join(plane, "n2")
    command = [sys.executable, "-m", "kube_nodes.fleet", "status", "--stack", "prod"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen(
        [*command, "--watch", "--every", "1", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout
        try:
            assert json.loads(process.stdout.readline())["well"]
            plane.merge(
                "/api/v1/nodes/n2", {"metadata": {"annotations": {"kube-nodes/cordoned": "true"}}}
            )
            end = time.monotonic() + 20
            while json.loads(process.stdout.readline())["well"]:
                assert time.monotonic() < end
        finally:
            process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=10)
    assert (process.returncode, error) == (1, "")
