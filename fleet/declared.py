"""What the program would declare, without the engine, a state, plugins, hosts or a cluster.

The program itself is run, as a preview runs it, against a stand-in of the engine that only notes
down what is registered: so a graph is that of the program, and there is one before the first `up`.
What providers would answer is unknown in a preview, and stays so here.
"""

from __future__ import annotations

from typing import Any

import pulumi
from google.protobuf import struct_pb2
from pulumi.runtime import mocks, rpc
from pulumi.runtime.proto import resource_pb2

from kube_nodes.model.graph import DeclaredResource
from kube_nodes.model.recorded import Recorded, RecordedNode
from kube_nodes.settings import NAMESPACE, SECRET_KEYS, Settings

_STACK = "pulumi:pulumi:Stack"


class _NoAnswers(mocks.Mocks):
    """Nothing is asked of a provider."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[Any, Any]]:
        raise NotImplementedError(args.name)

    def call(self, args: mocks.MockCallArgs) -> Any:
        raise NotImplementedError(f"{args.token}: a preview would contact somebody")


class _Monitor(mocks.MockMonitor):
    """Notes down each registration; of inputs nothing is kept."""

    def __init__(self) -> None:
        super().__init__(_NoAnswers())
        self.found: dict[str, DeclaredResource] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the name of the call
        # Below different parents there may be two of one type and name.
        urn = f"{request.parent}${request.type}::{request.name}"
        if request.type != _STACK:
            self.found[urn] = DeclaredResource(
                urn=urn,
                type=request.type,
                name=request.name,
                parent=request.parent,
                custom=request.custom,
                dependencies=tuple(sorted(request.dependencies)),
            )
        return resource_pb2.RegisterResourceResponse(urn=urn, id="", object=request.object)

    def ReadResource(self, request: Any) -> Any:  # noqa: N802 - the name of the call
        # Another stack's outputs, which may not be there yet; a graph needs none of them.
        answer = struct_pb2.Struct()
        answer.update({"name": request.id, "outputs": rpc.UNKNOWN, "secretOutputNames": []})
        return resource_pb2.ReadResourceResponse(urn=request.name, properties=answer)


def declare(settings: Settings, stack: str) -> list[DeclaredResource]:
    """Run the program over a stack's settings; return its resources, sorted by URN."""
    # Late: the providers' packages take a second to import, and no other command needs them.
    from kube_nodes.components.stack import declare_stack

    monitor = _Monitor()
    pulumi.runtime.set_mocks(monitor.mocks, NAMESPACE, stack, preview=True, monitor=monitor)
    pulumi.runtime.set_all_config(_placeholders(settings), list(SECRET_KEYS))
    try:
        # What runs a program against a stand-in of the engine is called so in the SDK.
        run = pulumi.runtime.test(  # type: ignore[no-untyped-call]
            lambda: declare_stack(settings, None, _known(settings))
        )
        run()
    finally:
        pulumi.runtime.set_all_config({}, [])
    return [each for _, each in sorted(monitor.found.items())]


def _placeholders(settings: Settings) -> dict[str, str]:
    """Which secrets there are decides what is declared; what is in them does not."""
    is_used = settings.kube_proxy_certificate.issuer == "ca"
    return {f"{NAMESPACE}:caKey": "not read"} if is_used else {}


def _known(settings: Settings) -> Recorded:
    """As if every node were known: one that is held or lost is drawn without its steps."""
    nodes = {node.id: RecordedNode(pool=node.pool, lost=node.lost) for node in settings.nodes}
    return Recorded(nodes=nodes)
