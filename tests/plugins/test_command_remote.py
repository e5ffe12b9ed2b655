"""`command:remote:Command` over the plugin's real gRPC interface, against a real SSH server.

What is expected was read in pulumi-command v1.2.1, provider/pkg/provider/remote/, and its
wording compared with golang.org/x/crypto/ssh v0.48 talking to OpenSSH 9.2.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncssh
import grpc
import pytest
from google.protobuf import empty_pb2

from lab.plugins.values import UNKNOWN, Secret
from tests.documented import assert_documented
from tests.plugins.driver import Driver
from tests.plugins.rendezvous import all_at_once
from tests.plugins.ssh_server import SshServer, write_key

URN = "urn:pulumi:dev::p::command:remote:Command::n1"
USERS_KEY = asyncssh.generate_private_key("ssh-ed25519")
OTHER_KEY = asyncssh.generate_private_key("ssh-ed25519")
NO_AGENT = {"SSH_AUTH_SOCK": ""}


@pytest.fixture(scope="module")
def server() -> Iterator[SshServer]:
    with SshServer(USERS_KEY, password="open sesame") as running:
        yield running


@pytest.fixture(scope="module")
def plugin() -> Iterator[Driver]:
    with Driver("lab.plugins.command", variables=NO_AGENT) as driver:
        yield driver


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real ssh-agent that holds the user's key."""
    folder = tmp_path_factory.mktemp("agent")
    path, key_file = folder / "sock", folder / "key"
    write_key(key_file, USERS_KEY)
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    while not path.exists():
        time.sleep(0.01)
    added = ["ssh-add", "-q", str(key_file)]
    subprocess.run(added, env={**os.environ, "SSH_AUTH_SOCK": str(path)}, check=True)
    yield str(path)
    process.terminate()
    process.wait(10)


def connection(server: SshServer, **more: Any) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "hostKey": server.host_key_line,
        "privateKey": USERS_KEY.export_private_key().decode(),
        "dialErrorLimit": 0,
        **more,
    }


def without(values: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}


def create(plugin: Driver, to: dict[str, Any], command: str, stdin: str = "") -> Any:
    inputs = {"create": command, "stdin": stdin, "connection": to, "logging": "none"}
    return plugin.create(URN, plugin.check(URN, inputs))[1]


def failure(plugin: Driver, to: dict[str, Any], command: str = "true", stdin: str = "") -> str:
    with pytest.raises(grpc.RpcError) as failed:
        create(plugin, to, command, stdin)
    return str(failed.value.details())


def test_create_gives_stdin_to_the_command_and_takes_both_streams(
    plugin: Driver, server: SshServer
) -> None:
    state = create(plugin, connection(server), "cat; echo careful >&2", "a\nb\n")
    assert (state["stdout"], state["stderr"]) == ("a\nb", "careful")


def test_without_stdin_the_command_finds_its_end_at_once(plugin: Driver, server: SshServer) -> None:
    assert create(plugin, connection(server), "wc -c")["stdout"] == "0"


def test_more_stdin_than_a_window_arrives_whole(plugin: Driver, server: SshServer) -> None:
    assert create(plugin, connection(server), "wc -c", "x" * 6_000_000)["stdout"] == "6000000"


def test_a_command_that_succeeds_before_all_of_stdin_was_sent_fails_with_eof(
    plugin: Driver, server: SshServer
) -> None:
    """Source: golang.org/x/crypto/ssh session.go `Wait`: the error of copying stdin counts
    where the status is 0. What fits into the server's window (2 MiB) counts as sent: whether
    the command has read it, no client can know."""
    large = "x" * 6_000_000
    assert failure(plugin, connection(server), "exit 0", large) == 'EOF: running "exit 0":\n'
    assert create(plugin, connection(server), "exit 0", "x" * 8000)["stdout"] == ""


def test_a_status_other_than_0_is_told_before_eof(plugin: Driver, server: SshServer) -> None:
    """Source: the same function; seen with x/crypto v0.48 and OpenSSH 9.2."""
    told = failure(plugin, connection(server), "exit 3", "x" * 6_000_000)
    assert told == 'Process exited with status 3: running "exit 3":\n'


def test_a_failure_shows_the_command_and_all_output(plugin: Driver, server: SshServer) -> None:
    told = failure(plugin, connection(server), "cat; echo why >&2; exit 4", "in\n")
    assert told == 'Process exited with status 4: running "cat; echo why >&2; exit 4":\nin\nwhy\n'


def test_a_killed_command_is_told_with_its_signal(plugin: Driver, server: SshServer) -> None:
    told = failure(plugin, connection(server), "kill -9 $$")
    assert told == 'Process exited with status 137 from signal KILL: running "kill -9 $$":\n'


def test_a_host_that_dies_meanwhile_fails_the_command(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    with (
        SshServer(USERS_KEY) as dying,
        Driver("lab.plugins.command", variables=NO_AGENT) as driver,
        ThreadPoolExecutor(1) as pool,
    ):
        command = f"touch {begun}; exec sleep 2"
        running = pool.submit(failure, driver, connection(dying), command)
        while not begun.exists():
            time.sleep(0.02)
        dying.hang_up()
        told = running.result(10)
    reason = "wait: remote command exited without exit status or exit signal"
    assert told == f'{reason}: running "{command}":\n'


def test_update_and_delete_use_a_connection_of_their_own_and_stdin(
    plugin: Driver, server: SshServer, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    old = plugin.check(URN, {"create": "cat", "stdin": "1", "connection": connection(server)})
    new = {**old, "stdin": "2", "delete": f"cat > {told}", "addPreviousOutputInEnv": False}
    before = server.connections
    state = plugin.create(URN, old)[1]
    state = plugin.update(URN, "n1x", state, old, new)
    assert state["stdout"] == "2"
    plugin.delete(URN, "n1x", state)
    assert told.read_text() == "2"
    assert server.connections == before + 3


def test_delete_goes_to_the_recorded_host(plugin: Driver, server: SshServer) -> None:
    recorded = {"delete": "exit 7", "connection": connection(server, user="root", perDialTimeout=1)}
    with pytest.raises(grpc.RpcError, match="status 7"):
        plugin.delete(URN, "n1x", {**recorded, "stdout": "", "stderr": ""})


def test_the_host_key_must_be_the_given_one(plugin: Driver, server: SshServer) -> None:
    other = OTHER_KEY.export_public_key().decode().strip()
    told = failure(plugin, connection(server, hostKey=other))
    expected = "after 0 failed attempts: ssh: handshake failed: ssh: host key mismatch"
    assert told == expected
    assert_documented(told, "Host key changed")


def test_without_a_host_key_any_host_is_trusted(plugin: Driver, server: SshServer) -> None:
    to = without(connection(server), "hostKey")
    assert create(plugin, to, "echo hi")["stdout"] == "hi"


def test_a_host_key_that_cannot_be_read_fails_at_once(plugin: Driver, server: SshServer) -> None:
    to = connection(server, hostKey="ssh-ed25519 nonsense", dialErrorLimit=10)
    assert failure(plugin, to).startswith("failed to parse host key: ")


def test_refused_credentials_are_tried_again_as_often_as_the_limit_says(
    plugin: Driver, server: SshServer
) -> None:
    """Source: remote/connection.go `dialWithRetry`: a limit of 2 is 3 attempts, told as 2."""
    wrong = OTHER_KEY.export_private_key().decode()
    before, begun = server.connections, time.monotonic()
    told = failure(plugin, connection(server, privateKey=wrong, dialErrorLimit=2))
    assert told == (
        "after 2 failed attempts: ssh: handshake failed: ssh: unable to authenticate, attempted "
        "methods [none publickey], no supported methods remain"
    )
    assert_documented(told, "Wrong key")
    assert server.connections == before + 3
    assert time.monotonic() - begun >= 0.25  # 0.1 s, then 0.15 s
    assert plugin.messages[-2:] == ["Dial 1/2 failed: retrying", "Dial 2/2 failed: retrying"]


def test_a_refused_connection_names_the_address(plugin: Driver, server: SshServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    told = failure(plugin, connection(server, port=port))
    expected = f"after 0 failed attempts: dial tcp 127.0.0.1:{port}: connect: connection refused"
    assert told == expected


def test_a_host_that_does_not_take_the_connection_is_given_up_after_the_dial_timeout(
    plugin: Driver, server: SshServer
) -> None:
    with socket.socket() as full, socket.socket() as first:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # The one place in the queue is taken: further connections hang.
        first.connect(full.getsockname())
        port, begun = full.getsockname()[1], time.monotonic()
        told = failure(plugin, connection(server, port=port, perDialTimeout=1))
    assert told == f"after 0 failed attempts: dial tcp 127.0.0.1:{port}: i/o timeout"
    assert 0.9 < time.monotonic() - begun < 3


def test_a_password_logs_in(plugin: Driver, server: SshServer) -> None:
    to = without(connection(server, password="open sesame"), "privateKey")
    assert create(plugin, to, "echo hi")["stdout"] == "hi"
    assert server.logins[-1] == "password"


def test_an_encrypted_private_key_takes_its_password(plugin: Driver, server: SshServer) -> None:
    key = USERS_KEY.export_private_key("pkcs8-pem", passphrase="pass").decode()
    to = connection(server, privateKey=key, privateKeyPassword="pass")
    assert create(plugin, to, "echo hi")["stdout"] == "hi"
    told = failure(plugin, connection(server, privateKey=key, privateKeyPassword="wrong"))
    assert told.startswith("ssh: cannot read the private key: ")


def test_the_agent_of_the_environment_or_of_the_input_logs_in(
    plugin: Driver, server: SshServer, agent: str
) -> None:
    to = without(connection(server), "privateKey")
    assert create(plugin, {**to, "agentSocketPath": agent}, "echo hi")["stdout"] == "hi"
    assert_documented(failure(plugin, to), "No SSH agent", 2)
    with Driver("lab.plugins.command", variables={"SSH_AUTH_SOCK": agent}) as driver:
        assert create(driver, to, "echo hi")["stdout"] == "hi"


def test_a_private_key_hides_the_agents_keys(plugin: Driver, server: SshServer, agent: str) -> None:
    """Source: x/crypto/ssh client_auth.go: of two methods of one name the first counts."""
    wrong = OTHER_KEY.export_private_key().decode()
    to = connection(server, privateKey=wrong, agentSocketPath=agent)
    assert "unable to authenticate" in failure(plugin, to)


def test_a_dead_agent_fails_at_once_even_beside_a_private_key(
    plugin: Driver, server: SshServer, tmp_path: Path
) -> None:
    to = connection(server, agentSocketPath=f"{tmp_path}/gone", dialErrorLimit=10)
    assert failure(plugin, to) == (f"dial unix {tmp_path}/gone: connect: no such file or directory")


def test_a_proxy_is_one_hop_on_the_way(plugin: Driver, server: SshServer) -> None:
    with SshServer(USERS_KEY) as proxy:
        to = connection(server, proxy=connection(proxy))
        assert create(plugin, to, "echo hi")["stdout"] == "hi"
        assert proxy.logins == ["publickey"]
        wrong = connection(proxy, hostKey=server.host_key_line)
        assert failure(plugin, connection(server, proxy=wrong)) == (
            "proxy: after 0 failed attempts: ssh: handshake failed: ssh: host key mismatch"
        )


def test_fifty_commands_run_at_the_same_time(
    plugin: Driver, server: SshServer, tmp_path: Path
) -> None:
    to = connection(server)
    with all_at_once(tmp_path, 50) as command, ThreadPoolExecutor(50) as pool:
        states = list(pool.map(lambda _: create(plugin, to, command), range(50)))
    assert [state["stdout"] for state in states] == ["together"] * 50


def test_cancel_ends_the_attempts_to_connect(server: SshServer) -> None:
    with (
        Driver("lab.plugins.command", variables=NO_AGENT) as driver,
        ThreadPoolExecutor(1) as pool,
        socket.create_server(("127.0.0.1", 0)) as taken,
    ):
        port = taken.getsockname()[1]
        taken.close()
        to = connection(server, port=port, dialErrorLimit=-1)
        running = pool.submit(failure, driver, to)
        while "Dial 3/inf failed: retrying" not in driver.messages:
            time.sleep(0.02)
        begun = time.monotonic()
        driver.stub.Cancel(empty_pb2.Empty())
        assert running.result(10) == "context canceled"
        assert time.monotonic() - begun < 1


def test_cancel_lets_a_running_command_end(server: SshServer, tmp_path: Path) -> None:
    """Source: remote/commandOutputs.go `run`: the context reaches the dialling alone."""
    begun = tmp_path / "begun"
    with (
        Driver("lab.plugins.command", variables=NO_AGENT) as driver,
        ThreadPoolExecutor(1) as pool,
    ):
        command = f"touch {begun}; sleep 0.7; echo ended"
        running = pool.submit(create, driver, connection(server), command)
        while not begun.exists():
            time.sleep(0.02)
        driver.stub.Cancel(empty_pb2.Empty())
        assert running.result(10)["stdout"] == "ended"


def test_the_connection_gets_its_defaults_and_is_secret_as_a_whole(plugin: Driver) -> None:
    """Source: remote/command.go `provider:"secret"`, remote/connection.go `Annotate`."""
    given = {"host": "10.0.0.1", "password": "p", "proxy": {"host": "10.0.0.2"}}
    checked = plugin.check(URN, {"connection": given, "create": "x"})
    defaults = {"user": "root", "port": 22, "dialErrorLimit": 10, "perDialTimeout": 15}
    assert checked == {
        "create": "x",
        "connection": Secret(
            {
                **defaults,
                "host": "10.0.0.1",
                "password": Secret("p"),
                "proxy": {**defaults, "host": "10.0.0.2"},
            }
        ),
    }


def test_an_unknown_connection_passes_the_check(plugin: Driver) -> None:
    assert plugin.check(URN, {"connection": UNKNOWN}) == {"connection": Secret(UNKNOWN)}


def test_a_changed_connection_is_an_update_told_as_one_secret_value(plugin: Driver) -> None:
    old = {"connection": Secret({"host": "10.0.0.1"})}
    new = {"connection": Secret({"host": "10.0.0.2"})}
    answer = plugin.diff(URN, old, old, new)
    assert list(answer.detailedDiff) == ["connection"]
    assert not answer.replaces


@pytest.mark.parametrize(
    ("inputs", "wrong"),
    [
        ({"create": "x"}, "connection"),
        ({"connection": {"user": "root"}}, "connection.host"),
        ({"connection": {"host": "h", "hostkey": "x"}}, "connection.hostkey"),
        ({"connection": Secret({"host": "h", "port": "22"})}, "connection.port"),
        ({"connection": {"host": "h"}, "environment": {"A": "1"}}, "environment"),
    ],
)
def test_a_wrong_connection_is_refused_by_name(
    plugin: Driver, inputs: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(AssertionError) as failed:
        plugin.check(URN, inputs)
    assert f'property: "{wrong}"' in str(failed.value)
