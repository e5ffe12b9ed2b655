"""Start a stand-in plugin as the engine does, and ask it over its real gRPC interface."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import (
    engine_pb2_grpc,
    errors_pb2,  # noqa: F401  (registers the message that Unpack needs)
    provider_pb2,
    provider_pb2_grpc,
    status_pb2,
)

from lab.plugins.values import Properties, from_struct, to_struct

CHECKOUT = Path(__file__).parents[2]
# An error travels in metadata: the engine, in Go, takes 16 MiB, Python 16 KiB unless told.
_ENGINES_OPTIONS = [
    ("grpc.absolute_max_metadata_size", 16 * 1024 * 1024),
    ("grpc.max_receive_message_length", 400 * 1024 * 1024),
]


class PartialError(Exception):
    """A failure that came with the state of what exists all the same."""

    def __init__(self, message: str, made_id: str, state: Properties, reasons: list[str]) -> None:
        super().__init__(message)
        self.id, self.state, self.reasons = made_id, state, reasons


class _Engine(engine_pb2_grpc.EngineServicer):
    def __init__(self) -> None:
        self.messages: list[tuple[int, str]] = []

    def Log(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.messages.append((request.severity, request.message))
        return empty_pb2.Empty()


class Driver:
    """One plugin process, configured; use it as a context manager."""

    def __init__(
        self,
        module: str,
        config: Properties | None = None,
        variables: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self._engine = _Engine()
        self._server = grpc.server(ThreadPoolExecutor(2))
        engine_pb2_grpc.add_EngineServicer_to_server(self._engine, self._server)
        address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, address],
            cwd=cwd or CHECKOUT,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), **(variables or {})},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        port = int(self.process.stdout.readline())
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=_ENGINES_OPTIONS)
        self.stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        self._config = to_struct(config or {})

    def __enter__(self) -> Driver:
        request = provider_pb2.ConfigureRequest(
            args=self._config, acceptSecrets=True, acceptResources=True
        )
        try:
            self.stub.Configure(request)
        except grpc.RpcError:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        self._channel.close()
        self.process.terminate()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._server.stop(None)

    @property
    def messages(self) -> list[str]:
        """What the plugin told the user so far."""
        return [message for _, message in self._engine.messages]

    def check(self, urn: str, inputs: Properties, old_inputs: Properties | None = None) -> Any:
        """Return the checked inputs; a failed check is an AssertionError."""
        answer = self.stub.Check(
            provider_pb2.CheckRequest(
                urn=urn,
                news=to_struct(inputs),
                olds=to_struct(old_inputs) if old_inputs is not None else None,
                randomSeed=b"seed of " + urn.encode(),
            )
        )
        assert not answer.failures, answer.failures
        return from_struct(answer.inputs)

    def diff(self, urn: str, state: Properties, old_inputs: Properties, news: Properties) -> Any:
        """Return the engine's DiffResponse."""
        return self.stub.Diff(_diff_request(urn, state, old_inputs, news))

    def diff_config(self, old: Properties, new: Properties) -> Any:
        """Return the engine's DiffResponse for two configurations of the provider."""
        urn = "urn:pulumi:dev::p::pulumi:providers:kubernetes::k8s"
        return self.stub.DiffConfig(_diff_request(urn, old, old, new))

    def create(
        self, urn: str, inputs: Properties, *, preview: bool = False, timeout: float = 0
    ) -> tuple[str, Properties]:
        """Return the new resource's ID and state."""
        request = provider_pb2.CreateRequest(
            urn=urn, properties=to_struct(inputs), preview=preview, timeout=timeout
        )
        answer = self._partial(self.stub.Create, request)
        return answer.id, from_struct(answer.properties)

    def read(
        self, urn: str, known_id: str, state: Properties, inputs: Properties
    ) -> tuple[str, Properties, Properties]:
        """Return ID, state and inputs; all are empty for a resource that is gone."""
        request = provider_pb2.ReadRequest(
            urn=urn, id=known_id, properties=to_struct(state), inputs=to_struct(inputs)
        )
        answer = self._partial(self.stub.Read, request)
        return answer.id, from_struct(answer.properties), from_struct(answer.inputs)

    def update(
        self,
        urn: str,
        known_id: str,
        state: Properties,
        old_inputs: Properties,
        news: Properties,
        *,
        preview: bool = False,
    ) -> Properties:
        """Return the new state."""
        request = provider_pb2.UpdateRequest(
            urn=urn,
            id=known_id,
            olds=to_struct(state),
            old_inputs=to_struct(old_inputs),
            news=to_struct(news),
            preview=preview,
        )
        return from_struct(self._partial(self.stub.Update, request).properties)

    def delete(self, urn: str, known_id: str, state: Properties, *, timeout: float = 0) -> None:
        """Delete the resource."""
        self.stub.Delete(
            provider_pb2.DeleteRequest(
                urn=urn, id=known_id, properties=to_struct(state), timeout=timeout
            )
        )

    def _partial(self, method: Any, request: Any) -> Any:
        try:
            return method(request)
        except grpc.RpcError as error:
            found = _partial_error(error)
            if found is None:
                raise
            raise found from None


def _diff_request(
    urn: str, state: Properties, old_inputs: Properties, news: Properties
) -> provider_pb2.DiffRequest:
    return provider_pb2.DiffRequest(
        urn=urn,
        id="x",
        olds=to_struct(state),
        old_inputs=to_struct(old_inputs),
        news=to_struct(news),
    )


def _partial_error(error: Any) -> PartialError | None:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = status_pb2.Status()
            status.ParseFromString(value)
            detail = provider_pb2.ErrorResourceInitFailed()
            if status.details and status.details[0].Unpack(detail):
                state = from_struct(detail.properties)
                return PartialError(error.details(), detail.id, state, list(detail.reasons))
    return None
