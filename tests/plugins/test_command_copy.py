"""`command:remote:CopyToRemote` over the plugin's real gRPC interface, to a real SFTP server.

What is expected was read in pulumi-command v1.2.1, provider/pkg/provider/remote/copy.go and
copyController.go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import grpc
import pytest

from lab.plugins.values import Asset, Secret
from tests.plugins.driver import Driver
from tests.plugins.ssh_server import SshServer

URN = "urn:pulumi:dev::p::command:remote:CopyToRemote::n1"
USERS_KEY = asyncssh.generate_private_key("ssh-ed25519")
# Each export has other random bytes in it.
KEY_TEXT = USERS_KEY.export_private_key().decode()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def server(home: Path) -> Iterator[SshServer]:
    with SshServer(USERS_KEY, home=home) as running:
        yield running


@pytest.fixture(scope="module")
def plugin() -> Iterator[Driver]:
    with Driver("lab.plugins.command", variables={"SSH_AUTH_SOCK": ""}) as driver:
        yield driver


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source.sh"
    file.write_text("one\n")
    return file


def inputs(server: SshServer, source: Path, path: str = "a/b", **more: Any) -> dict[str, Any]:
    """Give inputs as the engine does, which adds the hash."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest() if source.exists() else "0" * 64
    to = {
        "host": "127.0.0.1",
        "port": server.port,
        "hostKey": server.host_key_line,
        "privateKey": KEY_TEXT,
        "dialErrorLimit": 0,
    }
    asset = Asset(path=str(source), hash=digest)
    return {"connection": to, "source": asset, "remotePath": path, **more}


def test_a_file_is_copied_and_its_folders_made(
    plugin: Driver, server: SshServer, home: Path, source: Path
) -> None:
    checked = plugin.check(URN, inputs(server, source))
    assert isinstance(checked["connection"], Secret)
    made_id, state = plugin.create(URN, checked)
    assert (home / "a" / "b").read_text() == "one\n"
    # Nothing else is recorded, and above all no text.
    assert state.keys() == {"connection", "source", "remotePath"}
    assert state["source"].path == str(source)
    plugin.delete(URN, made_id, state)
    assert (home / "a" / "b").exists()


def test_what_is_there_is_written_over_and_a_folder_is_written_into(
    plugin: Driver, server: SshServer, home: Path, source: Path
) -> None:
    (home / "a").mkdir()
    (home / "a" / "b").write_text("longer than before\n")
    plugin.create(URN, plugin.check(URN, inputs(server, source)))
    assert (home / "a" / "b").read_text() == "one\n"
    plugin.create(URN, plugin.check(URN, inputs(server, source, "a")))
    assert (home / "a" / source.name).read_text() == "one\n"


def test_another_content_or_place_is_copied_and_another_connection_is_not(
    plugin: Driver, server: SshServer, home: Path, source: Path
) -> None:
    made_id, state = plugin.create(URN, plugin.check(URN, inputs(server, source)))
    (home / "a" / "b").unlink()

    def update(news: dict[str, Any]) -> None:
        plugin.update(URN, made_id, state, state, plugin.check(URN, news))

    more = inputs(server, source)
    more["connection"] |= {"dialErrorLimit": 1}
    update(more)
    assert not (home / "a" / "b").exists()
    update(inputs(server, source, "c"))
    assert (home / "c").read_text() == "one\n"
    source.write_text("two\n")
    update(inputs(server, source))
    assert (home / "a" / "b").read_text() == "two\n"


def test_the_same_file_elsewhere_is_no_change_and_a_trigger_replaces(
    plugin: Driver, server: SshServer, source: Path, tmp_path: Path
) -> None:
    known = plugin.check(URN, inputs(server, source, triggers=["a"]))
    _, state = plugin.create(URN, known)
    other = tmp_path / "elsewhere.sh"
    other.write_text("one\n")
    news = plugin.check(URN, inputs(server, other, triggers=["a"]))
    assert plugin.diff(URN, state, known, news).changes == 1, "none"
    other.write_text("two\n")
    news = plugin.check(URN, inputs(server, other, triggers=["a"]))
    assert set(plugin.diff(URN, state, known, news).detailedDiff) == {"source"}


def test_what_is_missing_is_told(plugin: Driver, server: SshServer, source: Path) -> None:
    with pytest.raises(AssertionError) as failed:
        plugin.check(URN, {"connection": {"host": "h"}, "text": "x"})
    told = str(failed.value).replace("\\", "")
    for field in ("source", "remotePath"):
        assert f"Missing required field '{field}'" in told
    assert "Unrecognized field 'text'" in told
    source.unlink()
    assert _failure(plugin, inputs(server, source)) == f"open {source}: no such file or directory"


def test_a_host_that_refuses_is_told(
    plugin: Driver, server: SshServer, home: Path, source: Path
) -> None:
    with SshServer(USERS_KEY) as without_sftp:
        told = _failure(plugin, inputs(without_sftp, source))
    assert told == "ssh: subsystem request failed"
    (home / "a").write_text("a file where a folder is to be\n")
    told = _failure(plugin, inputs(server, source))
    assert "a/b" in told or "not a directory" in told.lower()


def _failure(plugin: Driver, given: dict[str, Any]) -> str:
    with pytest.raises(grpc.RpcError) as failed:
        plugin.create(URN, plugin.check(URN, given))
    return str(failed.value.details())
