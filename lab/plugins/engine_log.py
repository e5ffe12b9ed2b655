"""Messages from a plugin to the user, by way of the engine."""

from __future__ import annotations

from typing import Any, Literal

Severity = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class EngineLog:
    """The engine's log service; the connection is made with the first message."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._stub: Any = None

    async def send(
        self, urn: str, message: str, severity: Severity = "INFO", *, ephemeral: bool = False
    ) -> None:
        """Show a message beside a resource.

        Args:
            urn: the resource; empty for the stack.
            ephemeral: show it in the progress column only, and keep it nowhere.

        A message that cannot be delivered is dropped: it is no reason to fail a deployment.
        """
        import grpc.aio
        from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

        if not self._address:
            return
        if self._stub is None:
            channel = grpc.aio.insecure_channel(self._address)
            self._stub = engine_pb2_grpc.EngineStub(channel)
        request = engine_pb2.LogRequest(
            severity=engine_pb2.LogSeverity.Value(severity),
            message=message,
            urn=urn,
            ephemeral=ephemeral,
        )
        try:
            await self._stub.Log(request, timeout=10)
        except grpc.aio.AioRpcError:
            return
