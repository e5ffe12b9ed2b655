"""A new stack, by the real CLI, from a real API server and SSH servers: whole, or not at all."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import yaml
from jsonschema import Draft7Validator

from kube_nodes.fleet import host_keys
from kube_nodes.fleet.__main__ import main
from kube_nodes.fleet.discovery import Discovered, discover
from kube_nodes.fleet.stack import read_stack
from kube_nodes.membership.api import Api
from kube_nodes.membership.connection import connect
from tests.api.conftest import use_kubeconfig
from tests.fleet.backend import use_pulumi
from tests.plugins.control_plane import ControlPlane, run_control_plane
from tests.plugins.engine import CHECKOUT
from tests.plugins.ssh_server import SshServer

_GIVEN = ("--api", "https://10.0.0.5:6443", "--pod-cidrs", "10.200.0.0/16")


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    flags = {"disable-admission-plugins": "ServiceAccount"}
    with run_control_plane(tmp_path_factory.mktemp("plane"), flags) as running:
        yield running


@pytest.fixture(scope="module")
def servers() -> Iterator[list[SshServer]]:
    keys = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(2)]
    with SshServer(keys[0]) as one, SshServer(keys[1]) as other:
        yield [one, other]


@pytest.fixture(autouse=True)
def folder(
    plane: ControlPlane, servers: list[SshServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A project without a stack; w1, w2, … are answered for by the SSH servers."""
    use_pulumi(monkeypatch, tmp_path)
    use_kubeconfig(monkeypatch, plane)
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: kube-nodes\nruntime: yaml\n")
    monkeypatch.chdir(project)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    real = host_keys.fetch

    async def fetch(nodes: Sequence[host_keys.Declared]) -> list[host_keys.Seen]:
        """Only the way there is another one: no node may have a loopback address."""
        there = [
            replace(node, address="127.0.0.1", ssh={**node.ssh, "port": server.port})
            for node, server in zip(nodes, servers, strict=False)
        ]
        return [
            replace(seen, node=node) for seen, node in zip(await real(there), nodes, strict=True)
        ]

    monkeypatch.setattr(host_keys, "fetch", fetch)
    return project


@pytest.fixture
def ca(plane: ControlPlane) -> str:
    return str(plane.directory / "ca.crt")


def _run(*arguments: str) -> int:
    return main(["new-stack", "--stack", "prod", *arguments])


def _there(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _stacks() -> list[str]:
    done = subprocess.run(["pulumi", "stack", "ls", "--json"], check=True, capture_output=True)
    return [each["name"] for each in json.loads(done.stdout)]


def _answers(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str], str]) -> list[str]:
    asked: list[str] = []

    def reply(question: str) -> str:
        asked.append(question)
        return answer(question)

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", reply)
    return asked


def test_a_stack_that_is_written_is_whole_and_the_cli_can_go_on_with_it(
    plane: ControlPlane, servers: list[SshServer], folder: Path, ca: str
) -> None:
    nodes = "w1=10.0.0.11,w2=10.0.0.12"
    assert _run(*_GIVEN, "--ca", ca, "--ssh-user", "admin", "--nodes", nodes, "--write") == 0
    settings = read_stack("prod").settings
    uid = plane.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    version = plane.get("/version")["gitVersion"]
    assert (settings.server, settings.cluster_uid) == ("https://10.0.0.5:6443", uid)
    assert (settings.pod_cidrs, settings.service_cidrs) == (["10.200.0.0/16"], ["10.96.0.0/16"])
    told = [(each.id, each.address, each.host_key, each.ssh.user) for each in settings.nodes]
    keys = [" ".join(server.host_key_line.split()[:2]) for server in servers]
    assert told == [("w1", "10.0.0.11", keys[0], "admin"), ("w2", "10.0.0.12", keys[1], "admin")]
    assert {str(node.kubelet_version) for node in settings.nodes} == {version}
    text = (folder / "Pulumi.prod.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=docs/stack.schema.json\n")
    assert "kube-nodes:caCertificate: |\n" in text and "encryptionsalt:" in text
    schema = json.loads((CHECKOUT / "docs" / "stack.schema.json").read_text())
    assert list(Draft7Validator(schema).iter_errors(yaml.safe_load(text))) == []
    subprocess.run(
        ["pulumi", "config", "set", "--path", "options.maxPods", "200", "--stack", "prod"],
        check=True,
        capture_output=True,
    )
    assert read_stack("prod").settings.options.max_pods == 200
    assert "-----BEGIN CERTIFICATE-----\n" in (folder / "Pulumi.prod.yaml").read_text()


def test_without_a_yes_nothing_is_written(
    folder: Path, ca: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(*_GIVEN, "--ca", ca, "--nodes", "w1=10.0.0.11") == 2
    said = capsys.readouterr()
    assert "SHA256:" in said.out
    assert "no host's key was confirmed; nothing was written" in said.err
    assert (_there(folder), _stacks()) == ({"Pulumi.yaml"}, [])


def test_every_fault_is_told_at_once_before_a_host_is_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(nodes: object) -> None:
        raise AssertionError("a host was contacted")

    monkeypatch.setattr(host_keys, "fetch", never)
    wrong = ("--api", "http://10.0.0.5", "--ca", "/nowhere/ca.crt", "--ssh-user", "a b")
    assert _run(*wrong, "--nodes", "w1=w1.example,w1=10.0.0.12,w3", "--write") == 2
    said = capsys.readouterr().err
    for fault in (
        'server: "http://10.0.0.5" is not https',
        "caCertificate: /nowhere/ca.crt: No such file or directory; give the file of the cluster's"
        " ca.crt (CA=)",
        "podCidrs: is missing; set it (POD_CIDRS=)",
        'options.ssh.user: "a b" is not a user\'s name',
        'pools: "w1" stands there twice; keep one of them (NODES=)',
        'pools: "w3" is not a host; write such as w1=10.0.0.11 (NODES=)',
    ):
        assert fault in said, said
    assert (_there(folder), _stacks()) == ({"Pulumi.yaml"}, [])


def test_without_a_host_or_a_cluster_it_says_what_gives_each_value(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(folder / "none")
    )
    assert _run() == 2
    said = capsys.readouterr().err
    assert "nothing could be read from the cluster: kubeconfig: " in said
    for name in ("API", "CA", "CLUSTER_UID", "POD_CIDRS", "SERVICE_CIDRS", "NODES"):
        assert f"({name}=)" in said


def test_a_stack_that_is_there_is_never_written_over(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "Pulumi.prod.yaml"
    file.write_text("config:\n  kube-nodes:server: https://10.0.0.9:6443\n")
    before = file.read_text()
    assert _run(*_GIVEN, "--nodes", "w1=10.0.0.11", "--write") == 2
    assert "Pulumi.prod.yaml is there already" in capsys.readouterr().err
    assert file.read_text() == before


def test_a_stack_that_was_only_begun_is_gone_on_with(folder: Path, ca: str) -> None:
    subprocess.run(["pulumi", "stack", "init", "prod"], check=True, capture_output=True)
    salt = (folder / "Pulumi.prod.yaml").read_text()
    assert _run(*_GIVEN, "--ca", ca, "--nodes", "w1=10.0.0.11", "--write") == 0
    assert salt in (folder / "Pulumi.prod.yaml").read_text()


@pytest.mark.parametrize("cut_at", range(6))
def test_ctrl_c_at_any_question_leaves_nothing(
    folder: Path, ca: str, monkeypatch: pytest.MonkeyPatch, cut_at: int
) -> None:
    replies = iter([ca, "https://10.0.0.5:6443", "10.200.0.0/16", "admin", "w1=10.0.0.11", "yes"])
    number = 0

    def answer(question: str) -> str:
        nonlocal number
        number += 1
        if number > cut_at:
            raise KeyboardInterrupt
        return next(replies)

    asked = _answers(monkeypatch, answer)
    assert _run() == 130
    assert len(asked) == cut_at + 1
    assert (_there(folder), _stacks()) == ({"Pulumi.yaml"}, [])


def test_on_a_terminal_it_asks_for_what_it_cannot_know_and_for_each_key(
    folder: Path, ca: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(question: str) -> str:
        replies = {
            "file with the cluster CA": ca,
            "URL of the API server": "https://10.0.0.5:6443",
            "CIDRs of the pods": "10.200.0.0/16",
            "who logs in": "",
            "first hosts": "w1=10.0.0.11 w2=10.0.0.12",
            "w1: is SHA256:": "yes",
            "w2: is SHA256:": "no",
        }
        return next(reply for begin, reply in replies.items() if question.startswith(begin))

    asked = _answers(monkeypatch, answer)
    assert _run() == 1
    assert not any(question.startswith(("UID", "CIDRs of the Services")) for question in asked)
    settings = read_stack("prod").settings
    assert [(node.id, node.ssh.user) for node in settings.nodes] == [("w1", "root")]
    later = "make host-keys STACK=prod NAME=w2 ADDRESS=10.0.0.12"
    assert later in capsys.readouterr().out


def test_a_stack_that_cannot_be_made_leaves_no_file(
    folder: Path, ca: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    assert _run(*_GIVEN, "--ca", ca, "--nodes", "w1=10.0.0.11", "--write") == 2
    assert "passphrase" in capsys.readouterr().err
    assert _there(folder) == {"Pulumi.yaml"}


def _create(plane: ControlPlane, path: str, kind: str, name: str, **more: Any) -> None:
    body = {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, **more.pop("metadata", {})},
    }
    answer = plane.call("POST", f"/api/v1/namespaces/kube-system/{path}", {**body, **more})
    assert answer.status in (201, 409), answer.body


def test_what_a_cluster_tells_is_read_from_wherever_it_stands(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_kubeconfig(monkeypatch, plane)
    bare = discover(Api(connect()))
    assert (bare.pod_cidrs, bare.service_cidrs) == ((), ("10.96.0.0/16",))
    assert (bare.ca_certificate, bare.cluster_dns) == ("", ())
    networking = {"podSubnet": "10.1.0.0/16,fd00:1::/56", "serviceSubnet": "10.9.0.0/16"}
    text = yaml.safe_dump({"kind": "ClusterConfiguration", "networking": networking})
    _create(plane, "configmaps", "ConfigMap", "kubeadm-config", data={"ClusterConfiguration": text})
    _create(plane, "configmaps", "ConfigMap", "kube-root-ca.crt", data={"ca.crt": "a CA"})
    port = {"port": 53, "protocol": "UDP"}
    service = {"clusterIP": "10.96.0.10", "ports": [port]}
    _create(plane, "services", "Service", "kube-dns", spec=service)
    kubeadm = discover(Api(connect()))
    assert kubeadm == Discovered(
        uid=bare.uid,
        ca_certificate="a CA",
        version=bare.version,
        pod_cidrs=("10.1.0.0/16", "fd00:1::/56"),
        service_cidrs=("10.96.0.0/16",),
        cluster_dns=("10.96.0.10",),
    )
    command = ["kube-controller-manager", "--cluster-cidr=10.2.0.0/16", "--v=2"]
    container = {"name": "manager", "image": "example/manager:1", "command": command}
    labels = {"labels": {"tier": "control-plane"}}
    spec = {"containers": [container]}
    _create(plane, "pods", "Pod", "manager", metadata=labels, spec=spec)
    # What the controller manager runs with counts more than what kubeadm was once told.
    assert discover(Api(connect())).pod_cidrs == ("10.2.0.0/16",)
    for path in ("pods/manager", "configmaps/kubeadm-config", "configmaps/kube-root-ca.crt"):
        plane.call("DELETE", f"/api/v1/namespaces/kube-system/{path}?gracePeriodSeconds=0")
