"""The lab's network on this machine: one bridge, its forwarding, its packet rules, its routes.

All traffic stays on the bridge. Forwarding is switched on for the bridge alone, and everything
here but the packet rules goes away with it.
"""

from __future__ import annotations

import ipaddress
import json
import time
from pathlib import Path
from typing import Any

from lab.commands import run, succeeds
from lab.errors import LabError
from lab.spec import LabSpec

ROUTE_PROTOCOL = "198"
"""Marks the lab's routes in `ip route`; a free number of /etc/iproute2/rt_protos."""


def conflicts(spec: LabSpec, routes: list[dict[str, Any]]) -> list[str]:
    """Return a sentence for each route of this machine that the lab's ranges would meet.

    Args:
        spec: the lab; routes over its own bridge are its own.
        routes: what `ip -json -4 route show table all` prints.
    """
    found = []
    ranges = {
        "subnet": ipaddress.IPv4Network(spec.subnet),
        "pod range": ipaddress.IPv4Network(spec.pod_cidr),
    }
    for route in routes:
        if route.get("dst") == "default" or route.get("dev") == spec.bridge:
            continue
        known = ipaddress.IPv4Network(route["dst"], strict=False)
        for what, network in ranges.items():
            if known.overlaps(network):
                found.append(
                    f"{what} {network}: this machine already routes {known}"
                    f" (dev {route.get('dev', '-')}); choose another one."
                )
    return found


def check(spec: LabSpec) -> None:
    """Refuse a subnet, pod range or bridge that is in use by anything but this lab."""
    link = _link(spec.bridge)
    if link is not None and link.get("address") != mac_address(spec):
        raise LabError(
            f"bridge: this machine already has a link {spec.bridge} that is not of this lab;"
            " choose another name with --bridge."
        )
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]))
    if problems := conflicts(spec, routes):
        raise LabError("\n".join(sorted(set(problems))))


def up(spec: LabSpec) -> bool:
    """Make what is missing of the bridge and its rules; say whether the bridge is new."""
    check(spec)
    new = _link(spec.bridge) is None
    if new:
        # Its hardware address comes with it and marks it as ours, also after a crash right here.
        run(["ip", "link", "add", spec.bridge, "address", mac_address(spec), "type", "bridge"])
    prefix = spec.network.prefixlen
    run(["ip", "address", "replace", f"{spec.gateway}/{prefix}", "dev", spec.bridge])
    run(["ip", "link", "set", spec.bridge, "up"])
    # On-link for the whole range: it claims it on this machine; each node's own part is routed
    # to the node by lab.pod_network.
    _route([spec.pod_cidr, "dev", spec.bridge])
    Path(f"/proc/sys/net/ipv4/conf/{spec.bridge}/forwarding").write_text("1", encoding="utf-8")
    for rule in rules(spec):
        if not succeeds(["iptables", "-w", "-C", *rule]):
            run(["iptables", "-w", "-I", *rule])
    return new


def exists(spec: LabSpec) -> bool:
    """Say whether the lab's bridge is there."""
    link = _link(spec.bridge)
    return link is not None and link.get("address") == mac_address(spec)


def mac_address(spec: LabSpec) -> str:
    """Return the bridge's hardware address: locally administered, and of this lab's folder only."""
    digits = spec.identity.rpartition("-")[2]
    return ":".join(["02", *(digits[i : i + 2] for i in range(0, 10, 2))])


def rules(spec: LabSpec) -> list[list[str]]:
    """Return the packet rules: between hosts yes (Docker would drop it), beyond the bridge no."""
    mark = ["-m", "comment", "--comment", spec.identity]
    return [
        ["FORWARD", "-i", spec.bridge, "-o", spec.bridge, *mark, "-j", "ACCEPT"],
        ["FORWARD", "-i", spec.bridge, "!", "-o", spec.bridge, *mark, "-j", "DROP"],
        ["FORWARD", "!", "-i", spec.bridge, "-o", spec.bridge, *mark, "-j", "DROP"],
        # This machine has other addresses, those of other labs among them.
        ["INPUT", "-i", spec.bridge, "!", "-d", spec.gateway, *mark, "-j", "DROP"],
    ]


def replace_route(spec: LabSpec, pod_cidr: str, address: str) -> None:
    """Send a node's pod range to the node. Its peers reach it the same way, over the gateway."""
    _route([pod_cidr, "via", address, "dev", spec.bridge])


def remove_route(spec: LabSpec, pod_cidr: str) -> None:
    run(["ip", "route", "del", pod_cidr, "dev", spec.bridge, "proto", ROUTE_PROTOCOL], check=False)


def node_routes(spec: LabSpec) -> dict[str, str]:
    """Return the pod ranges that are routed to a node now, each with the node's address."""
    if _link(spec.bridge) is None:
        return {}
    text = run(["ip", "-json", "-4", "route", "show", "dev", spec.bridge, "proto", ROUTE_PROTOCOL])
    return {route["dst"]: route["gateway"] for route in json.loads(text) if "gateway" in route}


def down(spec: LabSpec) -> list[str]:
    """Remove the bridge, what hangs on it and the rules; return a sentence for what stayed."""
    problems = []
    for rule in rules(spec):
        while succeeds(["iptables", "-w", "-C", *rule]):
            run(["iptables", "-w", "-D", *rule])
    link = _link(spec.bridge)
    if link is not None and link.get("address") == mac_address(spec):
        for port in _ports(spec.bridge):
            run(["ip", "link", "del", port], check=False)
        run(["ip", "link", "del", spec.bridge], check=False)
        if _link(spec.bridge) is not None:
            problems.append(f"link {spec.bridge}: still there after `ip link del`.")
    return problems


def wait_without_port(spec: LabSpec, host: str, timeout_seconds: float = 5) -> None:
    """Wait until the link of a host that was killed is gone: the kernel takes it away by itself."""
    deadline = time.monotonic() + timeout_seconds
    name = veth(spec, host)
    while _link(name) is not None:
        if time.monotonic() > deadline:
            run(["ip", "link", "del", name], check=False)
            return
        time.sleep(0.05)


def veth(spec: LabSpec, host: str) -> str:
    """Return the host's link as this machine sees it; systemd-nspawn names it after the machine."""
    return f"vb-{machine(spec, host)}"


def machine(spec: LabSpec, host: str) -> str:
    """Return the host's machine name: the bridge and the end of the address.

    Not the host's name, which two labs may share and which is too long for a link's name.
    """
    return f"{spec.bridge}-{spec.host(host).address.rpartition('.')[2]}"


def _ports(bridge: str) -> list[str]:
    return [
        link["ifname"]
        for link in json.loads(run(["ip", "-json", "link", "show", "master", bridge]))
    ]


def _link(name: str) -> dict[str, Any] | None:
    text = run(["ip", "-json", "link", "show", name], check=False)
    return json.loads(text)[0] if text.strip() else None


def _route(route: list[str]) -> None:
    run(["ip", "route", "replace", *route, "proto", ROUTE_PROTOCOL])
