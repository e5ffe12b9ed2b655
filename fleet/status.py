"""status: how the nodes of a stack are, as a table that can be watched, or as JSON.

The configuration and the outputs of the last `up` are read once, the cluster once a refresh. Hosts
are contacted only where drift is asked for.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kube_nodes.fleet import drift
from kube_nodes.fleet.node_status import NodeStatus, Ready, judge
from kube_nodes.fleet.stack import Stack, read_stack
from kube_nodes.membership.api import Api, ApiError, Object, UnreachableError
from kube_nodes.membership.cluster import reach
from kube_nodes.membership.connection import ConnectionConfigError
from kube_nodes.membership.errors import MembershipError
from kube_nodes.membership.progress import Progress
from kube_nodes.model.requests import Cluster

DESCRIPTION = "show how the nodes are; contacts no host but with --drift"
_NODES = "/api/v1/nodes"
_EVERY_SECONDS = 5.0
# A look at all hosts is more than a read of the API.
_DRIFT_EVERY_SECONDS = 60.0
_WARN_DAYS = 30


@dataclass(frozen=True, kw_only=True)
class Status:
    """A whole stack at one moment."""

    stack: str
    nodes: tuple[NodeStatus, ...]
    certificate_expires: datetime.datetime | None
    """kube-proxy's; None: no `up` has told."""
    now: datetime.datetime
    error: str = ""
    """Why the cluster did not tell."""

    @property
    def exit_status(self) -> int:
        """0: all is well; 1: something is not; 2: the cluster did not tell."""
        return 2 if self.error else int(not all(each.is_well for each in self.nodes))

    @property
    def days_left(self) -> int | None:
        """Whole days that kube-proxy's certificate is valid for; negative: it is over."""
        if self.certificate_expires is None:
            return None
        return (self.certificate_expires - self.now).days


@dataclass(frozen=True, kw_only=True)
class ClusterView:
    """What the cluster says at one moment."""

    nodes: Mapping[str, Object] | None
    """Its Nodes by name; None: it did not tell."""
    now: datetime.datetime
    error: str = ""
    """Why it did not tell."""
    api: Api | None = None
    """The connection, for the next look."""


def read_cluster(cluster: Cluster, api: Api | None = None) -> ClusterView:
    """Read all Nodes with one request, over this connection if there is one."""
    known, error = None, ""
    try:
        api = api or reach(cluster, Progress("cluster"))
        # From the API server's cache: the table may be watched by many.
        listed = api.get(_NODES, resourceVersion="0")["items"]
        known = {each["metadata"]["name"]: each for each in listed}
    except (MembershipError, ApiError, UnreachableError, ConnectionConfigError) as failure:
        error = str(failure).removesuffix(". Nothing was changed")
    now = api.now() if api else datetime.datetime.now(datetime.UTC)
    return ClusterView(nodes=known, now=now, error=error, api=api)


@dataclass
class Looker:
    """Reads the cluster again and again, over one connection."""

    stack: Stack
    outputs: Mapping[str, Any]
    with_drift: bool = False
    _api: Api | None = None
    _drift: dict[str, str] = field(default_factory=dict)
    _drift_at: float | None = None

    def look(self) -> Status:
        """Read the cluster once."""
        seen = read_cluster(self.stack.settings.cluster.identity, self._api)
        self._api = seen.api
        found = judge(self.stack.settings, seen.nodes, seen.now)
        if self.with_drift:
            self._look_for_drift()
        return Status(
            stack=self.stack.name,
            nodes=tuple(replace(each, drift=self._drift.get(each.id, "")) for each in found),
            certificate_expires=parse_time(self.outputs.get("kubeProxyCertificateExpires")),
            now=seen.now,
            error=seen.error,
        )

    def _look_for_drift(self) -> None:
        begin = time.monotonic()
        if self._drift_at is not None and begin - self._drift_at < _DRIFT_EVERY_SECONDS:
            return
        seen = drift.look(self.stack.settings, self.stack.ssh_private_key)
        self._drift = {each.node: each.state for each in seen.nodes}
        self._drift_at = time.monotonic()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON; with --watch, a line each")
    parser.add_argument("--drift", action="store_true", help="look at the hosts, too")
    parser.add_argument("--watch", action="store_true", help="look again until Ctrl-C")
    parser.add_argument(
        "--every",
        type=float,
        default=_EVERY_SECONDS,
        metavar="SECONDS",
        help="with --watch: how often (default: %(default)g)",
    )


def run(options: argparse.Namespace) -> int:
    """Look and print, once or until Ctrl-C."""
    stack = read_stack(options.stack)
    looker = Looker(stack, stack.outputs(secrets=False), options.drift)
    if options.watch:
        return watch(looker, max(options.every, 1.0), as_json=options.json)
    status = looker.look()
    if options.json:
        print(json.dumps(to_json(status), indent=2))
    else:
        Console(soft_wrap=True).print(render(status))
    return status.exit_status


def watch(looker: Looker, seconds: float, *, as_json: bool, console: Console | None = None) -> int:
    """Look again and again; Ctrl-C is how it ends. Returns the last look's exit status."""
    console = console or Console()
    status = None
    live = Live(console=console, auto_refresh=False, vertical_overflow="ellipsis")
    try:
        if as_json or not console.is_terminal:
            while True:
                status = looker.look()
                if as_json:
                    print(json.dumps(to_json(status)), flush=True)
                else:
                    console.print(render(status), soft_wrap=True)
                time.sleep(seconds)
        with live:
            while True:
                status = looker.look()
                live.update(render(status, sums_first=True), refresh=True)
                time.sleep(seconds)
    except KeyboardInterrupt:
        return status.exit_status if status else 2


def render(status: Status, *, sums_first: bool = False) -> Group:
    """Make the table, with those nodes first that something is the matter with.

    Args:
        status: what was seen.
        sums_first: the numbers stand above it: of a live table a terminal shows the top.
    """
    columns = ["NODE", "POOL", "WAVE", "READY", "DECLARED", "RUNNING", "NOTES"]
    with_drift = any(each.drift for each in status.nodes)
    table = Table(*columns, *(["DRIFT"] if with_drift else []))
    for each in sorted(status.nodes, key=lambda each: each.is_well):
        table.add_row(*_cells(each), *([_drift_cell(each)] if with_drift else []))
    lines = _lines(status)
    return Group(*lines, table) if sums_first else Group(table, *lines)


def _cells(each: NodeStatus) -> list[Text]:
    versions = _bare(each.declared)
    if each.kube_proxy:
        versions += f" (kube-proxy {_bare(each.kube_proxy)})"
    colour = "green" if each.ready is Ready.YES else "" if each.is_well else "bold red"
    return [
        Text(each.id),
        Text(each.pool),
        Text(str(each.wave or "-")),
        Text(each.ready, colour),
        Text(versions),
        Text(_bare(each.running) or "-"),
        Text(", ".join(each.notes), "" if each.is_well else "yellow"),
    ]


def _drift_cell(each: NodeStatus) -> Text:
    return Text(each.drift or "-", "green" if each.drift == drift.State.SAME else "yellow")


def _lines(status: Status) -> list[Text]:
    lines = [Text(f"{status.stack} at {status.now:%H:%M:%S} UTC: {_counts(status)}")]
    days = status.days_left
    if days is not None:
        style = "yellow" if days < _WARN_DAYS else ""
        words = f"{days} days left" if days >= 0 else "IT IS OVER"
        if days < _WARN_DAYS:
            words += "; raise kubeProxyCertificate.epoch and run up"
        lines.append(Text(f"kube-proxy's certificate: {words}", style))
    if status.error:
        lines.append(Text(f"the cluster does not tell: {status.error}", "bold red"))
    return lines


def _counts(status: Status) -> str:
    well = sum(each.is_well for each in status.nodes)
    apart = [
        f"{count} {word}"
        for word in ("held", "lost")
        if (count := sum(word in each.notes for each in status.nodes))
    ]
    count = len(status.nodes)
    return ", ".join([f"{count} node{'' if count == 1 else 's'}", f"{well} well", *apart])


def _bare(version: str) -> str:
    return version.removeprefix("v")


def to_json(status: Status) -> dict[str, object]:
    """Give everything for a program."""
    expires = status.certificate_expires
    return {
        "stack": status.stack,
        "time": status.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "well": status.exit_status == 0,
        "error": status.error,
        "kubeProxyCertificate": {
            "expires": expires.strftime("%Y-%m-%dT%H:%M:%SZ") if expires else None,
            "daysLeft": status.days_left,
        },
        "nodes": {each.id: _node_to_json(each) for each in status.nodes},
    }


def _node_to_json(each: NodeStatus) -> dict[str, object]:
    fields = asdict(each)
    return {
        "pool": each.pool,
        "wave": each.wave,
        "ready": each.ready,
        "declared": each.declared,
        "kubeProxy": each.kube_proxy or each.declared,
        "running": each.running,
        "notes": fields["notes"],
        "well": each.is_well,
        "drift": each.drift,
    }


def parse_time(text: object) -> datetime.datetime | None:
    """Read a time that an `up` has told; None where there is none."""
    try:
        return datetime.datetime.fromisoformat(str(text))
    except ValueError:
        if text:
            print(f"status: {text!r} is no time", file=sys.stderr)
        return None
