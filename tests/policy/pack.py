"""Start the pack as a language host does, and ask it about resources."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from tests.components.recording import Graph, Resource

CHECKOUT = Path(__file__).parents[2]
PACK = CHECKOUT / "policy"
# As the language host of a new CLI starts a pack, and as one of v3.78 does.
STARTS = {
    "new": ("-u", "-m", "pulumi.policy", "127.0.0.1:1", str(PACK)),
    "old": (str(PACK), "127.0.0.1:1"),
}


@dataclass(frozen=True)
class Violation:
    """What a policy says."""

    policy: str
    message: str
    is_mandatory: bool


class Pack:
    """A running pack."""

    def __init__(self, port: int) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.stub = analyzer_pb2_grpc.AnalyzerStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def analyze(self, kind: str, name: str, inputs: Mapping[str, Any]) -> list[Violation]:
        """Ask about one resource."""
        request = analyzer_pb2.AnalyzeRequest(
            type=kind,
            name=name,
            urn=f"urn:pulumi:test::p::{kind}::{name}",
            properties=_struct(inputs),
        )
        return _violations(self.stub.Analyze(request))

    def analyze_graph(self, graph: Graph) -> list[Violation]:
        """Ask about every resource of a stack, and then about the stack."""
        found = [
            violation
            for each in graph.resources.values()
            if each.custom
            for violation in self.analyze(each.type, each.name, each.inputs)
        ]
        return found + self.analyze_stack(graph.resources.values())

    def analyze_stack(self, resources: Iterable[Resource], **config: Any) -> list[Violation]:
        """Ask about a stack as a whole; `config` is by policy, with _ for -."""
        configured = {
            name.replace("_", "-"): analyzer_pb2.PolicyConfig(
                properties=_struct(values), enforcementLevel=analyzer_pb2.MANDATORY
            )
            for name, values in config.items()
        }
        self.stub.Configure(analyzer_pb2.ConfigureAnalyzerRequest(policyConfig=configured))
        request = analyzer_pb2.AnalyzeStackRequest(
            resources=[
                analyzer_pb2.AnalyzerResource(
                    type=each.type,
                    name=each.name,
                    urn=each.urn,
                    parent=each.parent,
                    properties=_struct(each.inputs),
                )
                for each in resources
            ]
        )
        return _violations(self.stub.AnalyzeStack(request))


@contextmanager
def running_pack(start: str = "new") -> Iterator[Pack]:
    """Start the pack, and end it."""
    process = subprocess.Popen(
        [sys.executable, *STARTS[start]], cwd=CHECKOUT, stdout=subprocess.PIPE
    )
    assert process.stdout
    try:
        pack = Pack(int(process.stdout.readline()))
        try:
            yield pack
        finally:
            pack.close()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(dict(values))
    return made


def _violations(response: Any) -> list[Violation]:
    return [
        Violation(each.policyName, each.message, each.enforcementLevel == analyzer_pb2.MANDATORY)
        for each in response.diagnostics
    ]
