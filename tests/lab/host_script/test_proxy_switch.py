"""kube-proxy's mode changes: the old one's rules go first, by its own program, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.host_script.proxy_host import ProxyNode, RealProxy, rules
from tests.lab.host_script.script_host import Node, ScriptHost, killed_at

pytestmark = pytest.mark.lab
KILLED = 255
IPTABLES, NFTABLES = "mode: iptables\n", "mode: nftables\n"


@pytest.fixture
def proxy(host: ScriptHost, node: Node) -> Iterator[ProxyNode]:
    """A host with kube-proxy alone, in the mode iptables."""
    host.sh("rm -f /run/fake-cleanup")
    proxy = ProxyNode(node.artifacts, kube_proxy_config=IPTABLES)
    assert host.run(proxy.units()).status == 0
    assert rules(host) == {"KUBE-SERVICES", "KN-BUILD-1"}
    yield proxy
    host.sh("for c in KUBE-SERVICES KN-BUILD-1 KN-BUILD-2; do iptables -t nat -X $c; done")
    host.sh("nft delete table ip kube-proxy")


def test_another_mode_is_preceded_by_the_clean_up_of_the_old_program(
    host: ScriptHost, proxy: ProxyNode
) -> None:
    run = host.run(ProxyNode(proxy.artifacts, kube_proxy_config=NFTABLES, build=2).units())
    assert (run.status, run.err) == (0, "")
    assert host.read("/run/fake-cleanup") == f"1 {IPTABLES}"
    assert rules(host) == {"table kube-proxy", "KN-BUILD-2"}


def test_without_another_mode_nothing_is_cleaned_up(host: ScriptHost, proxy: ProxyNode) -> None:
    config = f"{IPTABLES}other: 1\n"
    for wanted in (
        ProxyNode(proxy.artifacts, kube_proxy_config=config, build=2, note="second"),
        ProxyNode(proxy.artifacts, kube_proxy_config=config, build=2, note="second"),
    ):
        assert host.run(wanted.units()).status == 0
    assert not host.exists("/run/fake-cleanup")


def test_a_mode_that_is_taken_back_leaves_no_rules_of_its_own(
    host: ScriptHost, proxy: ProxyNode
) -> None:
    bad = ProxyNode(proxy.artifacts, kube_proxy_config=f"{NFTABLES}broken: 1\n", build=2)
    run = host.run(bad.units())
    assert run.status == 1 and "kube-proxy: broken" in run.err
    assert host.running_with("kube-proxy") == IPTABLES
    assert rules(host) == {"KUBE-SERVICES", "KN-BUILD-1"}


def test_rules_that_no_clean_up_removes_keep_the_old_mode(
    host: ScriptHost, proxy: ProxyNode
) -> None:
    """Beside foreign references a chain can't go; the new mode would run beside it."""
    host.sh("iptables -t nat -A OUTPUT -j KUBE-SERVICES")
    wanted = ProxyNode(proxy.artifacts, kube_proxy_config=NFTABLES, build=2)
    run = host.run(wanted.units())
    host.sh("iptables -t nat -D OUTPUT -j KUBE-SERVICES")
    assert run.status == 1
    assert run.err.startswith("node-1: rules of kube-proxy's mode iptables stay"), run.err
    assert host.running_with("kube-proxy") == IPTABLES
    assert host.run(wanted.units()).status == 0
    assert rules(host) == {"table kube-proxy", "KN-BUILD-2"}


def test_a_switch_that_is_killed_at_any_step_ends_with_the_rules_of_one_mode(
    host: ScriptHost, proxy: ProxyNode
) -> None:
    before = ProxyNode(proxy.artifacts, kube_proxy_config=IPTABLES)
    after = ProxyNode(proxy.artifacts, kube_proxy_config=NFTABLES, build=2)
    expected = {1: {"KUBE-SERVICES", "KN-BUILD-1"}, 2: {"table kube-proxy", "KN-BUILD-2"}}
    for step in range(1, 1000, 5):
        then = after if step % 2 else before
        assert host.run(before.units()).status == 0
        if host.run(killed_at(after.units(), step)).status != KILLED:
            break
        done = host.run(then.units())
        assert done.status == 0, f"step {step}: {done.err}"
        assert rules(host) == expected[then.build], f"step {step}"
        assert host.running_with("kube-proxy") == then.kube_proxy_config
    assert step > 30


def test_a_flag_of_an_old_units_says_the_mode_too(host: ScriptHost, proxy: ProxyNode) -> None:
    """Up to 1.9 there is no configuration file; an upgrade to one changes the mode with it."""
    host.sh(f"sed -i s/^mode.*// {'/var/lib/kube-proxy/config.conf'}")
    unit = "/etc/systemd/system/kube-proxy.service"
    host.sh(f"sed -i 's|^ExecStart=.*|& --proxy-mode=iptables --v=2|' {unit}")
    assert host.run(ProxyNode(proxy.artifacts, kube_proxy_config=NFTABLES).units()).status == 0
    assert host.read("/run/fake-cleanup").startswith("1 ")


@pytest.fixture
def real(host: ScriptHost, node: Node) -> Iterator[RealProxy]:
    """The real kube-proxy, with its identity in the lab's cluster."""
    real = RealProxy(host)
    real.register()
    try:
        real.give_credentials()
        yield real
        real.remove()
    finally:
        real.forget()
    assert real.chains() == set() and real.tables() == set()


def test_the_real_kube_proxy_answers_in_each_mode_and_leaves_nothing_of_the_other(
    host: ScriptHost, real: RealProxy
) -> None:
    real.apply(proxyMode="nftables")
    assert real.answer() in ("200", "401", "403")
    assert real.tables() and not real.chains()
    real.apply(proxyMode="iptables")
    assert real.answer() in ("200", "401", "403")
    assert "KUBE-SERVICES" in real.chains() and not real.tables()
    real.apply(proxyMode="nftables")
    assert real.answer() in ("200", "401", "403")
    assert real.tables() and not real.chains()


def test_the_script_asks_the_real_kube_proxy_where_it_was_told_to_answer(
    host: ScriptHost, real: RealProxy
) -> None:
    address = f"{host.host.address}:11256"
    real.apply(proxyHealthzAddress=address, proxyMetricsAddress="127.0.0.1:11249")
    assert real.answer() in ("200", "401", "403")
    assert host.sh(f"curl -s -o /dev/null -w '%{{http_code}}' http://{address}/healthz") == "200"
    assert host.sh("curl -s http://127.0.0.1:11249/proxyMode") == "nftables"
    assert host.sh("curl -s -o /dev/null http://127.0.0.1:10256/healthz; echo $?") == "7\n"
