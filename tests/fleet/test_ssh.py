"""Scripts on many hosts at once, against real SSH servers on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from kube_nodes.fleet import ssh
from kube_nodes.fleet.ssh import run_on_all
from kube_nodes.model.nodes import Node
from kube_nodes.model.options import JumpOptions, NodeOptions, SshOptions
from tests.documented import assert_documented
from tests.plugins.ssh_server import SshServer, write_key

_KEY = asyncssh.generate_private_key("ssh-ed25519")
_PEM = _KEY.export_private_key().decode()


@pytest.fixture(scope="module")
def server() -> Iterator[SshServer]:
    with SshServer(_KEY) as running:
        yield running


def _node(server: SshServer, node_id: str = "n1") -> Node:
    options = NodeOptions(ssh=SshOptions(port=server.port))
    return Node(
        id=node_id,
        pool="workers",
        address="127.0.0.1",
        host_key=server.host_key_line,
        node_ip="127.0.0.1",
        generation=1,
        reapply=0,
        options=options,
    )


def _script(text: str) -> str:
    return f"{text}\n# end\n"


def test_each_host_runs_its_own_script_and_the_answers_keep_the_order(server: SshServer) -> None:
    nodes = [_node(server, name) for name in ("n3", "n1", "n2")]
    answers = run_on_all(
        nodes, lambda node: _script(f"echo {node.id}; echo why >&2; exit 3"), private_key=_PEM
    )
    assert [(each.node, each.stdout, each.stderr, each.status) for each in answers] == [
        (name, f"{name}\n", "why\n", 3) for name in ("n3", "n1", "n2")
    ]


def test_a_host_is_asked_for_sftp_where_that_is_wanted(server: SshServer, tmp_path: Path) -> None:
    with SshServer(_KEY, home=tmp_path) as with_sftp:
        nodes = [_node(server, "n1"), _node(with_sftp, "n2")]
        for wanted, found in ((True, [False, True]), (False, [None, None])):
            answers = run_on_all(nodes, lambda _: _script("echo ok"), private_key=_PEM, sftp=wanted)
            assert [each.sftp for each in answers] == found
            assert [each.stdout for each in answers] == ["ok\n", "ok\n"]


def test_a_host_with_another_key_gets_nothing_and_no_login(server: SshServer) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    logins = len(server.logins)
    node = replace(_node(server), host_key=other)
    [answer] = run_on_all([node], lambda _: _script("true"), private_key=_PEM)
    assert_documented(answer.error, "Host key changed", 2)
    assert answer.status is None
    assert len(server.logins) == logins


def test_a_key_that_the_host_does_not_know_is_said_so(server: SshServer) -> None:
    foreign = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    [answer] = run_on_all([_node(server)], lambda _: _script("true"), private_key=foreign)
    assert_documented(answer.error, "Wrong key", 3)


def test_a_host_that_is_down_is_an_answer_and_holds_up_no_other(server: SshServer) -> None:
    with socket.socket() as closed:  # bound and not listening: refused at once
        closed.bind(("127.0.0.1", 0))
        options = NodeOptions(ssh=SshOptions(port=closed.getsockname()[1]))
        down = replace(_node(server, "down"), options=options)
        answers = run_on_all(
            [down, _node(server)], lambda _: _script("echo here"), private_key=_PEM
        )
    assert "see that it runs and the way to it is open" in answers[0].error
    assert answers[1].stdout == "here\n"


def test_a_host_that_hangs_is_given_up_after_the_time(
    server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "CONNECT_SECONDS", 0.5)
    begin = time.monotonic()
    [answer] = run_on_all(
        [_node(server)], lambda _: _script("sleep 60"), private_key=_PEM, timeout_seconds=1
    )
    assert time.monotonic() - begin < 20
    assert "did not answer in time" in answer.error or answer.status == 124


def test_a_host_that_prints_too_much_is_cut_off(server: SshServer) -> None:
    [answer] = run_on_all(
        [_node(server)], lambda _: _script("head -c 5000000 /dev/zero"), private_key=_PEM
    )
    assert not answer.stdout
    assert answer.error.startswith("printed more than")


def test_control_characters_of_a_host_do_not_reach_the_terminal(server: SshServer) -> None:
    text = r"printf 'a\033[2Jb\000c\377d\r\n\033]0;title\007\n'"
    [answer] = run_on_all([_node(server)], lambda _: _script(text), private_key=_PEM)
    assert all(each.isprintable() or each == "\n" for each in answer.stdout)
    assert answer.stdout == "a [2Jb c?d \n ]0;title \n"


def test_without_an_agent_that_holds_a_key_the_answer_says_what_is_missing(
    server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def error() -> str:
        [answer] = run_on_all([_node(server)], lambda _: _script("true"))
        return answer.error

    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert_documented(error(), "No SSH agent", 3)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "dead"))
    assert f"no SSH agent answers at SSH_AUTH_SOCK={tmp_path}/dead" in error()
    with _agent(tmp_path / "sock") as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", agent)
        assert "the SSH agent holds no key; load yours with `ssh-add`" in error()
        _add(agent, tmp_path / "other", asyncssh.generate_private_key("ssh-ed25519"))
        assert_documented(error(), "Wrong key", 2)
        _add(agent, tmp_path / "right", _KEY)
        assert error() == ""


def test_a_host_behind_a_jump_host_is_reached_if_both_show_their_keys(server: SshServer) -> None:
    with SshServer(_KEY) as jump:
        hop = JumpOptions(
            address="127.0.0.1", port=jump.port, user="root", hostKey=jump.host_key_line
        )
        options = NodeOptions(ssh=SshOptions(port=server.port, jump=hop))
        node = replace(_node(server), options=options)
        [answer] = run_on_all([node], lambda _: _script("echo here"), private_key=_PEM)
        assert answer.stdout == "here\n"
        assert len(jump.logins) == 1
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
        [answer] = run_on_all(
            [replace(node, host_key=other)], lambda _: _script("true"), private_key=_PEM
        )
        assert "by way of 127.0.0.1) shows another host key" in answer.error
        wrong = hop.model_copy(update={"host_key": other})
        options = NodeOptions(ssh=SshOptions(port=server.port, jump=wrong))
        logins = len(jump.logins), len(server.logins)
        [answer] = run_on_all(
            [replace(node, options=options)], lambda _: _script("true"), private_key=_PEM
        )
        assert "shows another host key" in answer.error
        assert (len(jump.logins), len(server.logins)) == logins


@contextmanager
def _agent(path: Path) -> Iterator[str]:
    """Run a real ssh-agent that holds no key."""
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        while not path.exists():
            time.sleep(0.01)
        yield str(path)
    finally:
        process.terminate()
        process.wait(10)


def _add(agent: str, file: Path, key: asyncssh.SSHKey) -> None:
    write_key(file, key)
    environment = {**os.environ, "SSH_AUTH_SOCK": agent}
    subprocess.run(["ssh-add", "-q", file], env=environment, check=True)
