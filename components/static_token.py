"""The static token: one for all nodes of the token mode `static`, in the API server's file."""

from __future__ import annotations

from dataclasses import dataclass, field

import pulumi
import pulumi_command as command
import pulumi_random as random

from kube_nodes.components.commands import remote_command
from kube_nodes.model.static_token import ControlPlaneHost, StaticTokenSettings
from kube_nodes.render.static_token import render_token_csv, render_token_file


@dataclass(frozen=True, kw_only=True)
class StaticTokenArgs:
    """What a StaticToken is made from."""

    declared: StaticTokenSettings
    """User, uid and group, and the hosts whose file gets the line."""
    owner: str
    """Whose lines in those files they are; another owner's are left alone."""
    ssh_private_key: pulumi.Input[str] | None = field(default=None, repr=False)
    """SSH key; None: the SSH agent."""


class StaticToken(pulumi.ComponentResource):
    """A token that never expires, and its line in the file of each control-plane host.

    The API server reads that file only when it starts, and starting it is the administrator's: a
    node that is to join before is refused by `prepare`, which says so. Whatever changes the line
    makes a new token, so that an API server that has not read it is known by its 401.

    Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file

    Attributes:
        user: the user that the API server takes its holder for.
        token: the token, secret.
        csv: its line for --token-auth-file, secret.
    """

    user: str
    token: pulumi.Output[str]
    csv: pulumi.Output[str]

    def __init__(
        self, name: str, args: StaticTokenArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the token and its lines."""
        super().__init__("kube-nodes:index:StaticToken", name, None, opts)
        self._name, self._args = name, args
        declared = args.declared
        # Never RandomBytes or RandomId: their resource ID is the value, in plain text.
        secret = random.RandomPassword(
            f"{name}-secret",
            length=32,
            lower=False,
            upper=False,
            numeric=True,
            special=True,
            override_special="abcdef",
            keepers={
                "epoch": str(declared.epoch),
                "user": declared.user,
                "uid": str(declared.uid),
                "group": declared.group,
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.user = declared.user
        self.token = pulumi.Output.secret(secret.result)
        self.csv = self.token.apply(lambda token: render_token_csv(token, declared))
        for host_id, host in sorted(declared.hosts.items()):
            self._write(host_id, host)
        self.register_outputs({})

    def _write(self, host_id: str, host: ControlPlaneHost) -> command.remote.Command:
        args = self._args
        text = self.token.apply(
            lambda token: render_token_file(host_id, args.owner, token, args.declared)
        )
        return remote_command(
            f"{self._name}-file-{host_id}",
            host,
            pulumi.Output.secret(text),
            private_key=args.ssh_private_key,
            at_delete="remove",
            inlined=True,
            shows="stdout",
            opts=pulumi.ResourceOptions(parent=self),
        )
