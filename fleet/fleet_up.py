"""fleet-up: run `pulumi up` on every stack of a fleet, the shared one first."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kube_nodes.fleet.engines import Engines, Outcome, Result, check_limit
from kube_nodes.fleet.fleet_file import Fleet, read_fleet
from kube_nodes.fleet.stack import run_pulumi
from kube_nodes.fleet.stack_files import write_stack_files

DESCRIPTION = "run `pulumi up` on every stack of a fleet: the shared one first, then the pools'"
OF_A_FLEET = True
COMMAND = ("up", "--yes", "--skip-preview")

_STYLES = {Result.OK: "green", Result.NOT_RUN: "yellow"}
# The engine's words, as its summary has them.
_WORDS = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "replace": "replaced",
    "read": "read",
    "refresh": "refreshed",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--limit", type=int, default=4, help="stacks at a time (default: 4)")
    parser.add_argument(
        "--overwrite", action="store_true", help="write over stacks' files changed by hand"
    )


def run(options: argparse.Namespace) -> int:
    """Run all of them; 0 if all went well, 1 if one did not, 130 if they were interrupted."""
    return run_fleet(options, COMMAND)


def run_fleet(options: argparse.Namespace, command: Sequence[str], *, dry: bool = False) -> int:
    """Write the stacks' files and run a command on each stack, the shared one first.

    Args:
        options: `fleet`, `limit` and `overwrite`.
        command: the CLI's words.
        dry: the command changes nothing, so what was never up can't be built upon.
    """
    fleet = read_fleet(Path(options.fleet))
    width = max(len(stack.reference) for stack in fleet.stacks)
    engines = Engines(command=command, limit=check_limit(options.limit), width=width)
    for path in write_stack_files(fleet, overwrite=options.overwrite):
        print(f"{path} was written")
    _make_stacks(fleet)
    outcomes = engines.run([fleet.shared.reference])
    reason = _why_not(outcomes[0], dry)
    pools = [stack.reference for stack in fleet.pools]
    if reason:
        outcomes += [Outcome(stack=each, result=Result.NOT_RUN, reason=reason) for each in pools]
    else:
        outcomes += engines.run(pools)
    Console(soft_wrap=True).print(render(fleet, outcomes))
    if engines.interrupted:
        return 130
    return int(any(each.result is not Result.OK for each in outcomes))


def _make_stacks(fleet: Fleet) -> None:
    """Make the stacks that the backend does not have; tell of those that the file has not."""
    listed = json.loads(run_pulumi("stack", "ls", "--json"))
    there = {str(each["name"]).rpartition("/")[2] for each in listed}
    provider = fleet.file.secrets_provider
    chosen = ("--secrets-provider", provider) if provider else ()
    for stack in fleet.stacks:
        if stack.name not in there:
            run_pulumi("stack", "init", stack.reference, "--no-select", *chosen)
            print(f"{stack.name}: a new stack")
    for name in sorted(there - {stack.name for stack in fleet.stacks}):
        if name.startswith(f"{fleet.file.name}-"):
            print(
                f"{name} is in the backend and not in {fleet.path.name}: it was left alone",
                file=sys.stderr,
            )


def _why_not(shared: Outcome, dry: bool) -> str:
    """Say why the stacks of pools can't be run; empty: they can."""
    if shared.result is not Result.OK:
        return f"{shared.stack} {shared.result}"
    if dry and not json.loads(run_pulumi("stack", "output", "--json", "--stack", shared.stack)):
        return f"{shared.stack} was never up"
    return ""


def render(fleet: Fleet, outcomes: Sequence[Outcome]) -> Table:
    """Make the table of how each run ended."""
    counts = {stack.reference: len(stack.settings.nodes) for stack in fleet.stacks}
    table = Table("STACK", "NODES", "RESULT", "SECONDS", "CHANGES")
    for each in outcomes:
        table.add_row(
            each.stack,
            str(counts[each.stack]),
            Text(each.result, _STYLES.get(each.result, "bold red")),
            f"{each.seconds:.1f}" if each.seconds else "-",
            each.reason or _words(each),
        )
    return table


def _words(outcome: Outcome) -> str:
    counted = [
        f"{count} {_WORDS.get(what, what)}"
        for what, count in sorted(outcome.changes.items())
        if what != "same"
    ]
    if not outcome.changes:
        return "see its lines above"
    return ", ".join(counted) or "nothing"
