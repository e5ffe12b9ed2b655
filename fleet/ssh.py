"""Run a script on many hosts at once over SSH, as the stack's own commands do.

Each host must show its declared key. A host that is down, hangs or prints without end is an answer
of its own, and holds up no other.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import asyncssh

from kube_nodes.membership.ssh import (
    CONNECT_SECONDS,
    TooMuchError,
    connected,
    explain,
    run_command,
)
from kube_nodes.model.host_output import clean_lines
from kube_nodes.model.nodes import Node
from kube_nodes.render.host_files import route_to
from kube_nodes.render.shell import render_receiver

# What a fleet's hosts may print together must fit into memory; a script here prints a few kB.
MOST_BYTES = 1_000_000
_AT_ONCE = 100
_PROGRESS_SECONDS = 5.0
_SFTP_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a host's script did, or why there is none."""

    node: str
    status: int | None = None
    """Exit status; None: there was no answer."""
    stdout: str = ""
    stderr: str = ""
    """Both without control characters, and bounded."""
    error: str = ""
    """Why there is no answer, with a remedy."""
    sftp: bool | None = None
    """Whether its sshd takes files; None: it was not asked."""
    seconds: float = 0.0
    """From the first attempt to connect to the end."""


def run_on_all(
    nodes: Sequence[Node],
    render: Callable[[Node], str],
    *,
    private_key: str | None = None,
    timeout_seconds: int = 60,
    sftp: bool = False,
) -> list[Answer]:
    """Run what `render` gives for each node on its host; the answers come in the nodes' order.

    Args:
        nodes: where to run.
        render: gives a node's script, which ends with the line `# end`.
        private_key: SSH key, PEM; None: the SSH agent's keys.
        timeout_seconds: for one host, from the connection to its end.
        sftp: ask each host for SFTP as well.
    """
    run = partial(_run, private_key=private_key, timeout_seconds=timeout_seconds, sftp=sftp)
    return asyncio.run(_run_on_all(nodes, lambda node: run(node, render(node))))


async def _run_on_all(
    nodes: Sequence[Node], run_on: Callable[[Node], Awaitable[Answer]]
) -> list[Answer]:
    free = asyncio.Semaphore(_AT_ONCE)
    waiting = {node.id for node in nodes}

    async def run(node: Node) -> Answer:
        async with free:
            begin = time.monotonic()
            answer = await run_on(node)
            answer = replace(answer, seconds=time.monotonic() - begin)
        waiting.discard(node.id)
        return answer

    telling = asyncio.create_task(_tell(waiting))
    try:
        return await asyncio.gather(*(run(node) for node in nodes))
    finally:
        telling.cancel()


async def _tell(waiting: set[str]) -> None:
    """Say on stderr which hosts are awaited, where it takes long."""
    seconds = 0.0
    while True:
        await asyncio.sleep(_PROGRESS_SECONDS)
        seconds += _PROGRESS_SECONDS
        names = sorted(waiting)
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        print(f"waiting for {', '.join(names[:5])}{more} ({seconds:.0f} s)", file=sys.stderr)


async def _run(
    node: Node, script: str, *, private_key: str | None, timeout_seconds: int, sftp: bool
) -> Answer:
    route = route_to(node)
    try:
        async with asyncio.timeout(timeout_seconds + CONNECT_SECONDS):
            async with connected(route, private_key) as connection:
                answer = await _command(connection, node, script, timeout_seconds)
                return replace(answer, sftp=await _has_sftp(connection)) if sftp else answer
    except (OSError, asyncssh.Error, TimeoutError) as error:
        return Answer(node=node.id, error=explain(error, route, private_key))


async def _has_sftp(connection: asyncssh.SSHClientConnection) -> bool:
    """Ask for it: sshd may refuse it, or have a program for it that is not there."""
    try:
        async with asyncio.timeout(_SFTP_SECONDS), connection.start_sftp_client():
            return True
    except (asyncssh.ChannelOpenError, asyncssh.SFTPError, TimeoutError):
        return False


async def _command(
    connection: asyncssh.SSHClientConnection, node: Node, script: str, timeout_seconds: int
) -> Answer:
    command = render_receiver(user=node.options.ssh.user, timeout_seconds=timeout_seconds)
    try:
        done = await run_command(connection, command, script.encode(), MOST_BYTES)
    except TooMuchError:
        error = f"printed more than {MOST_BYTES} bytes; see what runs there under sh"
        return Answer(node=node.id, error=error)
    return Answer(
        node=node.id,
        status=done.status,
        stdout=clean_lines(done.stdout, MOST_BYTES),
        stderr=clean_lines(done.stderr, MOST_BYTES),
    )
