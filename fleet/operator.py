"""operator: write the manifests with which the Pulumi Kubernetes Operator runs a fleet's stacks."""

from __future__ import annotations

import argparse
from pathlib import Path

from kube_nodes.fleet.errors import FleetError
from kube_nodes.fleet.fleet_file import SHARED, Fleet, FleetStack, read_fleet
from kube_nodes.fleet.operator_settings import OperatorSettings
from kube_nodes.render.operator import OperatorSource, OperatorStack, render_operator
from kube_nodes.settings import NAMESPACE

DESCRIPTION = "write the manifests with which the Pulumi Kubernetes Operator runs the stacks"
OF_A_FLEET = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--output", help="write them into this file (default: print them)")


def run(options: argparse.Namespace) -> int:
    """Render them from the fleet's file alone; nothing is contacted."""
    text = manifests(read_fleet(Path(options.fleet)))
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


def manifests(fleet: Fleet) -> str:
    """Render a fleet's manifests.

    Raises:
        FleetError: the file does not say how the operator is to run it.
    """
    settings = fleet.file.operator
    if settings is None:
        raise FleetError(f"{fleet.path}: operator: is missing; docs/large-fleets.md has an example")
    return render_operator(
        _source(settings, fleet.file.secrets_provider),
        [_stack(fleet, each) for each in fleet.stacks],
    )


def _source(settings: OperatorSettings, secrets_provider: str) -> OperatorSource:
    return OperatorSource(secrets_provider=secrets_provider, **dict(settings))


def _stack(fleet: Fleet, stack: FleetStack) -> OperatorStack:
    signs = stack.label == SHARED and stack.settings.kube_proxy_certificate.issuer == "ca"
    secret_keys = {"caKey"} if signs else set()
    if stack.label != SHARED:
        secret_keys.add("sshPrivateKey")  # there is no agent in a workspace
    return OperatorStack(
        name=stack.name,
        full_name=stack.reference,
        config=stack.config,
        secret_keys={f"{NAMESPACE}:{key}": key for key in secret_keys},
        after="" if stack.label == SHARED else fleet.shared.name,
    )
