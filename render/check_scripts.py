"""Render the scripts that look at a host and change nothing: preflight and the service check."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from kube_nodes.render.host_script import KUBE_PROXY, KUBELET, Binary, ServiceUnit
from kube_nodes.render.preflight import NO_RULES, HostRules
from kube_nodes.render.script_text import (
    NODE_ID,
    RUN_ID,
    UNIT,
    URL,
    VERSION,
    assign,
    checked,
    checked_path,
    closed,
    heredoc,
)
from kube_nodes.render.shell import use

TOOLS = (
    "cmp", "curl", "find", "flock", "grep", "journalctl", "sha256sum", "systemctl", "timeout",
    "umount", "xargs",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ProxyNeeds:
    """What kube-proxy will need of a host."""

    mode: str = "nftables"
    families: tuple[int, ...] = (4,)
    """IP families of the pods: 4, 6 or both."""
    conntrack: bool = False
    """Whether its version runs the program conntrack."""
    scheduler: str = "rr"
    """Of the mode ipvs."""

    @property
    def backends(self) -> tuple[str, ...]:
        """What of the kernel the mode writes to; each has checks of its own in host/."""
        own = {"nftables": ("nftables",), "ipvs": ("iptables", "ipvs")}
        return own.get(self.mode, ("iptables",))

    @property
    def shell(self) -> tuple[str, ...]:
        """Names of the files in host/ with those checks."""
        return tuple(f"proxy_{backend}" for backend in self.backends)


NFTABLES = ProxyNeeds()


def render_preflight_script(
    *,
    node_id: str,
    api_server: str,
    ca_pem: str,
    rules: HostRules = NO_RULES,
    units: Iterable[ServiceUnit] = (KUBELET, KUBE_PROXY),
    binaries: Iterable[Binary] = (),
    proxy: ProxyNeeds = NFTABLES,
) -> str:
    """Return the read-only script that reports everything about a host that a join would meet."""
    programs = [
        f"{checked_path(each.path)}={checked(VERSION, each.version, each.path)}"
        for each in sorted(binaries, key=lambda each: each.path)
        if not each.sources
    ]
    settings = {
        "node": checked(NODE_ID, node_id, "node_id"),
        "server": checked(URL, api_server, "api_server"),
        "units": " ".join(checked(UNIT, unit.name, "unit") for unit in units),
        "tools": " ".join(TOOLS),
        **_proxy_settings(proxy),
    }
    # Without a runtime there is no kubelet, and none of what it needs.
    runtime = ("runtime",) if rules.runtime_socket else ()
    # What we install ourselves need not be there.
    own = ("programs",) if programs else ()
    adopting = ("foreign", "preflight_adopt") if rules.adopting_unit_dir else ()
    foreign = "adoption" if adopting else "foreign"
    checks = (*own, "host", "api", "identity", *runtime, "disks", "ports", foreign, "proxy_mode")
    if own:
        settings["programs"] = " ".join(programs)
    parts = [
        *assign(settings | rules.settings()),
        use(
            *(("version", "preflight_programs") if own else ()),
            "preflight",
            *(f"preflight_{each}" for each in runtime),
            *("preflight_place", *adopting, "proxy_mode", *proxy.shell),
        ),
        heredoc(f"main {' '.join(checks)}", ca_pem, "ca_pem"),
    ]
    return closed(parts, "")


def render_service_check_script(
    *,
    node_id: str,
    url: str,
    run_id: str,
    ca_pem: str = "",
    accept: Iterable[str] = ("200", "401", "403"),
    wait_seconds: int = 60,
) -> str:
    """Return the script that asks `url` from the node; `run_id` ties it to the run it proves."""
    codes = tuple(checked(re.compile(r"[1-5][0-9]{2}"), code, "accept") for code in accept)
    settings = {
        "node": checked(NODE_ID, node_id, "node_id"),
        "run": checked(RUN_ID, run_id, "run_id"),
        "url": checked(URL, url, "url"),
        "accept": " ".join(codes),
        "wait": str(int(wait_seconds)),
    }
    parts = [
        *assign(settings),
        use("service_check"),
        heredoc("ask", ca_pem, "ca_pem"),
    ]
    return closed(parts, "")


def _proxy_settings(proxy: ProxyNeeds) -> dict[str, str]:
    return {
        "proxy_mode": proxy.mode,
        "proxy_needs": " ".join(proxy.backends),
        "families": " ".join(str(family) for family in proxy.families),
        "conntrack": "yes" if proxy.conntrack else "no",
        "scheduler": checked(UNIT, proxy.scheduler, "ipvs.scheduler"),
    }
