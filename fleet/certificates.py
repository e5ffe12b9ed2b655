"""certificates: when every certificate of a stack ends, soonest first; read-only."""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kube_nodes.fleet.report import STYLES
from kube_nodes.fleet.ssh import Answer, run_on_all
from kube_nodes.fleet.stack import Stack, read_stack
from kube_nodes.fleet.verify import TIMEOUT_SECONDS, why_no_facts
from kube_nodes.model.certificate_lives import (
    CertificateLife,
    authority_lives,
    ending_within,
    host_lives,
    issued_life,
    sort_lives,
)
from kube_nodes.model.drift import is_new
from kube_nodes.model.expectation import Expectation, ExpectedNetwork
from kube_nodes.model.findings import Level
from kube_nodes.model.host_facts import parse_host_facts
from kube_nodes.render.expectation import expect_node
from kube_nodes.render.inspection import render_inspection_script

DESCRIPTION = "show when every certificate ends, soonest first; changes nothing"
_OUTPUT = "kubeProxyCertificateExpires"
_NEW = "not joined yet: it has no certificate"
_MOST_NAMES = 4


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen."""

    lives: Sequence[CertificateLife]
    silent: Mapping[str, str]
    """By node: why its host told nothing."""
    new: Sequence[str] = ()
    """Nodes that have not joined."""

    @property
    def failed(self) -> bool:
        """Whether something has to be done, or could not be looked at."""
        return bool(self.silent) or any(each.level is Level.FAILED for each in self.lives)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--days",
        type=int,
        default=0,
        help="fail also for what ends within so many days, and nothing renews by itself",
    )


def run(options: argparse.Namespace) -> int:
    """Look, and print; 1 where something is over, ends too soon, or could not be looked at."""
    stack = read_stack(options.stack)
    now = datetime.datetime.now(datetime.UTC)
    seen = look(stack, now)
    seen = replace(seen, lives=tuple(ending_within(seen.lives, options.days, now)))
    if options.json:
        print(json.dumps(to_json(seen, now), indent=2))
    else:
        show(seen, now)
    return int(seen.failed)


def look(stack: Stack, now: datetime.datetime) -> Look:
    """Look at the stack's own certificates and at those of all hosts, all at once."""
    settings = stack.settings
    expected = {
        node.id: certificates_alone(expect_node(settings.cluster, node, settings.binaries_of(node)))
        for node in settings.reachable_nodes
    }
    answers = run_on_all(
        settings.reachable_nodes,
        lambda node: render_inspection_script(expected[node.id]),
        private_key=stack.ssh_private_key,
        timeout_seconds=TIMEOUT_SECONDS,
    )
    lives = list(authority_lives(settings.cluster.ca_certificate, now))
    if expires := stack.outputs(secrets=False).get(_OUTPUT):
        lives.append(issued_life(str(expires), now))
    return judge(lives, expected, answers, now)


def judge(
    lives: Sequence[CertificateLife],
    expected: Mapping[str, Expectation],
    answers: Sequence[Answer],
    now: datetime.datetime,
) -> Look:
    """Put the stack's own and what the hosts told together.

    Args:
        lives: the stack's own.
        expected: each node as it is declared.
        answers: what its host told.
        now: the time to compare with.
    """
    found, silent, new = list(lives), {}, []
    for answer in answers:
        if why := why_no_facts(answer):
            silent[answer.node] = str(why)
            continue
        facts = parse_host_facts(answer.stdout)
        if not facts.complete:
            silent[answer.node] = "host: what it told is cut short; run again"
        elif is_new(facts, None):
            new.append(answer.node)
        else:
            found += host_lives(expected[answer.node], facts, now)
    return Look(lives=sort_lives(found), silent=silent, new=new)


def certificates_alone(expected: Expectation) -> Expectation:
    """Leave out what has no certificate, so that the look at a host is a short one."""
    paths = {each.path for each in expected.certificates}
    return replace(
        expected,
        files=(),
        sysctls=(),
        programs={},
        units=(),
        proxy_mode_url="",
        network=ExpectedNetwork(),
        kubeconfigs=tuple(each for each in expected.kubeconfigs if each.path in paths),
    )


def to_json(seen: Look, now: datetime.datetime) -> dict[str, object]:
    """Give everything for a program."""
    return {
        "failed": seen.failed,
        "notLookedAt": dict(seen.silent),
        "notJoined": list(seen.new),
        "certificates": [
            {
                "nodes": list(each.nodes),
                "certificate": each.name,
                "issuer": each.issuer,
                "ends": f"{each.ends:%Y-%m-%dT%H:%M:%SZ}" if each.ends else "",
                "daysLeft": each.days_left(now),
                "renewal": each.renewal,
                "level": each.level,
                "says": [str(finding) for finding in each.findings],
            }
            for each in seen.lives
        ],
    }


def show(seen: Look, now: datetime.datetime, console: Console | None = None) -> None:
    """Print a table, and a line for each that is not well or was not looked at."""
    console = console or Console(soft_wrap=True)
    table = Table("ENDS", "LEFT", "CERTIFICATE", "NODES", "ISSUED BY", "RENEWED BY")
    for each in seen.lives:
        ends = f"{each.ends:%Y-%m-%d %H:%M}" if each.ends else "-"
        cells = (ends, _left(each, now), each.name, _names(each.nodes), each.issuer or "-")
        style = STYLES[each.level] if each.level is not Level.OK else ""
        table.add_row(*(Text(cell, style) for cell in (*cells, each.renewal)))
    console.print(table)
    for each in seen.lives:
        for finding in each.findings:
            if finding.level is not Level.OK:
                line = Text(f"{finding.level:11} ", STYLES[finding.level])
                console.print(line.append(str(finding), ""), highlight=False)
    for node, why in seen.silent.items():
        console.print(Text(f"not looked at: {node}: {why}"), highlight=False)
    for node in seen.new:
        console.print(Text(f"{node}: {_NEW}"), highlight=False)


def _left(life: CertificateLife, now: datetime.datetime) -> str:
    if life.ends is None:
        return "-"
    if now >= life.ends:
        return "over"
    left = life.ends - now
    return f"{left.days} d" if left.days else f"{left.seconds // 60} min"


def _names(nodes: Sequence[str]) -> str:
    more = f" and {len(nodes) - _MOST_NAMES} more" if len(nodes) > _MOST_NAMES else ""
    return ", ".join(nodes[:_MOST_NAMES]) + more if nodes else "(stack)"
