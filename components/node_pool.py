"""Nodes that are alike, as one part of the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pulumi

from kube_nodes.components.worker_node import WorkerNode, WorkerNodeArgs
from kube_nodes.model.nodes import Node


class NodePool(pulumi.ComponentResource):
    """The nodes of one pool.

    Attributes:
        nodes: its nodes by id.
    """

    nodes: dict[str, WorkerNode]

    def __init__(
        self,
        name: str,
        nodes: Iterable[Node],
        node_args: Callable[[Node], WorkerNodeArgs],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the pool's nodes; none depends on another.

        Args:
            name: the pool's name.
            nodes: its declared nodes.
            node_args: gives the arguments of a node.
            opts: the component's options.
        """
        super().__init__("kube-nodes:index:NodePool", name, None, opts)
        self.nodes = {
            node.id: WorkerNode(node.id, node_args(node), pulumi.ResourceOptions(parent=self))
            for node in nodes
        }
        self.register_outputs({})
