"""Steps of a node that are kept as they were recorded: its host is lost, or it is held."""

from __future__ import annotations

from collections.abc import Collection

import pulumi

from kube_nodes.components.commands import local_command, remote_command, send_scripts
from kube_nodes.model.nodes import Node
from kube_nodes.model.recorded import Recorded
from kube_nodes.model.requests import JoinRequest, PrepareRequest

# In the order in which they depend on each other; True: over SSH by the engine's own plugin.
_STEPS = {
    "scripts": True,
    "preflight": True,
    "binaries": False,
    "prepare": False,
    "credentials": True,
    "units": True,
    "membership": False,
    "service-check": True,
}
OVER_SSH = ("scripts", "preflight", "binaries", "credentials", "units", "service-check")


def are_recorded(node: Node, recorded: Recorded) -> bool:
    """Tell whether the node has come up once, so that every step of it is recorded."""
    return f"{node.id}-service-check" in recorded.names


def keep_recorded(
    parent: pulumi.Resource,
    node: Node,
    recorded: Recorded,
    steps: Collection[str] = tuple(_STEPS),
    *,
    retain: bool = False,
) -> None:
    """Keep the steps that were recorded.

    Which inputs are given does not count: all of them are ignored, and the recorded ones stay. A
    step that is not recorded is not declared, as its create would want the host.

    Args:
        parent: the node's component.
        node: the node.
        recorded: what the state holds.
        steps: which steps to keep.
        retain: their removal later drops them, and contacts nobody.
    """
    last: list[pulumi.Resource] = []
    for step in filter(steps.__contains__, _STEPS):
        name = f"{node.id}-{step}"
        if name not in recorded.names:
            continue
        options = pulumi.ResourceOptions(
            parent=parent, depends_on=last, retain_on_delete=retain or None, ignore_changes=["*"]
        )
        kept: pulumi.Resource
        if not _STEPS[step]:
            kept = local_command(name, "keep", "", local="exec false", opts=options)
        elif step == "scripts":
            kept = send_scripts(name, node, life="", private_key=None, opts=options)
        else:
            kept = remote_command(
                name,
                node,
                "",
                private_key=None,
                secret_output=step == "credentials",
                opts=options,
            )
        last = [kept]


def hold(
    resource: pulumi.ResourceTransformationArgs,
) -> pulumi.ResourceTransformationResult | None:
    """Keep what a resource was made from, whatever is declared now."""
    if not isinstance(resource.resource, pulumi.CustomResource) or resource.opts.ignore_changes:
        return None
    held = pulumi.ResourceOptions(ignore_changes=["*"])
    opts = pulumi.ResourceOptions.merge(resource.opts, held)
    return pulumi.ResourceTransformationResult(props=resource.props, opts=opts)


def take_away(
    parent: pulumi.Resource, name: str, request: pulumi.Output[JoinRequest], *, local: str
) -> pulumi.Resource:
    """Let prepare and membership know it: the Node goes now, and their deletes do nothing more."""
    prepare = local_command(
        f"{name}-prepare",
        "prepare",
        pulumi.Output.secret(request.apply(_preparing)),
        local=local,
        undo="forget",
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return local_command(
        f"{name}-membership",
        "join",
        pulumi.Output.secret(request.apply(lambda joining: joining.to_json())),
        local=local,
        undo="leave",
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[prepare]),
    )


def _preparing(joining: JoinRequest) -> str:
    request = PrepareRequest(
        cluster=joining.cluster, node=joining.node, token=joining.token, lost=joining.lost
    )
    return request.to_json()
