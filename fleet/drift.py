"""drift: what is no longer as declared, on every host and in the cluster; read-only.

With `--repair` it raises numbers in the stack's configuration, a diff to review; the next `up` then
runs the steps of those nodes again.
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kube_nodes.fleet.cluster_view import ClusterView
from kube_nodes.fleet.ssh import Answer, run_on_all
from kube_nodes.fleet.stack import Stack, place_of, read_stack, set_values
from kube_nodes.fleet.verify import TIMEOUT_SECONDS, look_at_cluster, why_no_facts
from kube_nodes.model.drift import Difference, host_differences, is_new, node_differences
from kube_nodes.model.expectation import Expectation
from kube_nodes.model.findings import Finding, Level, Repair
from kube_nodes.model.host_facts import HostFacts, parse_host_facts
from kube_nodes.model.nodes import Node
from kube_nodes.render.expectation import expect_node
from kube_nodes.render.inspection import render_inspection_script
from kube_nodes.settings import Settings

DESCRIPTION = "show what was changed on hosts and Nodes since the last up; changes nothing there"
DRIFT = 3
_CONFIGURED = (Repair.REAPPLY, Repair.GENERATION)


class State(StrEnum):
    """What was seen of a node."""

    SAME = "as declared"
    DRIFTED = "drifted"
    NEW = "not joined yet"
    UNREACHED = "not looked at"


@dataclass(frozen=True, kw_only=True)
class NodeDrift:
    """One node, and what of it is other than declared."""

    node: str
    state: State
    differences: tuple[Difference, ...] = ()
    error: str = ""
    """Why its host was not looked at."""
    seconds: float = 0.0
    """What its host took, with the connection."""

    @property
    def repair(self) -> Repair | None:
        """The number to raise; another generation runs all steps, too."""
        found = {each.repair for each in self.differences if each.counts}
        if self.state is not State.DRIFTED or found.isdisjoint(_CONFIGURED):
            return None
        return Repair.GENERATION if Repair.GENERATION in found else Repair.REAPPLY


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen of a stack."""

    nodes: tuple[NodeDrift, ...]
    error: str = ""
    """Why the cluster was not looked at."""

    @property
    def status(self) -> int:
        """The exit status: drift before what could not be looked at."""
        states = {each.state for each in self.nodes}
        if State.DRIFTED in states:
            return DRIFT
        return int(bool(self.error) or State.UNREACHED in states)

    def groups(self) -> list[tuple[Difference, list[str]]]:
        """Give each difference once, with the nodes that have it."""
        groups: dict[Difference, list[str]] = {}
        for each in self.nodes:
            for difference in each.differences:
                alike = replace(difference, finding=replace(difference.finding, node=""))
                groups.setdefault(alike, []).append(each.node)
        return list(groups.items())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--repair",
        action="store_true",
        help="raise reapply (or generation) of the drifted nodes in the stack's configuration",
    )


def run(options: argparse.Namespace) -> int:
    """Look, print, and write the numbers if asked to; 3 where there is drift."""
    stack = read_stack(options.stack)
    seen = look(stack.settings, stack.ssh_private_key)
    raised = raise_numbers(stack, seen) if options.repair else {}
    if options.json:
        print(json.dumps(to_json(seen, raised), indent=2))
    else:
        show(seen)
        _tell_raised(stack.name, raised, asked=options.repair, seen=seen)
    return seen.status


def look(settings: Settings, private_key: str | None) -> Look:
    """Look at the cluster and at all hosts, all at once; changes nothing."""
    view, found = look_at_cluster(settings)
    expected = {
        node.id: expect_node(settings.cluster, node, settings.binaries_of(node))
        for node in settings.reachable_nodes
    }
    answers = run_on_all(
        settings.reachable_nodes,
        lambda node: render_inspection_script(expected[node.id], drift=True),
        private_key=private_key,
        timeout_seconds=TIMEOUT_SECONDS,
    )
    now = datetime.datetime.now(datetime.UTC)
    return Look(
        nodes=tuple(judge(expected[each.node], each, view, now) for each in answers),
        error="; ".join(str(each) for each in found),
    )


def judge(
    expected: Expectation, answer: Answer, view: ClusterView | None, now: datetime.datetime
) -> NodeDrift:
    """Say what is other than declared of one node.

    Args:
        expected: the node as it is declared.
        answer: what its host told.
        view: the cluster; None: it was not looked at.
        now: the time that certificates are compared with.
    """
    node = view.nodes.get(expected.id) if view else None
    silent = why_no_facts(answer)
    facts = HostFacts() if silent else parse_host_facts(answer.stdout)
    if not silent and not facts.complete:
        silent = Finding(
            node="", what="host", level=Level.FAILED, value="what it told is cut short"
        )
    if not silent and is_new(facts, node):
        return NodeDrift(node=expected.id, state=State.NEW, seconds=answer.seconds)
    found: list[Difference] = []
    if not silent:
        found += host_differences(expected, facts, now)
    lost = bool(silent and view and expected.node and node is None)
    if view and not lost:  # with neither host nor Node, nobody knows whether it has joined
        found += node_differences(expected, node, facts.texts.get("machine", ""))
    drifted = any(each.counts for each in found)
    state = State.UNREACHED if silent else State.DRIFTED if drifted else State.SAME
    return NodeDrift(
        node=expected.id,
        state=state,
        differences=tuple(found),
        error=f"{silent}{'; it has no Node either' if lost else ''}" if silent else "",
        seconds=answer.seconds,
    )


def raise_numbers(stack: Stack, seen: Look) -> dict[str, str]:
    """Raise `reapply`, or `generation`, of exactly the drifted nodes; return what was written."""
    nodes: Mapping[str, Node] = {node.id: node for node in stack.settings.nodes}
    values, raised = {}, {}
    for each in seen.nodes:
        if each.repair is None:
            continue
        node = nodes[each.node]
        before = node.generation if each.repair is Repair.GENERATION else node.reapply
        values[f"{place_of(node.pool, node.id)}.{each.repair}"] = str(before + 1)
        raised[node.id] = f"{each.repair} {before} -> {before + 1}"
    if values:
        set_values(stack.name, values)
    return raised


def to_json(seen: Look, raised: Mapping[str, str]) -> dict[str, object]:
    """Give everything for a program."""
    return {
        "drift": seen.status == DRIFT,
        "error": seen.error,
        "nodes": {
            each.node: {
                "state": each.state,
                "error": each.error,
                "seconds": round(each.seconds, 3),
                "differences": len(each.differences),
                "raised": raised.get(each.node, ""),
            }
            for each in seen.nodes
        },
        "differences": [
            {**asdict(difference.finding), "nodes": nodes, "diff": difference.diff}
            for difference, nodes in seen.groups()
        ],
    }


def lines(seen: Look) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Give, for a person, each nodes' names, what there is to say of them, and its diff."""
    if seen.error:
        yield "(cluster)", seen.error, ()
    for each in seen.nodes:
        if each.error:
            yield each.node, f"not looked at: {each.error}", ()
        elif each.state is State.NEW:
            yield each.node, _NEW, ()
    for difference, nodes in seen.groups():
        yield ", ".join(nodes), _words(difference), difference.diff


_NEW = (
    "not joined yet: nothing of it is on its host, and it has no Node; the next up joins it. If it"
    " had joined before, raise its generation"
)


def _words(difference: Difference) -> str:
    """Say a difference in one line, with what repairs it."""
    finding = difference.finding
    if difference.repair in _CONFIGURED and difference.counts:
        finding = replace(finding, remedy=f"repair: {difference.repair}")
    return f"{finding}" if difference.counts else f"note: {finding}"


def show(seen: Look, console: Console | None = None) -> None:
    """Print a table of the nodes that are not as declared, and each difference once."""
    console = console or Console(soft_wrap=True)
    table = Table("NODE", "STATE", "DIFFERENCES")
    for each in seen.nodes:
        if each.state is not State.SAME:
            count = sum(difference.counts for difference in each.differences)
            table.add_row(each.node, each.state, str(count) if count else "-")
    if table.row_count:
        console.print(table)
    for names, words, diff in lines(seen):
        console.print(Text(f"{names}: ", "bold").append(words, ""), highlight=False)
        for line in diff:
            style = {"-": "red", "+": "green"}.get(line[:1], "")
            console.print(Text(f"    {line}", style), highlight=False)
    console.print(_summary(seen), highlight=False)


def _summary(seen: Look) -> str:
    states = [each.state for each in seen.nodes]
    counts = ", ".join(f"{states.count(each)} {each}" for each in State if each in states)
    slowest = max(seen.nodes, key=lambda each: each.seconds, default=None)
    took = f"; the slowest host, {slowest.node}, took {slowest.seconds:.1f} s" if slowest else ""
    return f"{len(seen.nodes)} nodes: {counts or 'none'}{took}"


def _tell_raised(stack: str, raised: Mapping[str, str], *, asked: bool, seen: Look) -> None:
    for node, words in raised.items():
        print(f"{node}: {words}")
    if raised:
        print(f"written into the configuration of {stack}: review it, preview, and run up")
    elif asked:
        print("nothing was written: there is nothing that an up would repair")
    elif any(each.repair for each in seen.nodes):
        print("REPAIR=1 (--repair) raises these numbers in the configuration; up then repairs")
