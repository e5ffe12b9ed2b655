"""Run a script on many hosts at once over SSH, as the stack's own commands do.

Each host must show its declared key. A host that is down, hangs or prints without end is an answer
of its own, and holds up no other.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncssh

from kube_nodes.model.host_output import clean, clean_lines
from kube_nodes.model.nodes import Node
from kube_nodes.render.host_script import render_receiver

CONNECT_SECONDS = 15
# What a fleet's hosts may print together must fit into memory; a script here prints a few kB.
MOST_BYTES = 1_000_000
_AT_ONCE = 100
_PROGRESS_SECONDS = 5.0


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


class _TooMuchError(Exception):
    """A host printed more than is taken."""


def run_on_all(
    nodes: Sequence[Node],
    render: Callable[[Node], str],
    *,
    private_key: str | None = None,
    timeout_seconds: int = 60,
) -> list[Answer]:
    """Run what `render` gives for each node on its host; the answers come in the nodes' order.

    Args:
        nodes: where to run.
        render: gives a node's script, which ends with the line `# end`.
        private_key: SSH key, PEM; None: the SSH agent's keys.
        timeout_seconds: for one host, from the connection to its end.
    """
    return asyncio.run(_run_on_all(nodes, render, private_key, timeout_seconds))


async def _run_on_all(
    nodes: Sequence[Node],
    render: Callable[[Node], str],
    private_key: str | None,
    timeout_seconds: int,
) -> list[Answer]:
    free = asyncio.Semaphore(_AT_ONCE)
    waiting = {node.id for node in nodes}

    async def run(node: Node) -> Answer:
        async with free:
            answer = await _run(node, render(node), private_key, timeout_seconds)
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


async def _run(node: Node, script: str, private_key: str | None, timeout_seconds: int) -> Answer:
    try:
        async with asyncio.timeout(timeout_seconds + CONNECT_SECONDS):
            async with _connected(node, private_key) as connection:
                return await _command(connection, node, script, timeout_seconds)
    except (OSError, asyncssh.Error, TimeoutError) as error:
        return Answer(node=node.id, error=_explain(error, node))


def _connected(node: Node, private_key: str | None) -> Any:
    """Connect with nothing of the operator's own SSH configuration, as Pulumi's plugin does."""
    key = asyncssh.import_public_key(node.host_key)
    client_key = asyncssh.import_private_key(private_key) if private_key else None
    return asyncssh.connect(
        node.address,
        node.options.ssh.port,
        username=node.options.ssh.user,
        known_hosts=([key], [], []),
        server_host_key_algs=[key.get_algorithm()],
        client_keys=[client_key] if client_key else None,
        **({"agent_path": None} if client_key else {}),
        config=[],
        connect_timeout=CONNECT_SECONDS,
        keepalive_interval=10,
        gss_host=None,
        x509_trusted_certs=None,
    )


async def _command(connection: Any, node: Node, script: str, timeout_seconds: int) -> Answer:
    command = render_receiver(user=node.options.ssh.user, timeout_seconds=timeout_seconds)
    async with connection.create_process(command, encoding=None) as process:
        process.stdin.write(script.encode())
        process.stdin.write_eof()
        try:
            stdout, stderr = await asyncio.gather(_read(process.stdout), _read(process.stderr))
        except _TooMuchError:
            connection.abort()
            return Answer(
                node=node.id,
                error=f"printed more than {MOST_BYTES} bytes; see what runs there under sh",
            )
        await process.wait_closed()
        return Answer(
            node=node.id,
            status=process.exit_status if process.exit_status is not None else -1,
            stdout=clean_lines(stdout, MOST_BYTES),
            stderr=clean_lines(stderr, MOST_BYTES),
        )


async def _read(stream: Any) -> bytes:
    data = bytearray()
    while part := await stream.read(65536):
        data += part
        if len(data) > MOST_BYTES:
            raise _TooMuchError
    return bytes(data)


def _explain(error: Exception, node: Node) -> str:
    """Say in the operator's words what kept us from the host."""
    user, place = node.options.ssh.user, f"{node.address} port {node.options.ssh.port}"
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return (
            f"{place} shows another host key than the declared one; nothing was sent. If the host"
            " was installed anew, compare its fingerprint on its console and declare the new key"
        )
    if isinstance(error, asyncssh.PermissionDenied):
        return (
            f"{place} lets {user} in with none of the keys offered; load the right key with"
            " `ssh-add`, or add it to the user's authorized_keys"
        )
    if isinstance(error, TimeoutError):
        return f"{place} did not answer in time; see that it runs and the way to it is open"
    if isinstance(error, asyncssh.Error):
        return f"{place}: {clean(error.reason, 200)}; see sshd's journal there"
    said = clean(error.strerror or type(error).__name__, 200) if isinstance(error, OSError) else ""
    return f"{place}: {said or type(error).__name__}; see that it runs and the way to it is open"
