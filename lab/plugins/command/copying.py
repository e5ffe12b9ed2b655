"""Copy a file to a host, as pulumi-command remote/copyController.go `sftpCopy` does."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncssh

from lab.plugins.command.dialing import connected
from lab.plugins.command.waiting import outlast
from lab.plugins.engine_log import EngineLog
from lab.plugins.plugin import PluginError


async def copy_to_remote(engine: EngineLog, urn: str, fields: Mapping[str, Any]) -> None:
    """Copy `source` to `remotePath`, over what is there, over a connection of its own.

    Raises:
        PluginError: the file cannot be read here or written there, or there is no connection.
    """

    async def tell(message: str) -> None:
        await engine.send(urn, message, ephemeral=True)

    source, target = fields["source"].path, fields["remotePath"]
    try:
        content = Path(source).read_bytes()
    except OSError as failed:
        said = (failed.strerror or "").lower()
        raise PluginError(f"open {source}: {said}") from None
    async with connected(fields["connection"], tell) as client:
        await outlast(_put(client, content, source, target))


async def _put(
    client: asyncssh.SSHClientConnection, content: bytes, source: str, target: str
) -> None:
    try:
        async with client.start_sftp_client() as sftp:
            if await sftp.isdir(target):
                target = posixpath.join(target, posixpath.basename(source))
            await sftp.makedirs(posixpath.dirname(target) or ".", exist_ok=True)
            async with sftp.open(target, "wb") as file:
                await file.write(content)
    except asyncssh.ChannelOpenError:
        raise PluginError("ssh: subsystem request failed") from None
    except asyncssh.Error as failed:
        said = f"failed to copy file {source} to remote path {target}: {failed.reason}"
        raise PluginError(said) from None
