"""Show a running command's lines in the progress display, where its `logging` asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from lab.plugins.engine_log import EngineLog

Listener = Callable[[str, bytes], None]

_SHOWN = {
    None: ("stdout", "stderr"),
    "stdout": ("stdout",),
    "stderr": ("stderr",),
    "stdoutAndStderr": ("stdout", "stderr"),
}
# The official scanner stops at longer lines (bufio.MaxScanTokenSize).
_LONGEST_LINE_BYTES = 64 * 1024


@asynccontextmanager
async def log_lines(
    engine: EngineLog, urn: str, logging: str | None
) -> AsyncIterator[Listener | None]:
    """Give a function that takes bytes of a stream and shows whole lines of it.

    Yields None for `logging: none` (and, like the official plugin, for an unknown word).
    """
    shown = _SHOWN.get(logging, ())
    if not shown:
        yield None
        return
    lines: asyncio.Queue[bytes | None] = asyncio.Queue()
    sender = asyncio.create_task(_send_lines(engine, urn, lines))
    pending = bytearray()

    def listen(stream: str, data: bytes) -> None:
        if stream not in shown:
            return
        pending.extend(data)
        *whole, rest = bytes(pending).split(b"\n")
        for line in whole:
            lines.put_nowait(line[:_LONGEST_LINE_BYTES])
        pending[:] = rest[:_LONGEST_LINE_BYTES]

    try:
        yield listen
    finally:
        if pending:
            lines.put_nowait(bytes(pending))
        lines.put_nowait(None)
        await sender


async def _send_lines(engine: EngineLog, urn: str, lines: asyncio.Queue[bytes | None]) -> None:
    while (line := await lines.get()) is not None:
        await engine.send(urn, line.decode(errors="replace"), ephemeral=True)
