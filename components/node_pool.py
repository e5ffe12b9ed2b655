"""Nodes that are alike, as one part of the graph: they change in waves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pulumi
import pulumi_command as command

from kube_nodes.components.commands import DEFAULT_LOCAL_COMMAND, local_command
from kube_nodes.components.order import by_urn
from kube_nodes.components.worker_node import WorkerNode, WorkerNodeArgs
from kube_nodes.model.gate_request import GateRequest, WaveNode
from kube_nodes.model.nodes import Node
from kube_nodes.model.requests import Cluster
from kube_nodes.model.share import Share
from kube_nodes.model.waves import plan_waves


@dataclass(frozen=True, kw_only=True)
class NodePoolArgs:
    """What a NodePool is made from."""

    nodes: Mapping[str, WorkerNodeArgs]
    """Its nodes by id."""
    cluster: Cluster
    """The cluster whose Nodes the gates look at."""
    canary: Share
    """How many change first."""
    batch: Share
    """How many change at once after that."""
    waits: Callable[[str], bool] = lambda _: True
    """Whether a node, by its id, waits for the waves before its own, and they for it: one that is
    new serves nothing yet, and does not."""
    local_command: str = DEFAULT_LOCAL_COMMAND
    """How membership/ is started."""


class NodePool(pulumi.ComponentResource):
    """The nodes of one pool.

    Between two waves stands one gate, which depends on the nodes of the first, and on which those
    of the second depend. No gate is an input of a node: other waves change no node.

    Attributes:
        nodes: its nodes by id.
    """

    nodes: dict[str, WorkerNode]

    def __init__(
        self, name: str, args: NodePoolArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the pool's nodes and what stands between its waves; `name` is the pool's."""
        super().__init__("kube-nodes:index:NodePool", name, None, opts)
        self._name, self._args = name, args
        self.nodes = {}
        taking_part = [
            node_id
            for node_id, each in args.nodes.items()
            if not (each.node.held or each.node.lost)
        ]
        self._declare(
            node_id
            for node_id, each in args.nodes.items()
            if node_id not in taking_part and not _is_unknown(each)
        )
        gate: pulumi.Output[pulumi.Resource] | None = None
        before: tuple[str, ...] = ()
        for number, wave in enumerate(plan_waves(taking_part, args.canary, args.batch), 1):
            if before:
                gate = by_urn(self._gate(number, before, wave, gate))
            self._declare(wave, gate)
            before = wave
        self.register_outputs({})

    def _declare(
        self, wave: Iterable[str], gate: pulumi.Output[pulumi.Resource] | None = None
    ) -> None:
        for node_id in wave:
            after = [gate] if gate and self._args.waits(node_id) else []
            options = pulumi.ResourceOptions(parent=self)
            self.nodes[node_id] = WorkerNode(
                node_id, self._args.nodes[node_id], options, after=after
            )

    def _gate(
        self,
        number: int,
        before: tuple[str, ...],
        wave: tuple[str, ...],
        earlier: pulumi.Output[pulumi.Resource] | None,
    ) -> command.local.Command:
        """Stand between a wave and the one before it; run when something behind it changes."""
        name = f"{self._name}-wave-{number}"
        behind = "".join(self._args.nodes[node_id].digest for node_id in wave)
        # kube-proxy's certificate is in none of those texts, and one for all nodes.
        certificate = self._args.nodes[wave[0]].kube_proxy_certificate
        request = pulumi.Output.from_input(certificate).apply(
            lambda pem: GateRequest(
                cluster=self._args.cluster,
                name=name,
                before=tuple(_wave_node(self._args.nodes[node_id].node) for node_id in before),
                digest=hashlib.sha256(f"{behind}{pem}".encode()).hexdigest(),
            ).to_json()
        )
        awaited = [self.nodes[node_id].last for node_id in before if self._args.waits(node_id)]
        return local_command(
            name,
            "gate",
            request,
            local=self._args.local_command,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[*awaited, *([earlier] if earlier else [])]
            ),
        )


def _is_unknown(node_args: WorkerNodeArgs) -> bool:
    """Tell whether a node is held that no run has ever begun with: it is left out altogether."""
    node, recorded = node_args.node, node_args.recorded
    return node.held and recorded is not None and node.id not in recorded.nodes


def _wave_node(node: Node) -> WaveNode:
    version = str(node.options.kubernetes_version)
    return WaveNode(name=node.id, generation=node.generation, version=version)
