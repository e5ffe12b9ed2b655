"""How many nodes of a pool are drained at once, held in the cluster."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

from kube_nodes.model.drain_limit import KEY, NAMESPACE, config_map_name


class DrainLimit(pulumi.ComponentResource):
    """A ConfigMap that every drain of the pool reads.

    Not an input of the nodes: a delete gets those of the last run, so a changed limit would reach
    no removal, and would run prepare and membership of every node again. Its nodes depend on it,
    so that in a destroy it outlives their drains. The provider needs `enable_config_map_mutable`.
    """

    def __init__(self, pool: str, nodes: int, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare it.

        Args:
            pool: the pool's name, which is one pool's in the whole cluster.
            nodes: how many of its nodes may be drained at once.
            opts: the component's options.
        """
        super().__init__("kube-nodes:index:DrainLimit", pool, None, opts)
        kubernetes.core.v1.ConfigMap(
            f"{pool}-drain-limit",
            metadata={"name": config_map_name(pool), "namespace": NAMESPACE},
            data={KEY: str(nodes)},
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
