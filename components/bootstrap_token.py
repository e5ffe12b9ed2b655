"""A node's bootstrap token, declared closed."""

from __future__ import annotations

import base64

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random


class BootstrapToken(pulumi.ComponentResource):
    """A token of one node, with its Secret that says it may not be used.

    It is opened when its node joins and closed again, by membership/: what is declared here is the
    state between joins, so a token that a crash left open shows as drift, and the next update with
    refresh closes it. A Secret with a time to live was tried and rejected: once the cluster had
    removed it, an update found nothing to do, and late nodes found dead tokens.

    Source: https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
    """

    id: pulumi.Output[str]
    secret: pulumi.Output[str]

    def __init__(
        self, name: str, generation: int, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the token.

        Args:
            name: the component's name.
            generation: the node's; another one makes a new token.
            opts: the component's options.
        """
        super().__init__("kube-nodes:index:BootstrapToken", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        keepers = {"generation": str(generation)}
        # Never RandomBytes: its resource ID is the value, in plain text.
        token_id = random.RandomString(
            f"{name}-id", length=6, special=False, upper=False, keepers=keepers, opts=child
        )
        token_secret = random.RandomPassword(
            f"{name}-secret", length=16, special=False, upper=False, keepers=keepers, opts=child
        )
        self.id = token_id.result
        self.secret = pulumi.Output.secret(token_secret.result)
        self.object = kubernetes.core.v1.Secret(
            name,
            metadata={
                # The id in the name: a new token is there before the old one goes.
                "name": pulumi.Output.concat("bootstrap-token-", token_id.result),
                "namespace": "kube-system",
                # What membership/ opens, a later update takes back without a conflict.
                "annotations": {"pulumi.com/patchForce": "true"},
            },
            type="bootstrap.kubernetes.io/token",
            data={
                "token-id": token_id.result.apply(_base64),
                "usage-bootstrap-authentication": _base64("false"),
            },
            opts=child,
        )
        self.register_outputs({})


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
