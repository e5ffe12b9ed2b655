"""A whole stack from its settings: providers, what is shared, pools, outputs."""

from __future__ import annotations

import datetime
from collections.abc import Collection
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from kube_nodes.components.commands import DEFAULT_LOCAL_COMMAND
from kube_nodes.components.drain_limit import DrainLimit
from kube_nodes.components.gpu_runtime import GpuRuntime
from kube_nodes.components.node_pool import NodePool, NodePoolArgs
from kube_nodes.components.secrets import Secrets, read_secrets
from kube_nodes.components.shared import Shared, make_shared, read_shared
from kube_nodes.components.static_token import StaticToken, StaticTokenArgs
from kube_nodes.components.unfinished import Refusal, keep_where_unfinished
from kube_nodes.components.worker_node import WorkerNode, WorkerNodeArgs
from kube_nodes.model.certificate_lives import authority_lives
from kube_nodes.model.findings import Level
from kube_nodes.model.nodes import Node
from kube_nodes.model.recorded import Recorded
from kube_nodes.model.requests import ApproveRequest
from kube_nodes.settings import Settings


@dataclass(frozen=True, kw_only=True)
class DeclaredStack:
    """What a stack consists of."""

    nodes: dict[str, WorkerNode]
    """By id."""
    outputs: dict[str, pulumi.Input[object]]
    """By name; the secret ones are marked so."""
    finished: pulumi.Output[None]
    """Fails where not everything succeeded."""


def declare_stack(
    settings: Settings,
    joined: Collection[str] | None = None,
    recorded: Recorded | None = None,
    *,
    local_command: str = DEFAULT_LOCAL_COMMAND,
) -> dict[str, WorkerNode]:
    """Declare every resource of the stack, and its outputs; return the nodes by id.

    Args:
        settings: the stack's configuration.
        joined: the names of the Nodes that have joined, where the cluster was asked: a node that
            is not among them serves nothing yet, and waits for no wave.
        recorded: what the state holds; needed where a node is lost.
        local_command: how membership/ is started.
    """
    declared = declare_resources(
        settings, read_secrets(), joined, recorded, local_command=local_command
    )
    for name, value in declared.outputs.items():
        pulumi.export(name, value)
    return declared.nodes


def declare_resources(
    settings: Settings,
    secrets: Secrets,
    joined: Collection[str] | None,
    recorded: Recorded | None,
    *,
    local_command: str,
    parent: pulumi.Resource | None = None,
    refusal: Refusal = pulumi.RunError,
) -> DeclaredStack:
    """Declare every resource, all below `parent` where there is one; see declare_stack.

    `refusal` makes the error of a run in which something failed.
    """
    cluster = settings.cluster
    provider = kubernetes.Provider(
        "cluster",
        # The operator's own kubeconfig: no admin credential is in the state, and with "" not even
        # its path. The identifier keeps a changed server address from replacing every object.
        kubeconfig="",
        cluster_identifier=cluster.uid,
        # A token's Secret that was left open is closed, not deleted and made again.
        enable_secret_mutable=True,
        # A changed limit of drains too.
        enable_config_map_mutable=True,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    in_cluster = pulumi.ResourceOptions(parent=parent, providers=[provider])
    if settings.shared_stack:
        shared = read_shared(settings, settings.shared_stack, parent)
    else:
        shared = make_shared(settings, secrets.ca_key, in_cluster, local_command)
    gpus = sorted({node.gpu for node in settings.nodes if node.gpu})
    if settings.gpu_runtime_class and gpus:
        # There is one kind, so far.
        GpuRuntime("gpu-runtime", settings.gpu_runtime_class, gpus[0], in_cluster)
    static_token = _static_token(settings, secrets, parent)

    def node_args(node: Node) -> WorkerNodeArgs:
        return WorkerNodeArgs(
            cluster=cluster,
            node=node,
            binaries=settings.binaries_of(node),
            kube_proxy_certificate=shared.certificate,
            kube_proxy_key=shared.key,
            service_check=shared.service_check,
            static_token=static_token,
            ssh_private_key=secrets.ssh_private_key,
            recorded=recorded,
            local_command=local_command,
        )

    # One that is adopted serves already.
    new = {
        node.id
        for node in settings.nodes
        if node.is_worker and joined is not None and node.id not in joined and not node.adopts
    }
    nodes: dict[str, WorkerNode] = {}
    for name, pool in settings.pools.items():
        pool_args = NodePoolArgs(
            nodes={node.id: node_args(node) for node in settings.nodes if node.pool == name},
            cluster=cluster.identity,
            canary=pool.canary,
            batch=pool.batch,
            waits=lambda node_id: node_id not in new,
            local_command=local_command,
        )
        drained = [
            each for each in settings.reachable_nodes if each.pool == name and each.is_worker
        ]
        limit = DrainLimit(name, max(1, pool.max_unavailable.of(len(drained))), in_cluster)
        options = pulumi.ResourceOptions(
            parent=parent, providers=[provider], depends_on=[*shared.before, limit]
        )
        nodes |= NodePool(name, pool_args, options).nodes
    finished = keep_where_unfinished(
        [shared.expires, *(node.answer for node in nodes.values())], refusal
    )
    outputs = _outputs(settings, shared, nodes)
    if static_token:
        outputs["staticTokenCsv"] = static_token.csv
    if not settings.pools:
        outputs |= shared.outputs
    return DeclaredStack(nodes=nodes, outputs=outputs, finished=finished)


def _static_token(
    settings: Settings, secrets: Secrets, parent: pulumi.Resource | None
) -> StaticToken | None:
    """Declare the static token where a node joins with it, or a host is to get its line first."""
    declared = settings.static_token
    if not (settings.static_token_in_use or declared.hosts):
        return None
    return StaticToken(
        "static-token",
        StaticTokenArgs(
            declared=declared,
            owner=f"{pulumi.get_project()}.{pulumi.get_stack()}",
            ssh_private_key=secrets.ssh_private_key,
        ),
        pulumi.ResourceOptions(parent=parent),
    )


def _inventory(settings: Settings, nodes: dict[str, WorkerNode]) -> pulumi.Output[str]:
    """What `membership/run approve` reads: which certificate requests may be approved.

    Nothing in it is secret; it is marked so because every run shows the outputs, and a fleet's
    inventory would fill the screen.
    """
    cluster = settings.cluster.identity
    # Whoever has a lost host is given no certificate.
    workers = {node.id for node in settings.nodes if node.is_worker and not node.lost}
    declared = [node.declared for node_id, node in sorted(nodes.items()) if node_id in workers]
    inventory = pulumi.Output.all(*declared).apply(
        lambda all_: ApproveRequest(cluster=cluster, nodes=tuple(all_)).to_json()
    )
    return pulumi.Output.secret(inventory)


def _authority_expiry(ca_certificate: str) -> str:
    """Say when the first of the CA's certificates ends; warn in time of each, in a preview too."""
    now = datetime.datetime.now(datetime.UTC)
    lives = list(authority_lives(ca_certificate, now))
    for each in lives:
        if each.level is not Level.OK:
            pulumi.log.warn("; ".join(str(finding) for finding in each.findings))
    return min(f"{each.ends:%Y-%m-%dT%H:%M:%SZ}" for each in lives if each.ends)


def _outputs(
    settings: Settings, shared: Shared, nodes: dict[str, WorkerNode]
) -> dict[str, pulumi.Input[object]]:
    """Say what other programs and people need of the stack."""
    cluster = settings.cluster
    return {
        "kubeProxyCertificateExpires": shared.expires,
        "nodes": {
            node_id: {
                "name": node.node_name,
                "pool": node.pool,
                "address": node.address,
                "version": node.version,
                "digest": node.digest,
                "serviceAnswer": node.answer,
            }
            for node_id, node in sorted(nodes.items())
        },
        "caCertificateExpires": _authority_expiry(cluster.ca_certificate),
        # Plain values, that another stack has them before the first node is up.
        "cluster": {"name": cluster.name, "server": cluster.server, "uid": cluster.uid},
        "inventory": _inventory(settings, nodes),
    }
