"""Host keys are shown beside the declared ones, and written on a yes alone."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from kube_nodes.fleet import host_keys
from kube_nodes.fleet.__main__ import main
from kube_nodes.model.host_keys import fingerprint
from tests.documented import assert_documented
from tests.fleet.backend import use_pulumi
from tests.plugins.ssh_server import SshServer

_KEY = asyncssh.generate_private_key("ssh-ed25519")
_OTHER = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()


@pytest.fixture(scope="module")
def server() -> Iterator[SshServer]:
    with SshServer(_KEY) as running:
        yield running


@pytest.fixture(autouse=True)
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stack of a project in an empty folder, with the real CLI."""
    use_pulumi(monkeypatch, tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: kube-nodes\nruntime: yaml\n")
    monkeypatch.chdir(tmp_path)
    subprocess.run(["pulumi", "stack", "init", "prod"], check=True, capture_output=True)
    return tmp_path / "Pulumi.prod.yaml"


def _config(*pairs: str) -> None:
    arguments = [each for pair in pairs for each in ("--plaintext", f"kube-nodes:{pair}")]
    subprocess.run(["pulumi", "config", "set-all", "--path", *arguments], check=True)


def _nodes() -> dict[str, Any]:
    done = subprocess.run(["pulumi", "config", "--json"], check=True, capture_output=True)
    pools: dict[str, Any] = json.loads(done.stdout)["kube-nodes:pools"]["objectValue"]
    return dict(pools["workers"]["nodes"])


def _declare(server: SshServer, key: str = "") -> None:
    place = "pools.workers.nodes.w1"
    pairs = [f"{place}.address=127.0.0.1", f"options.ssh.port={server.port}"]
    _config(*pairs, *([f"{place}.hostKey={key}"] if key else []))


def _run(*arguments: str) -> int:
    return main(["host-keys", "--stack", "prod", *arguments])


def test_a_new_key_is_shown_and_written_only_when_it_is_asked_for(
    server: SshServer, capsys: pytest.CaptureFixture[str]
) -> None:
    _declare(server)
    assert _run() == 1
    said = capsys.readouterr().out
    assert fingerprint(server.host_key_line) in said and "new" in said
    assert "Not written" in said
    assert "hostKey" not in _nodes()["w1"]
    assert _run("--write") == 0
    assert _nodes()["w1"]["hostKey"] == " ".join(server.host_key_line.split()[:2])
    capsys.readouterr()
    assert _run() == 0
    assert "same" in capsys.readouterr().out


def test_on_a_terminal_nothing_but_yes_writes(
    server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _declare(server)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer in ("", "y", "no"):
        monkeypatch.setattr("builtins.input", lambda _, answer=answer: answer)
        assert _run() == 1
        assert "hostKey" not in _nodes()["w1"]
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    assert _run() == 0
    assert "hostKey" in _nodes()["w1"]


def test_a_changed_key_is_said_loudly_and_is_not_written_with_the_new_ones(
    server: SshServer, capsys: pytest.CaptureFixture[str]
) -> None:
    _declare(server, _OTHER)
    assert _run("--write") == 1
    said = capsys.readouterr().out
    assert_documented(said, "Host key changed", 3)
    assert fingerprint(_OTHER) in said and fingerprint(server.host_key_line) in said
    assert _nodes()["w1"]["hostKey"] == _OTHER
    assert _run("--replace", "w1") == 0
    assert _nodes()["w1"]["hostKey"] == " ".join(server.host_key_line.split()[:2])


def test_a_node_can_be_declared_with_the_key_that_its_host_shows(server: SshServer) -> None:
    _config(f"options.ssh.port={server.port}", "pools.workers.nodes.w0.address=192.0.2.1")
    assert _run("--name", "w1", "--address", "127.0.0.1", "--write") == 2  # no address of a host
    # Loopback is no address of a node; what is asked is the same.
    node = host_keys.Declared(
        pool="workers", id="w1", address="127.0.0.1", ssh={"port": server.port}, is_new=True
    )
    [seen] = asyncio.run(host_keys.fetch([node]))
    host_keys.write("prod", [seen])
    key = " ".join(server.host_key_line.split()[:2])
    assert _nodes()["w1"] == {"address": "127.0.0.1", "hostKey": key}


def test_nobody_logs_in_for_a_key(server: SshServer) -> None:
    logins = len(server.logins)
    _declare(server)
    _run()
    assert len(server.logins) == logins


def test_a_host_that_is_down_is_said_so_and_holds_up_no_other(
    server: SshServer, capsys: pytest.CaptureFixture[str]
) -> None:
    _declare(server)
    _config("pools.workers.nodes.w2.address=127.0.0.1", "pools.workers.nodes.w2.options.ssh.port=1")
    assert _run("--write") == 1
    said = capsys.readouterr().out
    assert "w2: 127.0.0.1 port 1: " in said and "not reached" in said
    assert "hostKey" in _nodes()["w1"] and "hostKey" not in _nodes()["w2"]


def test_behind_a_jump_host_that_shows_another_key_nothing_is_fetched(server: SshServer) -> None:
    jump = {"address": "127.0.0.1", "port": server.port, "hostKey": _OTHER}
    node = host_keys.Declared(pool="p", id="w1", address="127.0.0.1", ssh={"jump": jump})
    [seen] = asyncio.run(host_keys.fetch([node]))
    assert seen.state == "not reached"
    assert "shows another host key than the declared one" in seen.error
