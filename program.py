"""The whole program: be sure of everything that can be known beforehand, then declare the stack.

For this project's own `__main__.py`, and for programs of others that have nodes beside other things
(docs/other-programs.md).
"""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import pulumi

from kube_nodes.components.commands import DEFAULT_LOCAL_COMMAND
from kube_nodes.components.recorded import read_recorded
from kube_nodes.components.stack import declare_stack
from kube_nodes.components.worker_node import WorkerNode
from kube_nodes.membership import preflight
from kube_nodes.membership.agent import agent_fault
from kube_nodes.membership.api import ApiError, UnreachableError
from kube_nodes.membership.connection import ConnectionConfigError
from kube_nodes.membership.errors import MembershipError
from kube_nodes.model.recorded import Recorded
from kube_nodes.model.removals import find_removal_faults, find_unused_allowances
from kube_nodes.settings import (
    ConfigurationError,
    Settings,
    read_secret,
    read_settings,
    read_ssh_key,
)


class RefusedError(Exception):
    """The run ends before its first resource; the text says why."""


REFUSALS = (
    RefusedError,
    ConfigurationError,
    MembershipError,
    ApiError,
    UnreachableError,
    ConnectionConfigError,
)
"""The errors whose texts are for the user as they are."""


def run(
    settings: Settings | None = None, *, local_command: str = DEFAULT_LOCAL_COMMAND
) -> dict[str, WorkerNode]:
    """Check what can be checked, and declare the stack; or tell every fault, and exit with 1.

    Args:
        settings: what the stack is made from; None: its configuration, under `kube-nodes:`.
        local_command: how membership/ is started, the same on every operator's machine.

    Returns:
        The nodes by id; what depends on a node's `last` waits until it has come up.
    """
    # On Ctrl-C this program must end at once: the language host would otherwise wait for the calls
    # that are still open, until the engine kills it after five seconds.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return _run(settings or read_settings(), local_command)
    except REFUSALS as error:
        # Not as an exception: a traceback would bury the faults.
        pulumi.log.error(str(error))
        sys.exit(1)


def _run(settings: Settings, local_command: str) -> dict[str, WorkerNode]:
    joined, recorded = check(settings, has_ssh_key=bool(read_secret("sshPrivateKey")))
    return declare_stack(settings, joined, recorded, local_command=local_command)


def check(settings: Settings, *, has_ssh_key: bool) -> tuple[frozenset[str] | None, Recorded]:
    """Be sure of all that can be known before the first resource.

    Returns:
        The names of the Nodes that have joined, None in a preview; and what the state holds.

    Raises:
        Exception: one of REFUSALS.
    """
    # In a preview, too: what would be removed is in the stack's own state.
    recorded = read_recorded()
    _check_removals(settings, recorded)
    joined = None
    if not pulumi.runtime.is_dry_run():
        joined = _read_joined(settings, has_ssh_key)
    elif os.environ.get("KUBE_NODES_DRIFT") == "1":
        _tell_drift(settings)
    return joined, recorded


def _check_removals(settings: Settings, recorded: Recorded) -> None:
    """Refuse a run that would take away more of a pool than it may."""
    allowed = settings.allow_removals
    declared = {node.id: node.pool for node in settings.nodes}
    limits = {name: pool.max_unavailable for name, pool in settings.pools.items()}
    if faults := list(find_removal_faults(recorded, declared, limits, allowed)):
        raise RefusedError(". ".join(faults) + ". Nothing was changed")
    for warning in find_unused_allowances(recorded, declared, allowed):
        pulumi.log.warn(warning)


def _read_joined(settings: Settings, has_ssh_key: bool) -> frozenset[str]:
    """Be sure of the cluster, which a preview works without; name the Nodes that have joined."""
    certificate, cluster = settings.kube_proxy_certificate, settings.cluster
    seen = preflight.check_cluster(
        cluster.identity,
        settings.static_token_in_use,
        client_group=certificate.subject.organization,
        network=cluster.pod_network,
        nodes=[node for node in settings.reachable_nodes if not node.held],
    )
    for warning in seen.warnings:
        pulumi.log.warn(warning)
    # A run that finds nothing to change on a host needs no key: no error.
    if not has_ssh_key and (fault := agent_fault()):
        pulumi.log.warn(f"{fault}. What has to be changed on a host will fail")
    return seen.joined


def _tell_drift(settings: Settings) -> None:
    """Look at the hosts, by choice: no other preview contacts one."""
    from kube_nodes.fleet.drift import lines, look

    # In a thread, since this program runs in an event loop already.
    with ThreadPoolExecutor(max_workers=1) as worker:
        drift = worker.submit(look, settings, read_ssh_key()).result()
    for nodes, words, diff in lines(drift):
        pulumi.log.warn("\n".join((f"drift: {nodes}: {words}", *diff)))
