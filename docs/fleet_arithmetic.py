"""The arithmetic of docs/large-fleets.md: what a fleet costs, from stated inputs.

`python -m docs.fleet_arithmetic --set nodes=10000 --set stacks=50` prints the tables for others.
`make reference` writes those of the page; a test keeps them fresh.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

from docs.tables import render_table


def _input(value: float, unit: str, meaning: str, source: str) -> Any:
    metadata = {"unit": unit, "meaning": meaning, "source": source}
    return field(default=value, metadata=metadata)


_OURS = "[benchmarks](benchmarks.md)"
_ESTIMATE = "an estimate, not measured"
_SIMULATED = "50 and 100 simulated nodes, stand-ins"
_CHOSEN = "chosen"
_KCM = "kube-controller-manager 1.37, default of"
_APF = "kube-apiserver 1.37, default of"


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What is put in; each with its unit, its meaning and where it is from."""

    nodes: float = _input(5000, "nodes", "the fleet", _CHOSEN)
    stacks: float = _input(20, "stacks", "stacks of pools, alike", _CHOSEN)
    limit: float = _input(4, "stacks", "at a time (`LIMIT`)", _CHOSEN)
    processors: float = _input(16, "processors", "of the machine that runs them", _CHOSEN)
    resources: float = _input(12, "a node", "resources", _OURS)
    state_kb: float = _input(63, "kB a node", "state", _OURS)
    state_gzip_kb: float = _input(19, "kB a node", "state, compressed", _OURS)
    create_cpu: float = _input(2, "s a node", "processor time of a join", _SIMULATED)
    unchanged_cpu_ms: float = _input(12, "ms a resource", "the same, nothing to do", _SIMULATED)
    start_cpu: float = _input(4, "s a stack", "the same, of starting", _SIMULATED)
    write_ms_per_mb: float = _input(
        18, "ms a MB", "writing the state, with gzip or without", _SIMULATED
    )
    join_requests: float = _input(20, "a node", "API requests of a join by us", _ESTIMATE)
    certificates: float = _input(2, "a node", "certificates of a join", "client and serving")
    request_kb: float = _input(3, "kB", "one certificate request as the API gives it", _ESTIMATE)
    request_hours: float = _input(
        1, "h", "how long an issued one stays", f"{_KCM} the cleaner (`approvedExpiration`)"
    )
    controller_qps: float = _input(20, "a second", "writes of all signers", f"{_KCM} kube-api-qps")
    certificate_hours: float = _input(
        8760, "h", "life of a certificate", f"{_KCM} cluster-signing-duration"
    )
    read_limit: float = _input(400, "requests", "at once, reading", f"{_APF} max-requests-inflight")
    write_limit: float = _input(
        200, "requests", "at once, writing", f"{_APF} max-mutating-requests-inflight"
    )
    shares: float = _input(20, "shares", "of the level global-default", f"{_APF} its bootstrap")
    all_shares: float = _input(245, "shares", "of all levels", f"{_APF} its bootstrap")
    hand: float = _input(6, "queues", "of one user, 50 requests each", f"{_APF} its bootstrap")


@dataclass(frozen=True)
class Costs:
    """What comes out."""

    given: Inputs

    @property
    def nodes_a_stack(self) -> float:
        """How many nodes a stack has."""
        return self.given.nodes / self.given.stacks

    def state_mb(self, nodes: float, *, gzip: bool = False) -> float:
        """Size of a state."""
        each = self.given.state_gzip_kb if gzip else self.given.state_kb
        return nodes * each / 1000

    def written_gb(self, nodes: float) -> float:
        """What a create writes: the whole state before and after each step, half full on average.

        Source: the engine's snapshots with a backend of files or objects.
        """
        return 2 * nodes * self.given.resources * self.state_mb(nodes) / 2 / 1000

    def writing_seconds(self, nodes: float) -> float:
        """How long that takes: one write after the other."""
        return self.written_gb(nodes) * 1000 * self.given.write_ms_per_mb / 1000

    def create_seconds(self) -> float:
        """A first `fleet-up`: its processor time, or the writing of the slowest row of stacks."""
        given = self.given
        work = given.nodes * given.create_cpu / given.processors
        rows = math.ceil(given.stacks / given.limit)
        return max(work, rows * self.writing_seconds(self.nodes_a_stack))

    def unchanged_seconds(self, nodes: float) -> float:
        """One stack with nothing to do: the program and the engine take turns, on one processor."""
        given = self.given
        return given.start_cpu + nodes * given.resources * given.unchanged_cpu_ms / 1000

    def joins_a_second(self) -> float:
        """How many nodes join a second, at most by what is slowest."""
        return min(self.given.nodes / self.create_seconds(), self.signed_nodes())

    def signed_nodes(self) -> float:
        """How many nodes a second kube-controller-manager has certificates for."""
        return self.given.controller_qps / self.given.certificates

    def pending(self) -> float:
        """How many certificate requests there are while nodes join at that rate."""
        given = self.given
        an_hour = self.joins_a_second() * given.certificates * given.request_hours * 3600
        return min(an_hour, given.nodes * given.certificates)

    def seats(self) -> int:
        """What global-default may have running at once."""
        given = self.given
        total = given.read_limit + given.write_limit
        return math.ceil(total * given.shares / given.all_shares)

    def list_seats(self) -> int:
        """What one long list takes of them at most."""
        return max(1, int(min(math.ceil(0.15 * self.seats()), self.seats() // self.given.hand)))


Row = tuple[str, str]


def _table(head: tuple[str, ...], lines: Iterator[tuple[str, ...]]) -> str:
    return render_table(head, lines)


def render_inputs(given: Inputs) -> str:
    """Render what was put in."""
    lines = (
        (
            f"`{each.name}`",
            f"{getattr(given, each.name):g} {each.metadata['unit']}",
            each.metadata["meaning"],
            each.metadata["source"],
        )
        for each in fields(given)
    )
    return _table(("Input", "Value", "What", "From"), lines)


def render_stacks(given: Inputs) -> str:
    """Render what one stack of all nodes costs beside stacks of several sizes."""
    costs = Costs(given)
    sizes = sorted({50.0, 100.0, costs.nodes_a_stack, 1000.0, given.nodes})
    lines = (
        (
            f"{size:,.0f}",
            f"{size * given.resources:,.0f}",
            f"{costs.state_mb(size):,.0f} MB",
            f"{costs.state_mb(size, gzip=True):,.1f} MB",
            f"{costs.written_gb(size):,.1f} GB",
            _time(costs.writing_seconds(size)),
            _time(costs.unchanged_seconds(size)),
        )
        for size in sizes
    )
    head = (
        *("Nodes in a stack", "Resources", "State", "Compressed"),
        *("Written by a create", "Time of that", "Nothing to do"),
    )
    return _table(head, lines)


def render_fleet(given: Inputs) -> str:
    """Render what the fleet costs."""
    costs = Costs(given)
    rows = math.ceil(given.stacks / given.limit)
    rate = costs.joins_a_second()
    lists = costs.pending() * given.request_kb / 1000
    found: list[Row] = [
        ("nodes in a stack", f"{costs.nodes_a_stack:,.0f}"),
        ("state in the backend", f"{costs.state_mb(given.nodes):,.0f} MB"),
        ("joining all: processor time", _time(given.nodes * given.create_cpu)),
        ("joining all: on this machine", _time(costs.create_seconds())),
        (
            "nothing to do, all stacks",
            _time(rows * costs.unchanged_seconds(costs.nodes_a_stack)),
        ),
        ("joins", f"{rate:.2g} a second"),
        ("API requests of ours", f"{rate * given.join_requests:.2g} a second"),
        ("approvals", f"{rate * given.certificates:.2g} a second"),
        ("certificates that can be signed", f"{given.controller_qps:g} a second"),
        ("the signers' least time for all", _time(given.nodes / costs.signed_nodes())),
        ("certificate requests there meanwhile", f"{costs.pending():,.0f}"),
        ("one list of them, which each join reads", f"{lists:.1f} MB"),
        ("all those lists", f"{lists * rate:.0f} MB a second"),
        ("seats of global-default", f"{costs.seats()}"),
        ("seats of one such list", f"{costs.list_seats()}"),
        ("renewals later", f"{_renewals(given):.2g} an hour"),
    ]
    return _table(("What", "Result"), iter(found))


def _renewals(given: Inputs) -> float:
    """A kubelet renews at 70 to 90 per cent of a certificate's life."""
    return given.nodes * given.certificates / (0.8 * given.certificate_hours)


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.0f} days"


TABLES: dict[str, Callable[[Inputs], str]] = {
    "inputs": render_inputs,
    "stacks": render_stacks,
    "fleet": render_fleet,
}


def render_blocks(given: Inputs | None = None) -> dict[str, str]:
    """Render what stands between the marks of docs/large-fleets.md, by the mark's name."""
    return {name: render(given or Inputs()) for name, render in TABLES.items()}


def main(arguments: list[str] | None = None) -> int:
    """Print the tables for other inputs."""
    parser = argparse.ArgumentParser(prog="python -m docs.fleet_arithmetic", description=__doc__)
    parser.add_argument("--set", action="append", default=[], metavar="INPUT=NUMBER")
    options = parser.parse_args(arguments)
    changes = {}
    for each in options.set:
        name, _, number = each.partition("=")
        if name not in {each.name for each in fields(Inputs)}:
            parser.error(f"{name} is no input; see the table in docs/large-fleets.md")
        changes[name] = float(number)
    print("\n\n".join(render_blocks(replace(Inputs(), **changes)).values()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
