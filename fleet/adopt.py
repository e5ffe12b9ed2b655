"""adopt: which hosts run a kubelet that somebody else set up, and what would change there.

It changes nothing. What is taken over is chosen in the configuration, by `adopt` of the node.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kube_nodes.fleet.cluster_view import ClusterView
from kube_nodes.fleet.preflight import read_answer
from kube_nodes.fleet.ssh import Answer, run_on_all
from kube_nodes.fleet.stack import place_of, read_stack
from kube_nodes.fleet.verify import look_at_cluster, why_no_facts
from kube_nodes.membership.adoption import adoption_faults
from kube_nodes.membership.nodes import is_ours
from kube_nodes.model.adoption import Difference, differences, read_set_up
from kube_nodes.model.component_settings import KUBE_PROXY, KUBELET
from kube_nodes.model.findings import Finding, Level
from kube_nodes.model.host_facts import HostFacts, parse_host_facts
from kube_nodes.model.nodes import Node
from kube_nodes.model.requests import DeclaredNode
from kube_nodes.render.adoption import declared_set_ups, render_adoption_script
from kube_nodes.render.host_files import render_node_preflight
from kube_nodes.render.shell import inlined
from kube_nodes.settings import Settings

DESCRIPTION = "show what would change on hosts whose kubelet somebody else set up; changes nothing"
_KINDS = {"kubelet": KUBELET, "kube-proxy": KUBE_PROXY}


class State(StrEnum):
    """What can be done with a host."""

    OURS = "ours already"
    NOTHING = "nothing to adopt"
    READY = "can be adopted"
    REFUSED = "cannot be adopted"
    UNREACHED = "not looked at"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One host."""

    node: str
    state: State
    runs: str = ""
    """What runs there, in words."""
    declared: bool = False
    """`adopt` is set."""
    findings: tuple[Finding, ...] = ()
    """What keeps it from being adopted, and notes."""
    differences: tuple[Difference, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Look and print; 1 where a host cannot be adopted, or was not looked at."""
    stack = read_stack(options.stack)
    seen = look(stack.settings, stack.ssh_private_key)
    if options.json:
        print(json.dumps(to_json(seen), indent=2))
    else:
        show(seen, stack.settings.nodes)
    return int(any(each.state in (State.REFUSED, State.UNREACHED) for each in seen))


def look(settings: Settings, private_key: str | None) -> list[Candidate]:
    """Look at all hosts and at the cluster, as if every node were to be adopted."""
    nodes = [_adopting(node) for node in settings.reachable_nodes if node.is_worker]
    view, unseen = look_at_cluster(settings)
    looks = run_on_all(nodes, lambda _: render_adoption_script(), private_key=private_key)
    checks = run_on_all(
        nodes,
        lambda node: inlined(
            render_node_preflight(settings.cluster, node, settings.binaries_of(node))
        ),
        private_key=private_key,
        sftp=True,
    )
    wanted = {node.id for node in settings.nodes if node.adopts}
    found = (
        judge(settings, node, answer, [*unseen, *read_answer(check)], view)
        for node, answer, check in zip(nodes, looks, checks, strict=True)
    )
    return [replace(each, declared=each.node in wanted) for each in found]


def _adopting(node: Node) -> Node:
    return replace(node, options=node.options.model_copy(update={"adopt": True}))


def judge(
    settings: Settings,
    node: Node,
    answer: Answer,
    checks: Sequence[Finding],
    view: ClusterView | None,
) -> Candidate:
    """Say what can be done with a host.

    Args:
        settings: the stack's.
        node: as it is declared.
        answer: what its host told of what runs there.
        checks: what preflight found.
        view: the cluster; None: it was not looked at, and checks say why.
    """
    silent = why_no_facts(answer)
    if silent:
        return Candidate(node=node.id, state=State.UNREACHED, findings=(silent,))
    facts = parse_host_facts(answer.stdout)
    if facts.texts.get("generation"):
        return Candidate(node=node.id, state=State.OURS)
    if "kubelet" not in facts.arguments:
        return Candidate(node=node.id, state=State.NOTHING)
    declared = declared_set_ups(settings.cluster, node)
    found = [*checks, *(_node_findings(node, view, facts) if view else ())]
    refused = any(each.level is Level.FAILED for each in found)
    return Candidate(
        node=node.id,
        state=State.REFUSED if refused else State.READY,
        runs=_words(facts),
        findings=tuple(found),
        differences=tuple(
            difference
            for name, kind in _KINDS.items()
            for difference in differences(kind, name, read_set_up(facts, name), declared[name])
        ),
    )


def _node_findings(node: Node, view: ClusterView, facts: HostFacts) -> Iterator[Finding]:
    there = view.nodes.get(node.id)
    texts = ["the cluster has no Node of this name; restart the kubelet"]
    if there is not None and not is_ours(dict(there)):
        wanted = DeclaredNode(
            id=node.id,
            name=node.id,
            addresses=(node.node_ip, node.address),
            version=str(node.kubelet_version),
        )
        texts = list(adoption_faults(dict(there), wanted, facts.texts.get("machine", "")))
    elif there is not None:
        texts = []
    for text in texts:
        value, _, remedy = text.partition("; ")
        yield Finding(node=node.id, what="Node", level=Level.FAILED, value=value, remedy=remedy)


def _words(facts: HostFacts) -> str:
    """Say what runs on a host."""
    words = []
    for name in _KINDS:
        version = facts.texts.get(f"version-{name}", "").removeprefix("Kubernetes ")
        if name in facts.arguments:
            words.append(f"{name} {version}: {facts.units[name].get('FragmentPath')}")
        elif name in facts.strangers:
            words.append(f"{name}: not of a unit")
        else:
            words.append(f"no {name}")
    return "\n".join(words)


def to_json(seen: Sequence[Candidate]) -> dict[str, object]:
    """Give everything for a program."""
    return {
        "nodes": {
            each.node: {
                "state": each.state,
                "declared": each.declared,
                "runs": each.runs.splitlines(),
                "findings": [str(finding) for finding in each.findings],
                "differences": {diff.what: diff.diff for diff in each.differences},
            }
            for each in seen
        }
    }


def show(seen: Sequence[Candidate], nodes: Sequence[Node], console: Console | None = None) -> None:
    """Print a table of the hosts, what is in the way, and each difference once."""
    console = console or Console(soft_wrap=True)
    table = Table("NODE", "RUNS THERE", "RESULT", "DIFFERENCES")
    for each in seen:
        table.add_row(each.node, each.runs or "-", each.state, str(len(each.differences) or "-"))
    console.print(table)
    for each in seen:
        for finding in each.findings:
            named = replace(finding, node=each.node)
            console.print(Text(f"{named.level}: {named}"), highlight=False)
    groups: dict[Difference, list[str]] = {}
    for each in seen:
        for difference in each.differences:
            groups.setdefault(difference, []).append(each.node)
    for difference, names in groups.items():
        console.print(Text(f"{', '.join(names)}: ", "bold").append(difference.what, ""))
        for line in difference.diff:
            style = {"-": "red", "+": "green"}.get(line[:1], "")
            console.print(Text(f"    {line}", style), highlight=False)
    for line in _next_steps(seen, nodes):
        console.print(line, highlight=False, markup=False)


def _next_steps(seen: Sequence[Candidate], nodes: Sequence[Node]) -> Iterator[str]:
    pools = {node.id: node.pool for node in nodes}
    for each in seen:
        if each.state is not State.READY:
            continue
        if each.declared:
            yield f"{each.node}: adopt is set; preview, and run up"
        else:
            place = f"{place_of(pools[each.node], each.node)}.options.adopt"
            yield f"{each.node}: to adopt it: pulumi config set --path '{place}' true"
