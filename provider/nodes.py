"""The component package's provider: it declares a whole stack below one component.

Programs in any language of Pulumi's register `kube-nodes:index:Nodes`; the engine then asks this
provider to construct it (docs/other-programs.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.provider import ConstructResult, Provider

from kube_nodes import __version__
from kube_nodes.components.commands import INSTALLED_LOCAL_COMMAND
from kube_nodes.components.secrets import Secrets, read_secrets
from kube_nodes.components.stack import declare_resources
from kube_nodes.program import REFUSALS, check
from kube_nodes.provider.schema import (
    CONFIGURED_NODES,
    LOCAL_COMMAND,
    NODES,
    render_schema,
)
from kube_nodes.settings import SECRET_KEYS, Settings, parse_settings, read_settings

Inputs = Mapping[str, Any]


class Nodes(pulumi.ComponentResource):
    """All that a stack of kube-nodes declares, below one component."""

    def __init__(
        self,
        kind: str,
        name: str,
        settings: Settings,
        secrets: Secrets,
        *,
        local_command: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make sure of what can be known, and declare.

        Args:
            kind: which of the package's components it is.
            name: its name.
            settings: what the stack is made from.
            secrets: what is set of them.
            local_command: how membership/ is started, the same on every operator's machine.
            opts: what the program gave.
        """
        joined, recorded = check(settings, has_ssh_key=bool(secrets.ssh_private_key))
        super().__init__(kind, name, None, opts)
        declared = declare_resources(
            settings,
            secrets,
            joined,
            recorded,
            local_command=local_command,
            parent=self,
            refusal=_refusal,
        )
        # The program gets its outputs when all is over, or why it is not to go on.
        cluster = pulumi.Output.all(declared.finished, declared.outputs["cluster"])
        self.outputs = declared.outputs | {"cluster": cluster.apply(lambda both: both[1])}
        self.register_outputs(self.outputs)


class NodesProvider(Provider):
    """Constructs the components of the package."""

    def __init__(self) -> None:
        """Know the schema, which the engine and SDKs ask for."""
        super().__init__(__version__, render_schema())

    def construct(
        self,
        name: str,
        resource_type: str,
        inputs: Inputs,
        options: pulumi.ResourceOptions | None = None,
    ) -> ConstructResult:
        """Construct a component.

        Raises:
            InputPropertiesError: with every fault of the configuration, or why the run ends here.
        """
        try:
            settings, secrets = _read(resource_type, inputs)
            local_command = str(inputs.get(LOCAL_COMMAND, INSTALLED_LOCAL_COMMAND))
            nodes = Nodes(
                resource_type,
                name,
                settings,
                secrets,
                local_command=local_command,
                opts=options,
            )
        except REFUSALS as error:
            # Of one that is not of its own kinds the SDK prints the traceback, too.
            raise _refusal(str(error)) from None
        return ConstructResult(nodes.urn, nodes.outputs)


def _read(resource_type: str, inputs: Inputs) -> tuple[Settings, Secrets]:
    if resource_type == CONFIGURED_NODES:
        return read_settings(), read_secrets()
    if resource_type != NODES:
        raise _refusal(f"{resource_type}: there is no such component")
    return read_inputs(inputs)


def read_inputs(inputs: Inputs) -> tuple[Settings, Secrets]:
    """Check a configuration that is given as inputs.

    Args:
        inputs: as the SDK gives them: a secret, or what depends on a resource, is an output.

    Raises:
        ConfigurationError: with every fault that can be seen without the secrets.
        InputPropertiesError: a secret is given in the open, or something else as an output,
            which a preview may not know.
    """
    given = {key: inputs[key] for key in SECRET_KEYS if inputs.get(key)}
    for key, value in given.items():
        if not isinstance(value, pulumi.Output):
            raise _refusal(f"{key}: is given in the open; make it a secret")
    values = {
        key: _plain(key, value)
        for key, value in inputs.items()
        if key not in (*SECRET_KEYS, LOCAL_COMMAND)
    }
    settings = parse_settings(values, unread=given.keys())

    def checked(known: dict[str, str]) -> dict[str, str]:
        parse_settings(values, known)
        return known

    all_: pulumi.Output[dict[str, str]] = pulumi.Output.all(**given).apply(checked)

    def secret(key: str) -> pulumi.Output[str] | None:
        return all_.apply(lambda known: known[key]) if key in given else None

    return settings, Secrets(ca_key=secret("caKey"), ssh_private_key=secret("sshPrivateKey"))


def _plain(key: str, value: Any) -> Any:
    """Give a value as JSON has it; the wire has one kind of number."""
    if isinstance(value, pulumi.Output):
        raise _refusal(
            f"{key}: is secret, or an output of a resource; give plain values, which previews know"
        )
    if isinstance(value, Mapping):
        return {each: _plain(f"{key}.{each}", inner) for each, inner in value.items()}
    if isinstance(value, list):
        return [_plain(f"{key}[{place}]", inner) for place, inner in enumerate(value)]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _refusal(text: str) -> pulumi.InputPropertiesError:
    """Make an error of a text alone: with a property's path the engine would print its value."""
    # Not None: the SDK's server (3.272.0) then ends in an AttributeError of its own.
    return pulumi.InputPropertiesError(text, [])
