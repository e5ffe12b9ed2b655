"""Fetch the keys that hosts show, compare them with the declared ones, and write them on a yes.

The configuration is read as it stands, not through the settings: a node that is declared without
its key is what this is for. Nothing but a key exchange is made with a host: no login, no file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncssh
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kube_nodes.fleet.errors import FleetError
from kube_nodes.fleet.stack import place_of, run_pulumi, set_values
from kube_nodes.membership.ssh import explain, fetch_host_key
from kube_nodes.model.addresses import check_host_address
from kube_nodes.model.host_keys import check_host_key, fingerprint
from kube_nodes.model.routes import Hop, Route
from kube_nodes.model.values import check_dns_label
from kube_nodes.settings import NAMESPACE

DESCRIPTION = "fetch the hosts' keys, show their fingerprints, and write them on a yes"
_AT_ONCE = 50
_CONSOLE = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A node as far as the configuration tells."""

    pool: str
    id: str
    address: str
    ssh: Mapping[str, Any]
    host_key: str = ""
    is_new: bool = False
    """Given on the command line."""

    @property
    def route(self) -> Route:
        """The way there; its last key is not known yet."""
        jump = self.ssh.get("jump") or {}
        hops = (_hop(jump),) if jump else ()
        return Route(hops=(*hops, _hop({**self.ssh, "address": self.address})))


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a host showed."""

    node: Declared
    key: str = ""
    error: str = ""

    @property
    def state(self) -> str:
        """One of new, same, CHANGED, not reached."""
        if not self.key:
            return "not reached"
        if not self.node.host_key:
            return "new"
        return "same" if self.key == self.node.host_key else "CHANGED"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("--name", help="with --address: a node to declare, by its id")
    parser.add_argument("--address", help="its IP address")
    parser.add_argument("--pool", default="workers", help="its pool (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="write new keys without a question")
    parser.add_argument(
        "--replace", default="", metavar="ID,…", help="write the changed keys of these nodes too"
    )


def run(options: argparse.Namespace) -> int:
    """Fetch, show, ask and write; 1 where a key is still not the declared one."""
    nodes = list(read_nodes(_read_config(options.stack)))
    if options.address or options.name:
        nodes = [_given(options, nodes)]
    seen = asyncio.run(fetch(nodes))
    show(seen)
    replaced = set(filter(None, options.replace.split(",")))
    chosen = [each for each in seen if is_wanted(each, options.write, replaced)]
    if chosen:
        write(options.stack, chosen)
    left = [each for each in seen if each.state != "same" and each not in chosen]
    if any(each.state in ("new", "CHANGED") for each in left):
        print(
            "Not written: what is left above. Compare each fingerprint with what"
            f" `{_CONSOLE}` shows on the host's own console. Then run again on a terminal and"
            " answer yes, or with WRITE=1 (REPLACE=<ids> for changed keys)."
        )
    return int(bool(left))


def read_nodes(config: Mapping[str, Any]) -> Iterator[Declared]:
    """Find every node that has an address; what is wrong otherwise is for `pulumi preview`."""
    top = _mapping(config.get("options")).get("ssh")
    for pool_name, pool in _mapping(config.get("pools")).items():
        middle = _mapping(_mapping(pool).get("options")).get("ssh")
        for node_id, node in _mapping(_mapping(pool).get("nodes")).items():
            own = _mapping(_mapping(node).get("options")).get("ssh")
            address = _mapping(node).get("address")
            if not isinstance(address, str):
                continue
            yield Declared(
                pool=pool_name,
                id=node_id,
                address=address,
                ssh={**_mapping(top), **_mapping(middle), **_mapping(own)},
                host_key=_declared_key(_mapping(node).get("hostKey")),
            )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _declared_key(value: Any) -> str:
    """Read the declared key; one that is none counts as missing."""
    try:
        return check_host_key(str(value or ""))
    except ValueError:
        return ""


def _given(options: argparse.Namespace, nodes: Sequence[Declared]) -> Declared:
    if not (options.name and options.address):
        raise FleetError("give both NAME and ADDRESS of a node to declare")
    try:
        name, address = check_dns_label(options.name), check_host_address(options.address)
    except ValueError as error:
        raise FleetError(f"{options.name} {options.address}: {error}") from None
    for node in nodes:
        if node.id == name or node.address == address:
            raise FleetError(
                f"{node.id} ({node.address}) is declared already; run without NAME and ADDRESS"
            )
    ssh = nodes[0].ssh if nodes else {}
    return Declared(pool=options.pool, id=name, address=address, ssh=ssh, is_new=True)


def _hop(ssh: Mapping[str, Any]) -> Hop:
    return Hop(
        address=str(ssh.get("address", "")),
        port=int(ssh.get("port", 22)),
        user=str(ssh.get("user", "root")),
        host_key=_declared_key(ssh.get("hostKey")),
    )


async def fetch(nodes: Sequence[Declared]) -> list[Seen]:
    """Ask every host for its key, many at once; the answers come in the nodes' order."""
    free = asyncio.Semaphore(_AT_ONCE)

    async def ask(node: Declared) -> Seen:
        async with free:
            return await _ask(node)

    return await asyncio.gather(*map(ask, nodes))


async def _ask(node: Declared) -> Seen:
    jump = node.route.hops[0] if len(node.route.hops) > 1 else None
    if jump and not jump.host_key:
        return Seen(node=node, error=f"declare the key of its jump host {jump.address} first")
    kind = node.host_key.partition(" ")[0]
    try:
        return Seen(node=node, key=await fetch_host_key(node.route, kind))
    except (OSError, ValueError, asyncssh.Error, TimeoutError) as error:
        return Seen(node=node, error=explain(error, node.route))


def show(seen: Sequence[Seen], console: Console | None = None) -> None:
    """Print a table, and loud words for what changed."""
    # Fingerprints are compared by eye: they stay whole, however narrow the terminal is.
    console = console or Console(soft_wrap=True, width=max(Console().width, 150))
    table = Table("NODE", "ADDRESS", "KEY", "THE HOST SHOWS", "DECLARED IS", box=None)
    for each in seen:
        declared = fingerprint(each.node.host_key) if each.node.host_key else "-"
        shown = fingerprint(each.key) if each.key else "-"
        style = {"CHANGED": "bold red", "same": "green"}.get(each.state, "yellow")
        table.add_row(each.node.id, each.node.address, Text(each.state, style), shown, declared)
    console.print(table)
    for each in seen:
        if each.error:
            console.print(Text(f"{each.node.id}: {each.error}"), highlight=False)
        if each.state == "CHANGED":
            warning = (
                f"{each.node.id}: THE HOST KEY HAS CHANGED. Either the host was installed anew, or"
                f" somebody else answers at {each.node.address}. Believe it only once"
                f" `{_CONSOLE}` on the host's own console shows the new fingerprint; then declare"
                f" it with: make host-keys REPLACE={each.node.id}"
            )
            console.print(Text(warning, "bold red"), highlight=False)


def is_wanted(seen: Seen, write_new: bool, replaced: Container[str] = ()) -> bool:
    """Tell whether a key is to be written: it was asked for, or a person says yes to it."""
    if seen.state not in ("new", "CHANGED"):
        return False
    if seen.node.id in replaced or (seen.state == "new" and write_new):
        return True
    if not sys.stdin.isatty():
        return False
    question = f"{seen.node.id}: is {fingerprint(seen.key)} the host's own ({seen.state})? yes/no: "
    return input(question).strip() == "yes"


def write(stack: str, seen: Sequence[Seen]) -> None:
    """Write keys into the stack's configuration, with the address of a node that is new."""
    values = {}
    for each in seen:
        place = place_of(each.node.pool, each.node.id)
        if each.node.is_new:
            values[f"{place}.address"] = each.node.address
        values[f"{place}.hostKey"] = each.key
    set_values(stack, values)
    print(f"written into the configuration of {stack}: {', '.join(each.node.id for each in seen)}")


def _read_config(stack: str) -> dict[str, Any]:
    stored = json.loads(run_pulumi("config", "--json", "--stack", stack))
    config = {}
    for key in ("options", "pools"):
        entry = stored.get(f"{NAMESPACE}:{key}")
        if entry and not entry.get("secret"):
            config[key] = entry["objectValue"] if "objectValue" in entry else entry.get("value")
            if isinstance(config[key], str):
                config[key] = json.loads(config[key])
    return config
