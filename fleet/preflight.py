"""preflight: what would keep this stack's hosts from joining, all of it in one look."""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from kube_nodes.fleet.report import report
from kube_nodes.fleet.ssh import Answer, run_on_all
from kube_nodes.fleet.stack import Stack, read_stack
from kube_nodes.membership.api import Api, ApiError, UnreachableError
from kube_nodes.membership.cluster import reach
from kube_nodes.membership.connection import ConnectionConfigError
from kube_nodes.membership.errors import MembershipError
from kube_nodes.membership.machines import REMEDY, reported_machines
from kube_nodes.membership.pod_cidrs import compare_nodes
from kube_nodes.membership.preflight import cluster_faults
from kube_nodes.membership.progress import Progress
from kube_nodes.model.findings import Finding, Level
from kube_nodes.model.machine import Machine, parse_facts
from kube_nodes.model.nodes import Node
from kube_nodes.model.version_skew import find_skews
from kube_nodes.render.host_files import render_node_preflight
from kube_nodes.render.shell import inlined
from kube_nodes.settings import Settings

DESCRIPTION = "look at every host and at the cluster before an up; changes nothing"
_RULE = "one machine is one Node"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(options: argparse.Namespace) -> int:
    """Look, and print what was found."""
    stack = read_stack(options.stack)
    nodes = stack.settings.reachable_nodes
    return report([node.id for node in nodes], look(stack), as_json=options.json)


def look(stack: Stack) -> list[Finding]:
    """Look at the cluster and at all hosts; every finding at once."""
    settings = stack.settings
    answers = run_on_all(
        settings.reachable_nodes,
        lambda node: inlined(
            render_node_preflight(settings.cluster, node, settings.binaries_of(node))
        ),
        private_key=stack.ssh_private_key,
        sftp=True,
    )
    machines = {answer.node: parse_facts(answer.stdout) for answer in answers}
    found = [
        *_cluster(stack, machines),
        *(finding for answer in answers for finding in read_answer(answer)),
        *shared_numbers(machines),
    ]
    for node in settings.reachable_nodes:
        if not any(finding.node == node.id for finding in found):
            found.append(Finding(node=node.id, what="host", level=Level.OK, value="can join"))
    return found


def read_answer(answer: Answer) -> Iterator[Finding]:
    """Turn what a host printed into findings; what is not understood is one, too."""
    if answer.error:
        yield Finding(node=answer.node, what="SSH", level=Level.FAILED, value=answer.error)
        return
    if answer.sftp is False:
        yield Finding(
            node=answer.node,
            what="SFTP",
            level=Level.FAILED,
            value="sshd does not serve it",
            rule="what a node's steps call is sent to its host by SFTP",
            remedy="put `Subsystem sftp internal-sftp` into sshd's configuration, and reload it",
        )
    before = f"{answer.node}: "
    failed = False
    for line in answer.stderr.splitlines():
        text = line.removeprefix(before)
        level = Level.NOTE if text.startswith("note: ") else Level.FAILED
        failed = failed or level is Level.FAILED
        what, _, says = text.removeprefix("note: ").partition(": ")
        value, *more = says.rsplit("; ", 2)
        rule, remedy = (*more, "", "")[:2]
        yield Finding(
            node=answer.node, what=what, level=level, value=value, rule=rule, remedy=remedy
        )
    if answer.status and not failed:
        value = f"ended with status {answer.status} and said nothing"
        yield Finding(node=answer.node, what="script", level=Level.FAILED, value=value)


def shared_numbers(machines: dict[str, Machine]) -> Iterator[Finding]:
    """Find hosts that have a machine-id or product_uuid in common."""
    holders: dict[tuple[str, str], list[str]] = defaultdict(list)
    for node, machine in machines.items():
        holders["machine-id", machine.machine_id].append(node)
        holders["product_uuid", machine.product_uuid].append(node)
    for (what, number), nodes in holders.items():
        if not number or len(nodes) < 2:
            continue
        for node in nodes:
            others = ", ".join(other for other in nodes if other != node)
            yield _twin(node, what, f"{number}, as {others}")


def _twin(node: str, what: str, value: str) -> Finding:
    return Finding(node=node, what=what, level=Level.FAILED, value=value, rule=_RULE, remedy=REMEDY)


def _cluster(stack: Stack, machines: dict[str, Machine]) -> Iterator[Finding]:
    """Look at the cluster: its identity, RBAC, versions, and the machines it knows."""
    try:
        api = reach(stack.settings.cluster.identity, Progress("cluster"))
        settings = stack.settings
        organization = settings.kube_proxy_certificate.subject.organization
        faults = list(cluster_faults(api, settings.static_token_in_use, organization))
        for fault in faults:
            value, _, remedy = fault.partition("; ")
            yield Finding(node="", what="RBAC", level=Level.FAILED, value=value, remedy=remedy)
        yield from _pod_cidrs(api, settings)
        if not faults:
            yield Finding(node="", what="cluster", level=Level.OK, value="is the declared one")
        yield from _skews(api, settings.reachable_nodes)
        yield from _known_machines(api, machines)
    except (MembershipError, ApiError, UnreachableError, ConnectionConfigError) as error:
        text = re.sub(r"[.;] Nothing was changed$", "", str(error))
        yield Finding(node="", what="cluster", level=Level.FAILED, value=text)


def _pod_cidrs(api: Api, settings: Settings) -> Iterator[Finding]:
    """Hold the Nodes' podCIDRs against what is declared."""
    most = {node.id: node.options.max_pods for node in settings.nodes if node.is_worker}
    listed = api.get("/api/v1/nodes", resourceVersion="0")["items"]
    found = compare_nodes(listed, settings.cluster.pod_network, most)
    for level, texts in ((Level.FAILED, found.errors), (Level.NOTE, found.warnings)):
        for text in texts:
            value, _, remedy = text.partition("; ")
            yield Finding(node="", what="pod network", level=level, value=value, remedy=remedy)


def _skews(api: Api, nodes: Sequence[Node]) -> Iterator[Finding]:
    for node, text in find_skews(nodes, api.minor):
        value, _, remedy = text.partition("; ")
        yield Finding(node=node.id, what="version", level=Level.FAILED, value=value, remedy=remedy)


def _known_machines(api: Api, machines: dict[str, Machine]) -> Iterator[Finding]:
    """Find Nodes of the cluster, declared here or not, on a machine of another name."""
    known: Iterable[tuple[str, Machine]] = list(reported_machines(api))
    for node, machine in machines.items():
        for other, theirs in known:
            # Two declared hosts of one number are told of already.
            for what in machine.shared_with(theirs) if other not in (node, *machines) else ():
                name, _, number = what.partition(" ")
                yield _twin(node, name, f"{number}, as the Node {other}")
