"""Send kubelet and kube-proxy from the operator's machine to a host that can't fetch them.

The host says what it lacks, and only that is sent; what a cut connection left of a file is gone on
with. Nothing of a file is in a request, and so nothing in the state: a file is named by its sum.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path

import asyncssh

from kube_nodes.membership.errors import MembershipError
from kube_nodes.membership.progress import Progress
from kube_nodes.membership.ssh import TooMuchError, connected, explain, run_command
from kube_nodes.model.host_output import clean, clean_lines
from kube_nodes.model.requests import DeliverRequest
from kube_nodes.model.routes import SentFile
from kube_nodes.render.delivery import render_append, render_delivery, render_recall
from kube_nodes.render.shell import render_receiver

_CHUNK_BYTES = 256 * 1024
_MOST_BYTES = 10_000
_SCRIPT_SECONDS = 120


def deliver(request: DeliverRequest, progress: Progress) -> str:
    """See that the host has each file, in place or beside; say what was sent."""
    return asyncio.run(_guarded(request, _Delivery(request, progress).run()))


def recall(request: DeliverRequest, progress: Progress) -> str:  # noqa: ARG001
    """Remove what was sent and never installed (delete of deliver)."""
    return asyncio.run(_guarded(request, _recall(request)))


async def _guarded(request: DeliverRequest, work: Awaitable[str]) -> str:
    try:
        return await work
    except (OSError, asyncssh.Error, TimeoutError) as error:
        raise MembershipError(explain(error, request.route, request.private_key)) from None


async def _recall(request: DeliverRequest) -> str:
    async with connected(request.route, request.private_key) as connection:
        await _script(connection, request, render_recall(request.node))
    return "recalled"


class _Delivery:
    def __init__(self, request: DeliverRequest, progress: Progress) -> None:
        self._request = request
        self._progress = progress
        self._sent: list[str] = []

    async def run(self) -> str:
        async with connected(self._request.route, self._request.private_key) as connection:
            for _ in range(2):
                # It sums up what it has, which is slow on a slow disk.
                async with _telling(self._progress, "the host to say which programs it lacks"):
                    lacking = await self._lacking(connection)
                if not lacking:
                    return "\n".join(["delivered", *self._sent])
                for file, size in lacking:
                    await self._send(connection, file, size)
            if await self._lacking(connection):
                raise MembershipError("what arrives is not what was sent; look at the host's disk")
        return "\n".join(["delivered", *self._sent])

    async def _lacking(
        self, connection: asyncssh.SSHClientConnection
    ) -> list[tuple[SentFile, int]]:
        """Ask the host which files it lacks, with how many bytes of each it has already."""
        text = render_delivery(self._request.node, self._request.files)
        answer = await _script(connection, self._request, text)
        by_name = {file.digest[:16]: file for file in self._request.files}
        return list(_parse(answer, by_name))

    async def _send(
        self, connection: asyncssh.SSHClientConnection, file: SentFile, begun: int
    ) -> None:
        source = Path(file.source)
        total = _check(source, file)
        begin = begun if begun < total else 0
        command = render_append(file, user=self._request.route.hops[-1].user, anew=begin == 0)
        name = Path(file.path).name
        async with connection.create_process(command, encoding=None) as process:
            # What ends before it has read everything says why on stderr.
            with contextlib.suppress(BrokenPipeError):
                await self._feed(process, source, begin)
            said = await process.stderr.read(_MOST_BYTES)
            await process.wait_closed()
        if process.exit_status != 0:
            raise MembershipError(
                f"{name} cannot be written on the host: {clean(said, 400)};"
                " see `df` there, and run again"
            )
        self._sent.append(f"sent {name} {total - begin}")

    async def _feed(
        self, process: asyncssh.SSHClientProcess[bytes], source: Path, begin: int
    ) -> None:
        what = f"{source.name} to be sent ({source.stat().st_size // 1_000_000} MB)"
        with source.open("rb") as opened:
            opened.seek(begin)
            while chunk := opened.read(_CHUNK_BYTES):
                process.stdin.write(chunk)
                await process.stdin.drain()
                self._progress.awaiting(what)
        process.stdin.write_eof()


@contextlib.asynccontextmanager
async def _telling(progress: Progress, what: str) -> AsyncIterator[None]:
    """Tell what is awaited while the block waits for one answer."""

    async def tell() -> None:
        while True:
            progress.awaiting(what)
            await asyncio.sleep(0.5)

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()


async def _script(
    connection: asyncssh.SSHClientConnection, request: DeliverRequest, text: str
) -> str:
    """Run a script on the host and return what it prints, which is bounded."""
    user = request.route.hops[-1].user
    command = render_receiver(user=user, timeout_seconds=_SCRIPT_SECONDS)
    try:
        async with asyncio.timeout(_SCRIPT_SECONDS + 30):
            done = await run_command(connection, command, text.encode(), _MOST_BYTES)
    except TooMuchError:
        raise MembershipError("the host prints without end; see what runs there under sh") from None
    if done.status != 0:
        said = clean(done.stderr, 400).removeprefix(f"{request.node}: ")
        raise MembershipError(said or f"the host's script ended with {done.status}")
    return clean_lines(done.stdout, _MOST_BYTES)


def _parse(answer: str, files: dict[str, SentFile]) -> Iterator[tuple[SentFile, int]]:
    """Read `lacks NAME BYTES`, a line a file; what the host says is not trusted."""
    for line in answer.splitlines():
        match line.split():
            case ["lacks", name, size] if name in files and size.isdecimal() and len(size) < 16:
                yield files[name], int(size)
            case _:
                continue


def _check(source: Path, file: SentFile) -> int:
    """Compare our file with the declared sum before anything is sent; return its size in bytes."""
    kind = "sha512" if len(file.digest) == 128 else "sha256"
    try:
        with source.open("rb") as opened:
            found = hashlib.file_digest(opened, kind).hexdigest()
        size = source.stat().st_size
    except OSError as error:
        said = (error.strerror or type(error).__name__).lower()
        raise MembershipError(
            f"{source}: {said}; put the file there, in the project's folder on your machine"
        ) from None
    if found != file.digest:
        raise MembershipError(
            f"{source} has the {kind} {found}, not {file.digest}; correct the file or the sum."
            " Nothing was sent"
        )
    return size
