"""The nodes that a stack declares: as written in its configuration, and as resolved from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from kube_nodes.model.addresses import check_host_address
from kube_nodes.model.declaration import Declaration
from kube_nodes.model.host_keys import check_host_key
from kube_nodes.model.labels import GPU_LABEL
from kube_nodes.model.options import NodeOptions, Role, SshOptions, merge_options
from kube_nodes.model.share import NodeShare, PositiveNodeShare, Share
from kube_nodes.model.values import check_dns_label
from kube_nodes.model.versions import KubernetesVersion

HostAddress = Annotated[str, AfterValidator(check_host_address)]


_LARGEST_COUNTER = 1_000_000


def _counter(value: int) -> int:
    if value < 0:
        raise ValueError("is negative; give 0 or more, and only ever raise it")
    if value > _LARGEST_COUNTER:
        raise ValueError(f"is out of range; give at most {_LARGEST_COUNTER}")
    return value


class NodeDeclaration(Declaration):
    """One host, as the configuration declares it."""

    address: HostAddress = Field(description="IP address of the host, for SSH and as the node IP.")
    host_key: Annotated[str, AfterValidator(check_host_key)] = Field(
        description="The host's SSH public key, as in /etc/ssh/ssh_host_ed25519_key.pub."
    )
    node_ip: HostAddress | None = Field(
        None, description="The kubelet's node IP, where it is not `address`."
    )
    generation: Annotated[int, AfterValidator(_counter)] = Field(
        1, description="Raise it to make the node join anew, with a new token and identity."
    )
    reapply: Annotated[int, AfterValidator(_counter)] = Field(
        0, description="Raise it to run the node's steps again although nothing changed."
    )
    held: bool = Field(
        False,
        description="Leave the node as it is: nothing of it changes, and no wave waits for it.",
    )
    lost: bool = Field(
        False,
        description="The host will never be reached again: its Node goes, and removing it from "
        "here needs no SSH.",
    )
    options: NodeOptions = Field(NodeOptions(), description="Options of this node alone.")


class PoolDeclaration(Declaration):
    """Nodes that are alike."""

    canary: NodeShare = Field(
        Share(1),
        description="How many nodes change first, before all others; 0: no canary.",
    )
    batch: PositiveNodeShare = Field(
        Share(25, per_cent=True),
        description="How many nodes change at once after that: a wave begins when the one before "
        "it is up. New nodes do not wait.",
    )
    max_unavailable: PositiveNodeShare = Field(
        Share(1),
        description="How many of the pool's nodes may be drained at once; removing more of them in "
        "one run needs `allowRemovals`.",
    )
    options: NodeOptions = Field(NodeOptions(), description="Options of the pool's nodes.")
    # A node's id names its resources, its Node object and its host: a DNS label serves as all.
    nodes: dict[Annotated[str, AfterValidator(check_dns_label)], NodeDeclaration] = Field(
        description="The pool's nodes by id; the id is the host's name and the Node's name."
    )


@dataclass(frozen=True, kw_only=True)
class Node:
    """One host with its options resolved: all that rendering needs to know of it."""

    id: str
    pool: str
    address: str
    host_key: str
    node_ip: str
    generation: int
    reapply: int
    held: bool = False
    options: NodeOptions
    lost: bool = False

    @property
    def kubelet_version(self) -> KubernetesVersion:
        """Version of its kubelet."""
        return self.options.kubernetes_version

    @property
    def kube_proxy_version(self) -> KubernetesVersion:
        """Version of its kube-proxy."""
        return self.options.kube_proxy_version or self.options.kubernetes_version

    @property
    def is_worker(self) -> bool:
        """Whether a kubelet runs here."""
        return self.options.role is Role.WORKER

    @property
    def uses_static_token(self) -> bool:
        """Whether it joins with the static token."""
        return self.is_worker and self.options.token_mode == "static"  # noqa: S105 (a mode)

    @property
    def adopts(self) -> bool:
        """Whether a kubelet that somebody else set up is taken over."""
        return self.is_worker and self.options.adopt

    @property
    def ssh(self) -> SshOptions:
        """How its host is reached."""
        return self.options.ssh

    @property
    def labels(self) -> dict[str, str]:
        """The declared labels, sorted by key."""
        return {key: value or "" for key, value in sorted(self.options.labels.items())}

    @property
    def gpu(self) -> str | None:
        """The kind of GPU that a RuntimeClass can choose this node for.

        Docker's shim knows no RuntimeClass.
        """
        return self.options.gpu if self.is_worker and not self.options.docker else None

    @property
    def node_labels(self) -> dict[str, str]:
        """The labels of the Node: the declared ones, and ours of its GPU."""
        return self.labels | ({GPU_LABEL: self.gpu} if self.gpu else {})


def resolve_nodes(cluster: NodeOptions, pools: dict[str, PoolDeclaration]) -> Iterator[Node]:
    """Resolve every declared node's options: cluster, then pool, then node."""
    for pool_name, pool in pools.items():
        for node_id, node in pool.nodes.items():
            yield Node(
                id=node_id,
                pool=pool_name,
                address=node.address,
                host_key=node.host_key,
                node_ip=node.node_ip or node.address,
                generation=node.generation,
                reapply=node.reapply,
                # What is held back of a lost node would hold back its end.
                held=node.held and not node.lost,
                lost=node.lost,
                options=merge_options((cluster, pool.options, node.options)),
            )
