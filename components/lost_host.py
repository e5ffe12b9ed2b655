"""What is left of a node whose host is lost: nothing of it is ever reached over SSH again."""

from __future__ import annotations

import pulumi

from kube_nodes.components.commands import local_command, remote_command
from kube_nodes.model.nodes import Node
from kube_nodes.model.recorded import Recorded
from kube_nodes.model.requests import JoinRequest, PrepareRequest

_REMOTE = ("preflight", "credentials", "units", "service-check")
_LOCAL = ("binaries",)


def keep_unreached(parent: pulumi.Resource, node: Node, recorded: Recorded) -> None:
    """Keep the steps over SSH that were recorded, so that their removal later drops them.

    Which inputs are given does not count: all of them are ignored, and the recorded ones stay. A
    step that is not recorded is not declared, as its create would want the host.
    """
    for step in (*_REMOTE, *_LOCAL):
        name = f"{node.id}-{step}"
        if name not in recorded.names:
            continue
        options = pulumi.ResourceOptions(parent=parent, retain_on_delete=True, ignore_changes=["*"])
        if step in _LOCAL:
            local_command(name, "deliver", "", local="exec false", opts=options)
        else:
            remote_command(
                name,
                node,
                "",
                private_key=None,
                secret_output=step == "credentials",
                opts=options,
            )


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
