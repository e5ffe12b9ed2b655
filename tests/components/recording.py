"""Declare a stack against a recording stand-in of the engine, and look at the graph.

What is recorded is what the engine would be sent: names, parents, dependencies, options, and inputs
with the marks of what is secret. The graph is complete before a test looks at it, so no assertion
hides inside an apply.
"""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pulumi
from google.protobuf import struct_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import mocks, rpc
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.stack import Stack

from kube_nodes.components.stack import declare_stack
from kube_nodes.model.recorded import Recorded
from kube_nodes.settings import read_settings
from tests.components.outputs import make_outputs

with warnings.catch_warnings():
    # The package warns of a class of its own, which nothing here uses, whenever it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    importlib.import_module("pulumi_command.remote.copy_file")

_SECRET = {rpc._special_sig_key: rpc._special_secret_sig}

# Another stack's outputs, and which of them are secret.
Outputs = tuple[Mapping[str, Any], Collection[str]]


@dataclass(frozen=True)
class Resource:
    """One resource, as it was registered."""

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    inputs: dict[str, Any] = field(repr=False)
    """Secret values are wrapped; see is_secret and opened."""
    dependencies: frozenset[str]
    by_property: Mapping[str, frozenset[str]]
    provider: str
    secret_outputs: frozenset[str]
    frames: int
    """Of the stack of its declaration, as the state would hold it."""
    options: Mapping[str, Any]
    """What is set of the options that no resource here should need."""

    @property
    def key(self) -> str:
        """Its name, and for a component its type too: children may have its name."""
        return self.name if self.custom else f"{self.type.rpartition(':')[2]} {self.name}"


@dataclass
class Graph:
    """Every resource of a stack by its key, its outputs, and what was logged."""

    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    secret_outputs: set[str] = field(default_factory=set)
    references: list[str] = field(default_factory=list)
    """The other stacks whose outputs were read."""

    def __getitem__(self, name: str) -> Resource:
        """Look up a resource by its name."""
        return self.resources[name]

    def after(self, name: str) -> set[str]:
        """Name what a resource depends on itself: by its options or its inputs."""
        by_urn = {resource.urn: resource.key for resource in self.resources.values()}
        return {by_urn[urn] for urn in self[name].dependencies}

    def transitively_after(self, name: str) -> set[str]:
        """Name all that has to be there before a resource; its parents' dependencies count."""
        by_urn = {resource.urn: resource for resource in self.resources.values()}
        found: set[str] = set()
        waiting = [self[name]]
        while waiting:
            resource = waiting.pop()
            for urn in {*resource.dependencies, resource.parent} - {""}:
                if urn in by_urn and by_urn[urn].key not in found:
                    found.add(by_urn[urn].key)
                    waiting.append(by_urn[urn])
        return found

    def children(self, name: str) -> set[str]:
        """Name the children of a component."""
        return {each.key for each in self.resources.values() if each.parent == self[name].urn}

    def of_node(self, node_id: str) -> list[Resource]:
        """Give all resources of a node, the component itself among them."""
        return [
            each
            for each in self.resources.values()
            if self._is_in(each, self[f"WorkerNode {node_id}"].urn)
        ]

    def _is_in(self, resource: Resource, urn: str) -> bool:
        by_urn = {each.urn: each for each in self.resources.values()}
        while resource.urn != urn and resource.parent in by_urn:
            resource = by_urn[resource.parent]
        return resource.urn == urn

    def inputs(self) -> dict[str, Any]:
        """Give every resource's inputs, by name."""
        return {name: resource.inputs for name, resource in self.resources.items()}


class _Monitor(mocks.MockMonitor):
    """Records each registration, and answers with made-up outputs, secret where they would be."""

    def __init__(
        self,
        graph: Graph,
        state: Mapping[str, Any] | None = None,
        others: Mapping[str, Outputs] = MappingProxyType({}),
    ) -> None:
        super().__init__(_NoMocks(state))
        self._graph = graph
        self._others = others

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the name of the call
        # Two resources of one type below different parents are told apart by their names.
        urn = f"{request.parent or 'urn:pulumi:test'}${request.type}::{request.name}"
        if request.type == "pulumi:pulumi:Stack":
            return resource_pb2.RegisterResourceResponse(urn=urn)
        inputs = {
            key: {"path": value.path} if isinstance(value, pulumi.FileAsset) else value
            for key, value in rpc.deserialize_properties(request.object).items()
        }
        resource = _read(request, urn, inputs)
        assert resource.key not in self._graph.resources, f"{resource.key} is declared twice"
        self._graph.resources[resource.key] = resource
        outputs = inputs | make_outputs(request.type, request.name, opened(inputs))
        for key in resource.secret_outputs & outputs.keys():
            outputs[key] = {**_SECRET, "value": opened(outputs[key])}
        answer = struct_pb2.Struct()
        answer.update(outputs)
        return resource_pb2.RegisterResourceResponse(
            urn=urn,
            id=f"{request.name}-id" if request.custom else "",
            object=answer,
        )

    def ReadResource(self, request: Any) -> Any:  # noqa: N802 - the name of the call
        assert request.type == "pulumi:pulumi:StackReference"
        self._graph.references.append(request.id)
        outputs, secret = self._others[request.id]
        answer = struct_pb2.Struct()
        answer.update(
            {
                "name": request.id,
                "outputs": {
                    key: {**_SECRET, "value": value} if key in secret else value
                    for key, value in outputs.items()
                },
                "secretOutputNames": sorted(secret),
            }
        )
        return resource_pb2.ReadResourceResponse(urn=f"urn:pulumi:{request.id}", properties=answer)


class _NoMocks(mocks.Mocks):
    """The monitor answers registrations itself; nothing is called but the engine.

    Args:
        state: what the engine tells of the stack's state: type and outputs by URN.
    """

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        self._state = state or {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        raise NotImplementedError

    def call(self, args: mocks.MockCallArgs) -> Any:
        if args.token == "pulumi:pulumi:readStackResourceOutputs":
            return {"name": args.args["stackName"], "outputs": dict(self._state)}
        raise NotImplementedError(f"{args.token} is called, and previews would fail without it")


def monitor_of(graph: Graph, state: Mapping[str, Any] | None = None) -> mocks.MockMonitor:
    """Make an engine that records what is declared in a graph, and knows this state."""
    return _Monitor(graph, state)


_UNUSUAL = (
    *("protect", "deleteBeforeReplace", "ignoreChanges", "importId", "replaceOnChanges"),
    *("retainOnDelete", "aliases", "aliasURNs", "aliasSpecs", "deletedWith", "hooks"),
    *("customTimeouts", "transforms", "replace_with"),
)


def _read(request: Any, urn: str, inputs: dict[str, Any]) -> Resource:
    options = MessageToDict(request, preserving_proto_field_name=True)
    by_property = request.propertyDependencies.items()
    return Resource(
        urn=urn,
        type=request.type,
        name=request.name,
        parent=request.parent,
        custom=request.custom,
        inputs=inputs,
        dependencies=frozenset(request.dependencies),
        by_property={key: frozenset(value.urns) for key, value in by_property},
        provider=request.provider,
        secret_outputs=frozenset(request.additionalSecretOutputs),
        frames=len(request.stackTrace.frames),
        options={key: options[key] for key in _UNUSUAL if options.get(key)},
    )


def declare(
    values: Mapping[str, Any],
    secrets: Mapping[str, str] | None = None,
    joined: Collection[str] | None = None,
    recorded: Recorded | None = None,
    others: Mapping[str, Outputs] = MappingProxyType({}),
) -> Graph:
    """Run the whole program over a configuration, and return the graph that it declared.

    Args:
        values: the configuration.
        secrets: the secret part of it.
        joined: the Nodes that the cluster has; None: it was not asked, as in a preview.
        recorded: what the state holds.
        others: the outputs of other stacks, by full name.
    """
    graph = Graph()
    texts = {
        key: text if isinstance(text, str) else json.dumps(text) for key, text in values.items()
    }
    stored = {f"kube-nodes:{key}": text for key, text in {**texts, **(secrets or {})}.items()}
    pulumi.runtime.set_all_config(stored, [f"kube-nodes:{key}" for key in secrets or {}])
    try:
        monitor = _Monitor(graph, None, others)
        pulumi.runtime.set_mocks(_NoMocks(), "kube-nodes", "test", False, monitor=monitor)
        _run(graph, joined, recorded)
    finally:
        pulumi.runtime.set_all_config({}, [])
    return graph


@pulumi.runtime.test  # type: ignore[untyped-decorator]
def _run(graph: Graph, joined: Collection[str] | None, recorded: Recorded | None) -> Any:
    stack = pulumi.runtime.get_root_resource()
    assert isinstance(stack, Stack)
    stack.outputs = {}
    declare_stack(read_settings(), joined, recorded)

    async def read() -> None:
        for name, value in stack.outputs.items():
            output = pulumi.Output.from_input(value)
            graph.outputs[name] = await output.future()
            if await output.is_secret():
                graph.secret_outputs.add(name)

    return read()


def is_secret(value: Any) -> bool:
    """Whether a recorded value is secret as a whole."""
    return isinstance(value, Mapping) and _SECRET.items() <= value.items()


def opened(value: Any) -> Any:
    """Take the marks of secrecy off a recorded value."""
    if is_secret(value):
        return opened(value["value"])
    if isinstance(value, Mapping):
        return {key: opened(inner) for key, inner in value.items()}
    return [opened(inner) for inner in value] if isinstance(value, list) else value


def open_texts(value: Any) -> Iterator[str]:
    """Yield every text of a recorded value that is not secret."""
    if is_secret(value):
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from open_texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from open_texts(inner)
    elif value is not None:
        yield str(value)
