# ruff: noqa: N802, ARG002 - the methods of a servicer are named and shaped by the protocol
"""Serve a stand-in plugin: the glue between the engine's gRPC calls and plain Python.

A plugin is a subclass of `Plugin`; `serve` speaks the protocol for it. The SDK's own
glue (`pulumi.provider.experimental.server`) does not suffice: it cannot write an unknown,
drops the old inputs that the official plugins diff with, puts a Python traceback into
every error that a user reads, and cannot report a resource that was made but is not
ready. Calls overlap: each is a task of one event loop, so a plugin must never block it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from lab.plugins.diffs import Diff
from lab.plugins.engine_log import EngineLog
from lab.plugins.plugin import Call, CheckError, InitError, Plugin, PluginError
from lab.plugins.values import Properties, from_struct, to_struct

# As the SDK has it: a large state must pass.
_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", 400 * 1024 * 1024),
    ("grpc.max_send_message_length", 400 * 1024 * 1024),
    # An error travels in the trailing metadata, with the command's output in it.
    ("grpc.max_metadata_size", 16 * 1024 * 1024),
    ("grpc.absolute_max_metadata_size", 16 * 1024 * 1024),
]
_PARENT_POLL_SECONDS = 1.0
_LAST_WORDS_SECONDS = 3.0


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Translate each call of the engine for a `Plugin`, and keep track of what runs."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin
        self._running: set[asyncio.Task[Any]] = set()
        self._cancelled = False

    async def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=self._plugin.accept_secrets, accept_resources=True, accept_outputs=True
        )

    async def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self._plugin.version)

    async def GetSchema(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetSchemaResponse(schema="{}")

    async def Configure(self, request: Any, context: Any) -> Any:
        await self._do(context, self._plugin.configure(from_struct(request.args)))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=self._plugin.accept_secrets,
            supportsPreview=True,
            acceptResources=True,
            acceptOutputs=True,
        )

    async def CheckConfig(self, request: Any, context: Any) -> Any:
        return await self._checked(context, self._plugin.check_config, request)

    async def Check(self, request: Any, context: Any) -> Any:
        return await self._checked(context, self._plugin.check, request)

    async def _checked(
        self, context: Any, check: Callable[[Call], Awaitable[Properties]], request: Any
    ) -> Any:
        call = _call(request, inputs=request.news, old_inputs=request.olds, seed=request.randomSeed)
        try:
            inputs = await self._do(context, check(call), passing=CheckError)
        except CheckError as failed:
            failures = [provider_pb2.CheckFailure(property=p, reason=r) for p, r in failed.failures]
            return provider_pb2.CheckResponse(inputs=request.news, failures=failures)
        return provider_pb2.CheckResponse(inputs=to_struct(inputs))

    async def DiffConfig(self, request: Any, context: Any) -> Any:
        call = _diff_call(request)
        return _diff_response(await self._do(context, self._plugin.diff_config(call)))

    async def Diff(self, request: Any, context: Any) -> Any:
        call = _diff_call(request)
        return _diff_response(await self._do(context, self._plugin.diff(call)))

    async def Create(self, request: Any, context: Any) -> Any:
        call = _call(request, inputs=request.properties)
        made = await self._do(context, self._plugin.create(call), request.timeout)
        return provider_pb2.CreateResponse(id=made.id, properties=to_struct(made.state))

    async def Read(self, request: Any, context: Any) -> Any:
        call = _call(
            request, inputs=request.inputs, old_inputs=request.inputs, state=request.properties
        )
        found = await self._do(context, self._plugin.read(call))
        if found is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=found.id, properties=to_struct(found.state), inputs=to_struct(found.inputs)
        )

    async def Update(self, request: Any, context: Any) -> Any:
        call = _call(
            request,
            inputs=request.news,
            old_inputs=request.old_inputs,
            state=request.olds,
            ignored=request.ignoreChanges,
        )
        state = await self._do(context, self._plugin.update(call), request.timeout)
        return provider_pb2.UpdateResponse(properties=to_struct(state))

    async def Delete(self, request: Any, context: Any) -> Any:
        call = _call(request, old_inputs=request.old_inputs, state=request.properties)
        await self._do(context, self._plugin.delete(call), request.timeout)
        return empty_pb2.Empty()

    async def Cancel(self, request: Any, context: Any) -> Any:
        self.cancel()
        return empty_pb2.Empty()

    def cancel(self) -> None:
        """End what runs, and what is still to come, as the first Ctrl-C asks."""
        self._cancelled = True
        for task in self._running:
            task.cancel()

    async def drain(self, seconds: float) -> None:
        """Wait a little for what is being cancelled."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)

    async def _do(
        self,
        context: Any,
        work: Awaitable[Any],
        timeout: float = 0,
        passing: type[Exception] | tuple[()] = (),
    ) -> Any:
        """Run one call as a task that `cancel` can end; turn errors into a gRPC status."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        if self._cancelled:
            task.cancel()
        timer = asyncio.get_running_loop().call_later(timeout, task.cancel) if timeout else None
        try:
            return await task
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if me is not None and me.cancelling():
                raise  # The engine hung up: nobody is left to hear an error.
            too_late = timeout and not self._cancelled
            await _abort(context, "context deadline exceeded" if too_late else "context canceled")
        except passing:
            raise
        except InitError as failed:
            await _abort_partial(context, failed)
        except PluginError as failed:
            await _abort(context, str(failed))
        except Exception as failed:
            await _abort(context, _internal(self._plugin.name, failed))
        finally:
            self._running.discard(task)
            if timer is not None:
                timer.cancel()


def _call(
    request: Any,
    *,
    inputs: Any = None,
    old_inputs: Any = None,
    state: Any = None,
    seed: bytes = b"",
    ignored: Sequence[str] = (),
) -> Call:
    # Older engines leave name and type out: both are parts of the URN.
    parts = request.urn.split("::", 3)
    return Call(
        urn=request.urn,
        type=parts[2].rsplit("$", 1)[-1] if len(parts) == 4 else "",
        name=parts[3] if len(parts) == 4 else "",
        id=getattr(request, "id", ""),
        inputs=from_struct(inputs) if inputs is not None else {},
        old_inputs=from_struct(old_inputs) if old_inputs is not None else {},
        state=from_struct(state) if state is not None else {},
        preview=getattr(request, "preview", False),
        timeout_seconds=getattr(request, "timeout", 0.0),
        ignore_changes=tuple(ignored),
        seed=seed,
    )


def _diff_call(request: Any) -> Call:
    return _call(
        request,
        inputs=request.news,
        old_inputs=request.old_inputs,
        state=request.olds,
        ignored=request.ignoreChanges,
    )


def _diff_response(diff: Diff) -> Any:
    kinds = provider_pb2.PropertyDiff.Kind
    detailed = {
        path: provider_pb2.PropertyDiff(
            kind=kinds.Value(one.kind.upper() + ("_REPLACE" if one.replace else "")),
            inputDiff=one.input_diff,
        )
        for path, one in diff.changes.items()
    }
    some = provider_pb2.DiffResponse.DIFF_SOME
    return provider_pb2.DiffResponse(
        changes=some if detailed else provider_pb2.DiffResponse.DIFF_NONE,
        diffs=diff.changed_keys,
        replaces=diff.replaces,
        stables=diff.stables,
        deleteBeforeReplace=diff.delete_before_replace,
        detailedDiff=detailed,
        hasDetailedDiff=True,
    )


async def _abort(context: Any, message: str) -> NoReturn:
    await context.abort(grpc.StatusCode.UNKNOWN, message)
    raise AssertionError("abort always raises")


async def _abort_partial(context: Any, failed: InitError) -> NoReturn:
    """Report a resource that exists but did not become ready: the engine records it."""
    detail = provider_pb2.ErrorResourceInitFailed(
        id=failed.made.id,
        properties=to_struct(failed.made.state),
        inputs=to_struct(failed.inputs),
        reasons=failed.reasons,
    )
    message = str(failed)
    rich = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=message)
    rich.details.add().Pack(detail)
    metadata = (("grpc-status-details-bin", rich.SerializeToString()),)
    await context.abort(grpc.StatusCode.UNKNOWN, message, metadata)
    raise AssertionError("abort always raises")


def _internal(plugin: str, failed: Exception) -> str:
    """Say where a fault of our own is, without its message: that may hold a secret."""
    frames = traceback.extract_tb(failed.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"internal error of the stand-in plugin {plugin}: {type(failed).__name__}{where}"


async def _serve(plugin: Plugin, engine_address: str) -> None:
    plugin.engine = EngineLog(engine_address)
    server = grpc.aio.server(options=_CHANNEL_OPTIONS)
    servicer = Servicer(plugin)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # The engine's order to end is SIGINT, and it kills what is still there 5 s later. A user's
    # Ctrl-C does not reach this process: it is in a group of its own, and is told by Cancel.
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    watch = asyncio.create_task(_watch_parent(os.getppid(), stop))
    await stop.wait()
    watch.cancel()
    servicer.cancel()
    await servicer.drain(_LAST_WORDS_SECONDS)
    await server.stop(grace=0.1)


async def _watch_parent(parent: int, stop: asyncio.Event) -> None:
    """Set `stop` when the engine is gone: nobody would ever end this process then."""
    while os.getppid() == parent:
        await asyncio.sleep(_PARENT_POLL_SECONDS)
    stop.set()


def serve(plugin: Plugin, argv: Sequence[str] | None = None) -> None:
    """Serve a plugin until the engine ends it; for a package's `__main__`.

    Args:
        argv: what the engine gives a plugin: its own address, and flags to ignore.
    """
    arguments = sys.argv[1:] if argv is None else argv
    address = next((one for one in arguments if not one.startswith("-")), "")
    asyncio.run(_serve(plugin, address))
