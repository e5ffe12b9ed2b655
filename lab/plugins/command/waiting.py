"""Wait for what a Ctrl-C must not cut off in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def outlast(work: Awaitable[T], on_cancel: Callable[[], None] = lambda: None) -> T:
    """Await work to its end, also when this task is cancelled meanwhile.

    Args:
        on_cancel: called at each cancellation, which is not passed on.
    """
    inner = asyncio.ensure_future(work)
    while not inner.done():
        try:
            await asyncio.wait({inner})
        except asyncio.CancelledError:
            on_cancel()
    return inner.result()


def was_cancelled() -> bool:
    """Tell whether the current task has outlasted a cancellation."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
