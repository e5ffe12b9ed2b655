"""A real SSH server on loopback that runs commands with /bin/sh, in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from asyncio.subprocess import PIPE
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh


class SshServer:
    """An sshd of a test's own; use it as a context manager.

    Args:
        users_key: the public key that may log in, as `root` alone.
        password: accepted beside the key.
        home: the folder where a command begins, and what SFTP shows; without one there is no SFTP.
    """

    def __init__(
        self, users_key: Any, password: str | None = None, home: Path | None = None
    ) -> None:
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.connections = 0
        self.logins: list[str] = []
        """How each login was proved: `publickey` or `password`."""
        self.port = 0
        self._users_key = users_key.export_public_key()
        self._password = password
        self._home = home
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> SshServer:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def host_key_line(self) -> str:
        """The host key as `connection.hostKey` takes it."""
        line: str = self.host_key.export_public_key().decode().strip()
        return line

    def hang_up(self) -> None:
        """Cut every connection, as a host that dies does."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for connection in list(self._open):
            connection.abort()

    async def _listen(self) -> None:
        self._open: list[Any] = []
        self._listener = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: _Login(self),
            server_host_keys=[self.host_key],
            authorized_client_keys=asyncssh.import_authorized_keys(self._users_key.decode()),
            process_factory=partial(_run, self._home),
            sftp_factory=partial(_Files, self._home) if self._home else None,
            encoding=None,
        )
        self.port = self._listener.get_port()

    async def _stop(self) -> None:
        self._listener.close()
        self._cut()
        await self._listener.wait_closed()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class _Login(asyncssh.SSHServer):
    def __init__(self, server: SshServer) -> None:
        self._server = server

    def connection_made(self, conn: Any) -> None:
        self._server.connections += 1
        self._server._open.append(conn)
        self._conn = conn

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._open.remove(self._conn)

    def begin_auth(self, username: str) -> bool:
        return True

    def auth_completed(self) -> None:
        self._server.logins.append("password" if self._by_password else "publickey")

    def password_auth_supported(self) -> bool:
        return self._server._password is not None

    _by_password = False

    def validate_password(self, username: str, password: str) -> bool:
        self._by_password = password == self._server._password
        return self._by_password

    def connection_requested(self, *_: Any) -> bool:
        return True  # as a proxy


class _Files(asyncssh.SFTPServer):
    """The files of a home."""

    def __init__(self, home: Path, channel: Any) -> None:
        super().__init__(channel, chroot=os.fsencode(home))


async def _run(home: Path | None, process: Any) -> None:
    child = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", process.command, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=home
    )
    # A command that only exits leaves its stdin unread, however slow this machine is.
    reads = not process.command.startswith("exit ")
    feeding = asyncio.ensure_future(_copy(process.stdin, child.stdin) if reads else _nothing())
    outputs = _copy(child.stdout, process.stdout), _copy(child.stderr, process.stderr)
    try:
        await asyncio.gather(*outputs)
        status = await child.wait()
    finally:
        feeding.cancel()
        if child.returncode is None:
            child.kill()
            await child.communicate()
    if status < 0:
        process.exit_with_signal("KILL")
    else:
        process.exit(status)


async def _nothing() -> None:
    return


async def _copy(reader: Any, writer: Any) -> None:
    try:
        while data := await reader.read(64 * 1024):
            writer.write(data)
            await writer.drain()
        if isinstance(writer, asyncio.StreamWriter):
            writer.close()
    except (BrokenPipeError, ConnectionResetError):
        return  # The command has ended, or the client has hung up.


def write_key(path: Path, key: Any) -> None:
    """Write a private key as ssh-add takes it."""
    path.write_bytes(key.export_private_key())
    path.chmod(0o600)
