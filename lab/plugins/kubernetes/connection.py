"""The way to the provider's cluster: made when first needed, given up on once for all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from lab.plugins.kubernetes.api_server import POOL_SIZE, ApiError, ApiServer, NoSuchKindError
from lab.plugins.kubernetes.configuration import KubeconfigError, Settings
from lab.plugins.kubernetes.objects import Object, kind_of
from lab.plugins.plugin import Call, PluginError
from lab.plugins.values import contains_unknown

T = TypeVar("T")

FIRST_POLL_SECONDS = 0.05
LONGEST_POLL_SECONDS = 1.0


class Connection:
    """A provider's settings and, if it can be reached, its API server.

    The official plugin asks the cluster as soon as it is configured. This one does so with the
    first call that needs an answer: an unchanged preview then needs no cluster at all.
    """

    def __init__(self, settings: Settings, warn: Callable[[str], Awaitable[None]]) -> None:
        self.settings = settings
        self._warn = warn
        self._warned = False
        self._problem = ""
        self._server: ApiServer | None = None
        self._lock = asyncio.Lock()
        self._threads = ThreadPoolExecutor(POOL_SIZE, thread_name_prefix="api")

    async def server(self) -> ApiServer | None:
        """Return the API server, or None if it cannot be reached."""
        async with self._lock:
            if self._server is None and not self._problem:
                try:
                    server = await self.run(ApiServer, self.settings)
                    await self.run(server.probe)
                    self._server = server
                except (KubeconfigError, ApiError) as error:
                    self._problem = f"configured Kubernetes cluster is unreachable: {error}"
        return self._server

    async def for_writing(self, call: Call, inputs: Object) -> ApiServer | None:
        """Return the API server to write to; None where a preview must do without.

        Raises:
            PluginError: it cannot be reached, and this is no preview.
        """
        if call.preview and contains_unknown(inputs):
            return None
        server = await self.server()
        if server is None:
            if not call.preview:
                raise PluginError(self._problem)
            await self._warn_once()
            return None
        if call.preview:
            try:
                await self.run(server.resource, *kind_of(inputs))
            except (ApiError, NoSuchKindError):
                return None  # its definition may be part of this deployment
        return server

    async def for_state(self, call: Call) -> ApiServer | None:
        """Return the API server to read or delete from; None to drop the object from the state.

        Raises:
            PluginError: it cannot be reached, and dropping was not asked for.
        """
        server = await self.server()
        if server is None:
            await self._warn_once()
            if not self.settings.delete_unreachable:
                raise PluginError(
                    f"{call.id}: {self._problem}; only if the cluster is gone for good: "
                    "PULUMI_K8S_DELETE_UNREACHABLE=true drops its objects from the state"
                )
        return server

    async def _warn_once(self) -> None:
        if not self._warned:
            self._warned = True
            await self._warn(self._problem)

    async def run(self, work: Callable[..., T], *args: Any, **options: Any) -> T:
        """Do blocking work in a thread, so that the engine's calls overlap."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: work(*args, **options))


async def poll(lacking: Callable[[], Awaitable[str]], seconds: float) -> str:
    """Ask what is lacking until nothing is or the time is over; return the last answer."""
    end = time.monotonic() + seconds
    pause = FIRST_POLL_SECONDS
    while (answer := await lacking()) and (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_POLL_SECONDS)
    return answer
