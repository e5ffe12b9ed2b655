"""Reach a host over SSH: whom to trust, what to show, how often to try.

After pulumi-command remote/connection.go (`SSHConfig`, `dialWithRetry`, `Dial`) and the
delays of pulumi/pulumi sdk/go/common/util/retry/until.go; errors are worded as Go's
`net` and `x/crypto/ssh` word them.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import asyncssh

from lab.plugins.command.credentials import Credentials, load_credentials
from lab.plugins.command.waiting import outlast, was_cancelled
from lab.plugins.plugin import PluginError

_FIRST_DELAY_SECONDS = 0.1
_BACKOFF = 1.5
_LONGEST_DELAY_SECONDS = 5.0
_UNLIMITED = -1

Tell = Callable[[str], Awaitable[None]]


@asynccontextmanager
async def connected(
    connection: Mapping[str, Any], tell: Tell
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """Connect to a host, by way of its proxy if it has one, and hang up at the end.

    Args:
        connection: the resource's input of that name, with its defaults.
        tell: shown each time an attempt has failed and another follows.

    Raises:
        PluginError: when the last attempt allowed has failed.
    """
    with ExitStack() as open_connections:
        async with load_credentials(connection) as credentials:
            proxy = connection.get("proxy")
            if proxy is None:
                client = await _dial("Dial", connection, credentials, tell)
            else:
                tunnel = await _dial_proxy(proxy, tell)
                open_connections.callback(tunnel.close)
                client = await _dial_through(tunnel, connection, credentials, tell)
        # The official plugin leaves each connection open until it ends itself.
        open_connections.callback(client.close)
        yield client


async def _dial_proxy(proxy: Mapping[str, Any], tell: Tell) -> asyncssh.SSHClientConnection:
    try:
        async with load_credentials(proxy) as credentials:
            return await _dial("Dial proxy", proxy, credentials, tell)
    except PluginError as failed:
        raise PluginError(f"proxy: {failed}") from None


async def _dial_through(
    tunnel: asyncssh.SSHClientConnection,
    connection: Mapping[str, Any],
    credentials: Credentials,
    tell: Tell,
) -> asyncssh.SSHClientConnection:
    try:
        return await _dial("Dial from proxy", connection, credentials, tell, tunnel)
    except PluginError as failed:
        raise PluginError(f"proxy: {failed}") from None


async def _dial(
    what: str,
    endpoint: Mapping[str, Any],
    credentials: Credentials,
    tell: Tell,
    tunnel: asyncssh.SSHClientConnection | None = None,
) -> asyncssh.SSHClientConnection:
    """Try until a connection stands, authentication included.

    A cancellation is heeded between attempts; one attempt is never cut off.
    """
    limit = int(endpoint["dialErrorLimit"])
    delay, failures = _FIRST_DELAY_SECONDS, 0
    while True:
        try:
            return await outlast(_dial_once(endpoint, credentials, tunnel))
        except (OSError, asyncssh.Error) as failed:
            reason = _word(failed, endpoint, credentials)
        failures += 1
        if limit > _UNLIMITED and failures > limit:
            raise PluginError(f"after {failures - 1} failed attempts: {reason}")
        allowed = "inf" if limit == _UNLIMITED else limit
        await tell(f"{what} {failures}/{allowed} failed: retrying")
        if was_cancelled():
            raise asyncio.CancelledError
        await asyncio.sleep(delay)
        delay = min(delay * _BACKOFF, _LONGEST_DELAY_SECONDS)


async def _dial_once(
    endpoint: Mapping[str, Any],
    credentials: Credentials,
    tunnel: asyncssh.SSHClientConnection | None,
) -> asyncssh.SSHClientConnection:
    return await asyncssh.connect(
        endpoint["host"],
        int(endpoint["port"]),
        tunnel=tunnel,
        username=endpoint["user"],
        password=endpoint.get("password"),
        client_keys=credentials.keys or None,
        known_hosts=credentials.known_hosts,
        server_host_key_algs=credentials.host_key_algorithms,
        # As with the official plugin the limit is for TCP alone: a host that accepts a
        # connection and then says nothing is waited for.
        connect_timeout=int(endpoint["perDialTimeout"]) or None,
        login_timeout=0,
        # Nothing of the operator's own SSH configuration counts.
        config=[],
        agent_path=None,
        gss_host=None,
        x509_trusted_certs=None,
        x509_trusted_cert_paths=[],
        client_host_keysign=False,
    )


def _word(failed: Exception, endpoint: Mapping[str, Any], credentials: Credentials) -> str:
    if isinstance(failed, asyncssh.Error):
        return f"ssh: {_word_ssh(failed, credentials)}"
    host = endpoint["host"]
    if isinstance(failed, socket.gaierror):
        return f"dial tcp: lookup {host}: no such host"
    address = f"{f'[{host}]' if ':' in host else host}:{int(endpoint['port'])}"
    if isinstance(failed, TimeoutError):
        return f"dial tcp {address}: i/o timeout"
    # asyncio's own text names the address again.
    number = getattr(failed, "errno", None)
    said = os.strerror(number).lower() if number else type(failed).__name__
    return f"dial tcp {address}: connect: {said}"


def _word_ssh(failed: asyncssh.Error, credentials: Credentials) -> str:
    if isinstance(failed, asyncssh.ChannelOpenError):
        return f"rejected: connect failed ({failed.reason})"
    if isinstance(failed, asyncssh.HostKeyNotVerifiable):
        return "handshake failed: ssh: host key mismatch"
    if isinstance(failed, asyncssh.PermissionDenied):
        methods = " ".join(["none", *credentials.methods])
        return (
            f"handshake failed: ssh: unable to authenticate, attempted methods [{methods}], "
            "no supported methods remain"
        )
    # Connections are lost where sshd turns them away: more than MaxStartups are logging in.
    lost = isinstance(failed, asyncssh.ConnectionLost)
    return f"handshake failed: {'EOF' if lost else failed.reason}"
