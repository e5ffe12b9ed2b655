"""What a mode of kube-proxy needs is tried on a real host, where it changes nothing."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.host_script.proxy_host import RealProxy
from tests.lab.host_script.script_host import Node, ScriptHost

pytestmark = pytest.mark.lab


@contextmanager
def without(host: ScriptHost, *programs: str) -> Iterator[None]:
    """Take programs away from the host, for a while."""
    for name in programs:
        host.sh(f"p=$(command -v {name}) && mv $p $p.away && echo $p >>/run/fake-away")
    try:
        yield
    finally:
        host.sh("while read -r p; do mv $p.away $p; done </run/fake-away; rm /run/fake-away")


@contextmanager
def saying(host: ScriptHost, program: str, text: str) -> Iterator[None]:
    """Let a program of the host say another version, for a while; all else it does as ever."""
    path = host.sh(f"command -v {program}").strip()
    real = f'exec {path}.real "$@"'
    script = f'case $1 in -r | --version) echo "{text}" ;; *) {real} ;; esac'
    host.sh(f"mv {path} {path}.real; cat >{path} <<'X'\n#!/bin/sh\n{script}\nX\nchmod 755 {path}")
    try:
        yield
    finally:
        host.sh(f"mv {path}.real {path}")


def subjects(text: str) -> list[str]:
    """What each finding is about."""
    return [line.split(": ")[1] for line in text.splitlines()]


# Without dates and counters.
SAVE = "{ iptables-save; ip6tables-save; iptables-legacy-save; } | sed '/^#/d; s/ .[0-9]*:.*//'"
RULES = f"{SAVE}; nft list tables; ip -o link | cut -d: -f2; ls -A /run"


@pytest.mark.parametrize("mode", ["nftables", "iptables"])
def test_a_mode_that_the_host_has_passes_and_changes_nothing(
    host: ScriptHost, node: Node, mode: str
) -> None:
    before = host.sh(RULES)
    run = RealProxy(host).preflight(proxyMode=mode)
    assert (run.status, run.err) == (0, "")
    assert host.sh(RULES) == before


def test_a_kernel_and_an_nft_that_are_too_old_are_found(host: ScriptHost, node: Node) -> None:
    with (
        saying(host, "uname", "5.10.0-28-amd64"),
        saying(host, "nft", "nftables v1.0.0 (Fearless)"),
    ):
        run = RealProxy(host).preflight(proxyMode="nftables")
    assert subjects(run.err) == ["kernel", "nft"], run.err
    name = host.host.name
    assert f"{name}: kernel: 5.10.0-28-amd64; kube-proxy in mode nftables needs 5.13" in run.err
    assert f"{name}: nft: 1.0.0; kube-proxy in mode nftables needs 1.0.1 or newer; " in run.err


def test_missing_programs_are_all_told_at_once(host: ScriptHost, node: Node) -> None:
    proxy = RealProxy(host)
    with without(host, "nft", "conntrack"):
        nft = proxy.preflight(proxyMode="nftables", kubernetesVersion="1.31.2")
        newer = proxy.preflight(proxyMode="nftables", kubernetesVersion="1.37.2")
    assert subjects(nft.err) == ["conntrack", "nft"]
    assert subjects(newer.err) == ["nft"]
    with without(host, "iptables-save"):
        assert subjects(proxy.preflight(proxyMode="iptables").err) == ["iptables-save"]


def test_a_match_that_iptables_does_not_have_is_named(host: ScriptHost, node: Node) -> None:
    library = "/usr/lib/x86_64-linux-gnu/xtables/libxt_statistic.so"
    host.sh(f"mv {library} {library}.away")
    run = RealProxy(host).preflight(proxyMode="iptables")
    host.sh(f"mv {library}.away {library}")
    assert subjects(run.err) == ["iptables statistic"], run.err
    assert "load xt_statistic" in run.err


def test_rules_in_the_backend_that_iptables_is_not_are_found(host: ScriptHost, node: Node) -> None:
    host.sh("iptables-legacy -A INPUT -s 192.0.2.1 -j ACCEPT")
    proxy = RealProxy(host)
    run, other = proxy.preflight(proxyMode="iptables"), proxy.preflight(proxyMode="nftables")
    host.sh("iptables-legacy -D INPUT -s 192.0.2.1 -j ACCEPT")
    assert subjects(run.err) == ["iptables"], run.err
    assert "nf_tables, and legacy holds 1 rules" in run.err
    assert other.status == 0


def test_what_ipvs_lacks_here_is_found_before_anything_changes(
    host: ScriptHost, node: Node
) -> None:
    if not why_no_ipvs():
        pytest.skip("this machine's kernel has IPVS, so nothing is missing")
    before = host.sh(RULES)
    run = RealProxy(host).preflight(proxyMode="ipvs")
    assert run.status == 1
    assert subjects(run.err)[0] == "ip_vs", run.err
    assert "kube-proxy in mode ipvs needs IPVS" in run.err
    assert host.sh(RULES) == before


def test_a_host_in_the_mode_ipvs_reaches_a_service(host: ScriptHost, node: Node) -> None:
    if lacking := why_no_ipvs():
        pytest.skip(lacking)
    proxy = RealProxy(host)
    proxy.register()
    try:
        proxy.give_credentials()
        assert proxy.preflight(proxyMode="ipvs").err == ""
        proxy.apply(proxyMode="ipvs")
        assert proxy.answer() in ("200", "401", "403")
        proxy.apply(proxyMode="nftables")
        assert proxy.answer() in ("200", "401", "403")
        assert proxy.chains() == set()
        assert host.sh("ip link show kube-ipvs0 2>/dev/null; ipset list -n") == ""
        proxy.remove()
    finally:
        proxy.forget()


def why_no_ipvs() -> str:
    """Say what this machine's kernel lacks for the mode ipvs; empty if nothing."""
    config = Path("/proc/config.gz")
    if Path("/proc/net/ip_vs").exists():
        return ""
    if config.exists():
        text = gzip.decompress(config.read_bytes()).decode()
        missing = [each for each in ("CONFIG_IP_VS", "CONFIG_DUMMY") if f"\n{each}=" not in text]
        if missing:
            return f"this machine's kernel has no IPVS ({', '.join(missing)} is not set)"
    return "this machine's kernel has no IPVS (no /proc/net/ip_vs; try modprobe ip_vs)"
