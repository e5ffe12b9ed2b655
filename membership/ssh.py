"""Connect to a host over SSH, with nothing of the operator's own SSH configuration.

As Pulumi's plugin does, but for one thing: the key of every host on the way has to be the declared
one. It is checked before anything is sent, the user's name included.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncssh

from kube_nodes.membership.agent import agent_fault
from kube_nodes.model.host_keys import HOST_KEY_TYPES, check_host_key
from kube_nodes.model.host_output import clean
from kube_nodes.model.routes import Hop, Route

CONNECT_SECONDS = 15


class TooMuchError(Exception):
    """A host printed more than is taken."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a command did on a host."""

    status: int
    """Exit status; -1 where a signal ended it."""
    stdout: bytes
    stderr: bytes


@asynccontextmanager
async def connected(
    route: Route, private_key: str | None = None
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """Connect to a host, through its jump host if it has one, and hang up at the end.

    Args:
        route: the way to the host.
        private_key: SSH key, PEM; None: the SSH agent's keys.

    Raises:
        OSError, asyncssh.Error, TimeoutError: there is no connection; see `explain`.
    """
    async with AsyncExitStack() as opened:
        keys: list[Any] | None = None
        if private_key:
            keys = [asyncssh.import_private_key(private_key)]
        elif not agent_fault():
            agent = await opened.enter_async_context(asyncssh.connect_agent())
            keys = list(await agent.get_keys())
        *jumps, host = route.hops
        tunnel = None
        for hop in jumps:
            tunnel = await opened.enter_async_context(_connecting(hop, keys, None))
        yield await opened.enter_async_context(_connecting(host, keys, tunnel))


async def run_command(
    connection: asyncssh.SSHClientConnection, command: str, stdin: bytes, most_bytes: int
) -> Result:
    """Run a command to its end.

    Raises:
        TooMuchError: it printed more than `most_bytes`; the connection is cut.
    """
    async with connection.create_process(command, encoding=None) as process:
        process.stdin.write(stdin)
        process.stdin.write_eof()
        try:
            stdout, stderr = await asyncio.gather(
                _read(process.stdout, most_bytes), _read(process.stderr, most_bytes)
            )
        except TooMuchError:
            # The host would go on printing, and nothing would ever end.
            connection.abort()
            raise
        await process.wait_closed()
        status = process.exit_status
        return Result(status=-1 if status is None else status, stdout=stdout, stderr=stderr)


async def _read(stream: Any, most_bytes: int) -> bytes:
    data = bytearray()
    while part := await stream.read(65536):
        data += part
        if len(data) > most_bytes:
            raise TooMuchError
    return bytes(data)


async def fetch_host_key(route: Route, kind: str = "") -> str:
    """Return the key that a host shows, by a key exchange alone: nobody logs in there.

    Args:
        route: the way there; the last hop's own key does not count.
        kind: type of key to ask for first: that of the declared one.
    """
    *jumps, host = route.hops
    kinds = sorted(HOST_KEY_TYPES, key=lambda each: each != kind)
    async with AsyncExitStack() as opened:
        tunnel = None
        if jumps:
            tunnel = await opened.enter_async_context(connected(Route(hops=tuple(jumps))))
        key = await asyncio.wait_for(
            asyncssh.get_server_host_key(
                host.address, host.port, tunnel=tunnel, server_host_key_algs=kinds, config=[]
            ),
            CONNECT_SECONDS,
        )
    if key is None:
        raise ValueError("it shows no key of a type that can be checked")
    return check_host_key(key.export_public_key().decode())


def _connecting(
    hop: Hop, keys: list[Any] | None, tunnel: asyncssh.SSHClientConnection | None
) -> Any:
    key = asyncssh.import_public_key(hop.host_key)
    return asyncssh.connect(
        hop.address,
        hop.port,
        tunnel=tunnel,
        username=hop.user,
        known_hosts=([key], [], []),
        server_host_key_algs=[key.get_algorithm()],
        # Those in the operator's own folder do not count, as they don't for the plugin.
        client_keys=keys,
        agent_path=None,
        config=[],
        connect_timeout=CONNECT_SECONDS,
        # A host that is gone is noticed within half a minute.
        keepalive_interval=10,
        gss_host=None,
        x509_trusted_certs=None,
    )


def explain(error: Exception, route: Route, private_key: str | None = None) -> str:
    """Say in the operator's words what kept us from the host."""
    hop = route.hops[-1]
    user, place = hop.user, f"{hop.address} port {hop.port}"
    if len(route.hops) > 1:
        place += f" (by way of {route.hops[0].address})"
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return (
            f"{place} shows another host key than the declared one; nothing was sent. If the host"
            " was installed anew, compare its fingerprint on its console and declare the new key"
        )
    if isinstance(error, asyncssh.PermissionDenied):
        return _explain_denial(user, place, private_key)
    if isinstance(error, TimeoutError):
        return f"{place} did not answer in time; see that it runs and the way to it is open"
    if isinstance(error, asyncssh.Error):
        return f"{place}: {clean(error.reason, 200)}; see sshd's journal there"
    said = clean(error.strerror or type(error).__name__, 200) if isinstance(error, OSError) else ""
    return f"{place}: {said or type(error).__name__}; see that it runs and the way to it is open"


def _explain_denial(user: str, place: str, private_key: str | None) -> str:
    if private_key:
        return f"{place} does not let {user} in with sshPrivateKey; add it to authorized_keys there"
    if fault := agent_fault():
        return f"{place} does not let {user} in: {fault}"
    return (
        f"{place} lets {user} in with none of the keys offered; load the right key with"
        " `ssh-add`, or add it to the user's authorized_keys"
    )
