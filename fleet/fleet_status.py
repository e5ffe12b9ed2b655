"""fleet-status: how the nodes of all stacks of a fleet are; the cluster is read once for all."""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kube_nodes.fleet.errors import FleetError
from kube_nodes.fleet.fleet_file import Fleet, read_fleet
from kube_nodes.fleet.node_status import judge
from kube_nodes.fleet.stack import run_pulumi
from kube_nodes.fleet.status import ClusterView, Status, parse_time, read_cluster, to_json

DESCRIPTION = "show how the nodes of all stacks of a fleet are; contacts no host"
OF_A_FLEET = True
_SHOWN = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Look once and print; the worst of the stacks' exit statuses."""
    fleet = read_fleet(Path(options.fleet))
    seen = read_cluster(fleet.shared.settings.cluster.identity)
    updates = _last_updates()
    statuses = look(fleet, seen, _certificate_expires(fleet))
    if options.json:
        print(json.dumps(fleet_json(fleet, statuses, updates), indent=2))
    else:
        console = Console(soft_wrap=True)
        console.print(render(statuses, updates))
        for line in _lines(fleet, statuses):
            console.print(line, highlight=False)
    return max(each.exit_status for each in statuses)


def look(
    fleet: Fleet, seen: ClusterView, certificate_expires: datetime.datetime | None
) -> list[Status]:
    """Judge every stack by one look at the cluster, the shared one, which has no nodes, first."""
    return [
        Status(
            stack=stack.name,
            nodes=tuple(judge(stack.settings, seen.nodes, seen.now)),
            certificate_expires=certificate_expires,
            now=seen.now,
            error=seen.error,
        )
        for stack in fleet.stacks
    ]


def _certificate_expires(fleet: Fleet) -> datetime.datetime | None:
    """Read it from the shared stack; None where that was never up."""
    try:
        text = run_pulumi("stack", "output", "--json", "--stack", fleet.shared.reference)
    except FleetError:
        return None
    return parse_time(json.loads(text or "{}").get("kubeProxyCertificateExpires"))


def _last_updates() -> dict[str, Mapping[str, Any]]:
    """Read what the backend knows of each stack."""
    listed = json.loads(run_pulumi("stack", "ls", "--json"))
    return {str(each["name"]).rpartition("/")[2]: each for each in listed}


def render(statuses: Sequence[Status], updates: Mapping[str, Mapping[str, Any]]) -> Table:
    """Make the table, a line a stack."""
    table = Table("STACK", "NODES", "WELL", "HELD", "LOST", "LAST UP", "NOTES")
    for status in statuses:
        ill = [f"{each.id}: {', '.join(each.notes)}" for each in status.nodes if not each.is_well]
        more = [f"and {len(ill) - _SHOWN} more"] if len(ill) > _SHOWN else []
        well = sum(each.is_well for each in status.nodes)
        table.add_row(
            status.stack,
            str(len(status.nodes)),
            Text(str(well), "green" if well == len(status.nodes) else "bold red"),
            *(str(sum(word in each.notes for each in status.nodes)) for word in ("held", "lost")),
            _last_up(updates.get(status.stack)),
            Text("; ".join([*ill[:_SHOWN], *more]), "yellow"),
        )
    return table


def _last_up(known: Mapping[str, Any] | None) -> str:
    if known is None:
        return "no such stack yet"
    if known.get("updateInProgress"):
        return "runs now"
    # A stack has a time from its making on.
    time = str(known.get("lastUpdate") or "")[:19].replace("T", " ")
    return time if known.get("resourceCount") else "never"


def _lines(fleet: Fleet, statuses: Sequence[Status]) -> list[Text]:
    nodes = [each for status in statuses for each in status.nodes]
    well, now = sum(each.is_well for each in nodes), statuses[0].now
    text = f"{fleet.file.name} at {now:%H:%M:%S} UTC: {len(nodes)} nodes, {well} well"
    lines = [Text(text)]
    days = statuses[0].days_left
    if days is not None:
        lines.append(Text(f"kube-proxy's certificate: {days} days left"))
    if statuses[0].error:
        lines.append(Text(f"the cluster does not tell: {statuses[0].error}", "bold red"))
    return lines


def fleet_json(
    fleet: Fleet, statuses: Sequence[Status], updates: Mapping[str, Mapping[str, Any]]
) -> dict[str, object]:
    """Give everything for a program: a document of `status` for each stack."""
    return {
        "fleet": fleet.file.name,
        "well": all(each.exit_status == 0 for each in statuses),
        "error": statuses[0].error,
        "stacks": {
            status.stack: {
                **to_json(status),
                "lastUpdate": (updates.get(status.stack) or {}).get("lastUpdate"),
            }
            for status in statuses
        },
    }
