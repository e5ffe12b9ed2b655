"""What of a lab runs now."""

from __future__ import annotations

from dataclasses import dataclass

from lab import artifacts, control_plane, hosts, network, pod_network, processes, ssh
from lab.spec import LabSpec


@dataclass(frozen=True)
class Row:
    """One part of the lab: its name, whether it is up, and where it is."""

    name: str
    up: bool
    where: str


def rows(spec: LabSpec) -> list[Row]:
    """Ask every part whether it is up."""
    parts = (ssh.AGENT, artifacts.NAME, *control_plane.PARTS, pod_network.NAME)
    found = [Row("bridge", network.exists(spec), f"{spec.bridge} {spec.subnet}")]
    found += [Row(name, processes.running(spec, name), _log(spec, name)) for name in parts]
    found.append(Row("API", control_plane.ready(spec), spec.server))
    for host in spec.hosts:
        up = processes.running(spec, hosts.process_name(host.name)) and hosts.answers(host)
        found.append(Row(f"host {host.name}", up, host.address))
    return found


def render(table: list[Row]) -> str:
    """Return the rows as aligned text."""
    width = max(len(row.name) for row in table)
    lines = (f"{row.name:{width}}  {'up' if row.up else 'DOWN':4}  {row.where}" for row in table)
    return "\n".join(lines)


def _log(spec: LabSpec, name: str) -> str:
    return str(spec.path("logs", f"{name}.log"))
