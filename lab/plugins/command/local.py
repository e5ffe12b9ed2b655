"""Run a command on this machine, as pulumi-command local/commandOutputs.go `run` does."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from typing import Any

from lab.plugins.command.output import Output, quote
from lab.plugins.command.waiting import outlast

_CHUNK_BYTES = 64 * 1024


async def run_local(
    command: str, fields: Mapping[str, Any], previous: Mapping[str, str], output: Output
) -> str | None:
    """Run a command to its end and return the reason of its failure, or None.

    It inherits this process's environment and folder: the engine starts a plugin in the
    project's folder. On cancellation the direct child is killed; what it started is not,
    and is waited for as long as it holds stdout or stderr, as with the official plugin.
    """
    arguments = [*(fields.get("interpreter") or ["/bin/sh", "-c"]), command]
    environment = {**os.environ, **fields.get("environment", {}), **_as_environment(previous)}
    stdin = fields.get("stdin") or ""
    folder = fields.get("dir")
    try:
        child = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=PIPE if stdin else DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            cwd=folder,
            env=environment,
        )
    except OSError as failed:
        return _start_failure(failed, arguments[0], folder)
    await outlast(_follow(child, stdin.encode(), output), on_cancel=lambda: _kill(child))
    return _reason(child.returncode)


async def _follow(child: Process, stdin: bytes, output: Output) -> None:
    readers = {"stdout": child.stdout, "stderr": child.stderr}
    await asyncio.gather(
        _feed(child, stdin),
        *(_drain(reader, name, output) for name, reader in readers.items() if reader),
        child.wait(),
    )


async def _feed(child: Process, stdin: bytes) -> None:
    if child.stdin is None:
        return
    try:
        child.stdin.write(stdin)
        await child.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        # Unlike a remote command, a local one may end before it has read all of its stdin.
        return
    finally:
        child.stdin.close()


async def _drain(reader: asyncio.StreamReader, stream: str, output: Output) -> None:
    while data := await reader.read(_CHUNK_BYTES):
        output.add(stream, data)


def _kill(child: Process) -> None:
    try:
        child.kill()
    except ProcessLookupError:
        return


def _as_environment(previous: Mapping[str, str]) -> dict[str, str]:
    return {f"PULUMI_COMMAND_{key.upper()}": value for key, value in previous.items() if value}


def _reason(status: int | None) -> str | None:
    """Word an exit as Go's os/exec does: `exit status 3`, `signal: killed`."""
    if status == 0:
        return None
    if status is not None and status < 0:
        name = (signal.strsignal(-status) or f"signal {-status}").lower()
        return f"signal: {name}"
    return f"exit status {status}"


def _start_failure(failed: OSError, program: str, folder: str | None) -> str:
    said = (failed.strerror or type(failed).__name__).lower()
    if folder is not None and failed.filename == folder:
        return f"chdir {folder}: {said}"
    if isinstance(failed, FileNotFoundError) and "/" not in program:
        return f"exec: {quote(program)}: executable file not found in $PATH"
    return f"fork/exec {program}: {said}"
