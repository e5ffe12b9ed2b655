"""Compare every host and Node of a stack with what is declared; read-only."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Iterator

from kube_nodes.fleet.cluster_view import ClusterView, expect_network, read_cluster
from kube_nodes.fleet.report import report
from kube_nodes.fleet.ssh import Answer, run_on_all
from kube_nodes.fleet.stack import read_stack
from kube_nodes.membership.api import ApiError, UnreachableError
from kube_nodes.membership.connection import ConnectionConfigError
from kube_nodes.membership.errors import MembershipError
from kube_nodes.model.check import failed, of_node, unchecked
from kube_nodes.model.expectation import Expectation
from kube_nodes.model.findings import Finding
from kube_nodes.model.host_facts import HostFacts, parse_host_facts
from kube_nodes.model.network_checks import judge_pods
from kube_nodes.model.verification import verify_host, verify_node
from kube_nodes.render.expectation import expect_node
from kube_nodes.render.inspection import render_inspection_script
from kube_nodes.settings import Settings

# A look takes two seconds; a host that is busy may take its time.
TIMEOUT_SECONDS = 120
# timeout(1) says so of a script that it ended.
_OUT_OF_TIME = 124
DESCRIPTION = "compare every host and Node with what is declared; changes nothing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--all", action="store_true", help="show also what is well")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Verify a stack; return 1 where something has to be mended."""
    stack = read_stack(options.stack)
    settings = stack.settings
    view, found = look_at_cluster(settings)
    expected = {
        node.id: expect_node(
            settings.cluster,
            node,
            settings.binaries_of(node),
            expect_network(settings, view, node) if view else None,
        )
        for node in settings.reachable_nodes
    }
    answers = run_on_all(
        settings.reachable_nodes,
        lambda node: render_inspection_script(expected[node.id]),
        private_key=stack.ssh_private_key,
        timeout_seconds=TIMEOUT_SECONDS,
    )
    for answer in answers:
        found += _verify(expected[answer.node], answer, view)
    return report(list(expected), found, as_json=options.json, show_all=options.all)


def look_at_cluster(settings: Settings) -> tuple[ClusterView | None, list[Finding]]:
    """Read the cluster; without it the hosts are looked at all the same."""
    try:
        return read_cluster(settings), []
    except (MembershipError, ApiError, UnreachableError, ConnectionConfigError) as error:
        rule = "Nodes and Services are read from it"
        remedy = "see that KUBECONFIG is right and the API server runs"
        return None, [failed("API server", str(error), rule, remedy)]


def why_no_facts(answer: Answer) -> Finding | None:
    """Say why a host has told nothing; None: it has."""
    if answer.error:
        return failed("SSH", answer.error, "the host is looked at over SSH", "")
    if answer.status == _OUT_OF_TIME:
        rule = f"it has {TIMEOUT_SECONDS} s"
        return failed("host", "the look at it took too long", rule, "see what it does")
    if answer.status:
        said = answer.stderr.strip() or f"exit status {answer.status}"
        rule, remedy = "the script runs as root", "see the login's `sudo -n`, and /run there"
        return failed("host", said, rule, remedy)
    return None


def _verify(expected: Expectation, answer: Answer, view: ClusterView | None) -> Iterator[Finding]:
    facts = HostFacts()
    if silent := why_no_facts(answer):
        yield from of_node(answer.node, [silent])
    else:
        facts = parse_host_facts(answer.stdout)
        yield from verify_host(expected, facts, datetime.datetime.now(datetime.UTC))
    if expected.node is None:
        return
    if view is None:
        yield from of_node(expected.id, [unchecked("Node", "the API server did not tell")])
        return
    yield from verify_node(expected, view.nodes.get(expected.id), facts.texts.get("machine", ""))
    if view.pods is not None:
        yield from of_node(expected.id, judge_pods(view.pods.get(expected.id, ())))
