"""What a host tells is judged: each fault is found, named once, and nothing else is."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_nodes.model.findings import Level
from kube_nodes.model.host_facts import HostFacts, parse_host_facts
from kube_nodes.model.verification import verify_host
from tests.unit.healthy_node import (
    CLIENT,
    NOW,
    PROXY,
    SERVING,
    answer,
    authority,
    certificates,
    expected,
    findings,
    issue,
    not_well,
    told,
)

_CONFIG = "/var/lib/kubelet/config.yaml"
_KUBELET = "/usr/local/bin/kubelet"
_DNS = "service-check.kube-nodes.svc.cluster.local at 10.96.0.10"


def _with(pattern: str, replacement: str) -> str:
    """Change what the healthy host tells; the pattern must be there."""
    text, count = re.subn(pattern, replacement, told(), flags=re.MULTILINE)
    assert count, pattern
    return text


def _with_certificate(path: str, pem: str) -> str:
    kept = [line for line in told().splitlines() if not line.startswith(f"certificate {path} ")]
    lines = [f"certificate {path} {line}" for line in pem.splitlines()]
    return "\n".join([*lines, *kept])


def test_a_healthy_host_is_well_in_every_line() -> None:
    assert {each.level for each in findings(told())} == {Level.OK}
    assert {each.node for each in findings(told())} == {"n1"}
    # Files, folders, programs, kubeconfigs, certificates, units, network: none is forgotten.
    whats = [each.what for each in findings(told())]
    assert len(whats) == len(set(whats)) >= 30


# What is changed (a pattern and what takes its place), what is found, and words of the finding.
_FAULTS = [
    (rf"^(file {_CONFIG} .*) \w+$", rf"\1 {'c' * 64}", _CONFIG, "SHA-256 cccccccccccc…"),
    (r"^sent .*\n", "", "~/.kube-nodes", "nothing whole is there"),
    (rf"^file {_CONFIG} file 0600", f"file {_CONFIG} file 0644", _CONFIG, "mode 0644; declared is"),
    (rf"^(file {_CONFIG} file 0600) 0:0", r"\1 1000:1000", _CONFIG, "owner 1000:1000"),
    (rf"^file {_CONFIG} file", f"file {_CONFIG} link", _CONFIG, "is link; a file is declared"),
    (rf"^file {_CONFIG} .*", f"file {_CONFIG} absent - - - -", _CONFIG, "is absent"),
    (rf"^file {PROXY} file 0600", f"file {PROXY} file 0640", PROXY, "mode 0640"),
    (rf"^(file {_KUBELET} .*) \w+$", rf"\1 {'c' * 64}", _KUBELET, "declared is SHA-256 aaaaaaa"),
    (r"^(file \S+units.journal) absent", r"\1 file", "/var/lib/kube-nodes/units.journal", "killed"),
    (r"^text generation .*", "text generation other 1", "generation", "other 1 on record"),
    (rf"^version {_KUBELET} .*", f"version {_KUBELET} Kubernetes v1.37.20",
     f"version of {_KUBELET}", "declared is v1.37.2"),
    (rf"^kubeconfig {PROXY} server .*", f"kubeconfig {PROXY} server https://x.example",
     f"names in {PROXY}", "server https://x.example; declared is server https://192.0.2.10:6443"),
    (rf"^kubeconfig {PROXY} user .*", f"kubeconfig {PROXY} user admin",
     f"names in {PROXY}", "user admin; declared is user kube-proxy"),
    (rf"^kubeconfig {PROXY} .*\n", "", f"names in {PROXY}", "server none"),
    (r"^unit kubelet LoadState=loaded", "unit kubelet LoadState=masked", "unit kubelet", "masked"),
    (r"^unit kubelet UnitFileState=.*", "unit kubelet UnitFileState=disabled",
     "unit kubelet", "is disabled"),
    (r"^unit kubelet SubState=.*", "unit kubelet SubState=auto-restart",
     "unit kubelet", "is active (auto-restart)"),
    (r"^unit kubelet NRestarts=0((.*\n)+?unit kubelet ActiveEnterTimestampMonotonic=).*",
     r"unit kubelet NRestarts=3\g<1>4900000000", "unit kubelet", "3 times, last 100 s ago"),
    (r"^unit kubelet NeedDaemonReload=no", "unit kubelet NeedDaemonReload=yes",
     "unit kubelet", "has changed since"),
    (r"^unit kubelet FragmentPath=.*", "unit kubelet FragmentPath=/run/systemd/system/k.service",
     "unit kubelet", "is read from /run/systemd/system/k.service"),
    (r"^unit kubelet Result=.*",
     r"\g<0>\nunit kubelet DropInFiles=/etc/systemd/system/kubelet.service.d/11-y.conf ",
     "unit kubelet", "is changed by /etc/systemd/system/kubelet.service.d/11-y.conf"),
    (r"^unit kubelet DropInPaths=.*",
     "unit kubelet DropInPaths=/etc/systemd/system/kubelet.service.d/10-x.conf",
     "unit kubelet", "is changed by /etc/systemd/system/kubelet.service.d/10-x.conf"),
    (rf"^unit kubelet Program={_KUBELET}", f"unit kubelet Program={_KUBELET} (deleted)",
     "unit kubelet", "runs /usr/local/bin/kubelet (deleted)"),
    (r"^http kube-proxy 200", "http kube-proxy 503", "health of kube-proxy", "503; http://127"),
    (r"^mode - nftables", "mode - iptables", "mode of kube-proxy", "iptables; declared is nft"),
    (r"^mode .*\n", "", "mode of kube-proxy", "no answer"),
    (r"^http service 200", "http service 000 curl: (28) timed out", "Service http://10.96.7.7/",
     "000 curl: (28) timed out; it must answer 200"),
    (r"^http pod-on-n2 200", "http pod-on-n2 000 no route", "pod on n2, http://10.200.1.2:80/",
     "000 no route"),
    (r"^dns .*", f"dns 10.96.0.10 {answer('10.96.9.9')}", _DNS, "it is 10.96.9.9 there"),
    (r"^dns .*", f"dns 10.96.0.10 {answer(code=3)}", _DNS, "NXDOMAIN"),
    (r"^dns .*", "dns 10.96.0.10 silent", _DNS, "no answer; it must be 10.96.7.7"),
    (r"^dns .*", "dns 10.96.0.10 zz", _DNS, "cut short"),
    (r"^end$", "", "host", "cut short"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "replacement", "what", "words"), _FAULTS, ids=[f[3] for f in _FAULTS]
)
def test_a_fault_is_found_and_nothing_else(
    pattern: str, replacement: str, what: str, words: str
) -> None:
    found = not_well(_with(pattern, replacement))
    assert set(found) == {what}
    assert found[what].level is Level.FAILED
    assert words in str(found[what])
    assert found[what].remedy


def test_a_unit_that_stopped_says_its_last_error() -> None:
    text = _with(r"^unit kubelet ActiveState=active", "unit kubelet ActiveState=failed")
    text = text.replace("SubState=running", "SubState=failed", 1).replace(
        "Result=success", "Result=exit-code", 1
    )
    found = not_well(f"error kubelet E1126 no such flag\n{text}")
    assert set(found) == {"unit kubelet"}
    assert "is failed (failed, exit-code); its last error is: E1126 no such flag" in str(
        found["unit kubelet"]
    )


def test_a_program_that_could_not_be_read_is_not_checked() -> None:
    found = not_well(_with(rf"^(file {_KUBELET} .*) \w+$", r"\1 unread"))
    assert [(each.what, each.level) for each in found.values()] == [(_KUBELET, Level.UNCHECKED)]


def test_a_unit_that_was_started_again_long_ago_is_a_note() -> None:
    found = not_well(_with(r"^unit kubelet NRestarts=0", "unit kubelet NRestarts=3"))
    assert found["unit kubelet"].level is Level.NOTE
    assert "3 times, last 4000 s ago" in str(found["unit kubelet"])


@pytest.mark.parametrize(
    ("said", "level"),
    [("no-bash", Level.UNCHECKED), ("silent", Level.NOTE)],
)
def test_a_name_that_cannot_be_asked_for_is_neither_well_nor_wrong(said: str, level: Level) -> None:
    """Without bash nobody can ask; without a DNS Service there is nobody to ask."""
    facts = parse_host_facts(_with(r"^dns .*", f"dns 169.254.1.1 {said}"))
    wanted = expected().network.name
    assert wanted
    name = replace(wanted, servers=("169.254.1.1",))
    network = replace(expected().network, name=name)
    found = [
        each
        for each in verify_host(replace(expected(), network=network), facts, NOW)
        if each.level is not Level.OK
    ]
    assert [(each.level, each.what) for each in found] == [(level, f"{name.name} at 169.254.1.1")]


_NODE, _GROUP = "system:node:n1", "system:nodes"


@pytest.mark.parametrize(
    ("path", "pem", "level", "words"),
    [
        (CLIENT, "", Level.FAILED, "no certificate is there"),
        (CLIENT, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
         Level.FAILED, "can't be read"),
        (CLIENT, issue("system:node:n2", authority(), organization=_GROUP).pem,
         Level.FAILED, "is of O=system:nodes,CN=system:node:n2, not of system:node:n1"),
        (CLIENT, issue(_NODE, authority(), organization="system:masters").pem,
         Level.FAILED, "has the groups ['system:masters'], not ['system:nodes']"),
        (CLIENT, issue(_NODE, issue("kubernetes"), organization=_GROUP).pem,
         Level.FAILED, "was not issued by the cluster's CA, but by CN=kubernetes"),
        (CLIENT, issue(_NODE, authority(), organization=_GROUP, ends=NOW).pem,
         Level.FAILED, "expired on 2031-05-01"),
        (CLIENT, issue(_NODE, authority(), organization=_GROUP, ends=NOW + timedelta(10)).pem,
         Level.FAILED, "10 days left"),
        (CLIENT, issue(_NODE, authority(), organization=_GROUP, begins=NOW + timedelta(1)).pem,
         Level.FAILED, "is valid from 2031-05-02T00:00:00Z on"),
        (SERVING, issue(_NODE, authority(), organization=_GROUP, addresses=("192.0.2.9",)).pem,
         Level.FAILED, "is not good for 192.0.2.21"),
        (PROXY, issue("system:kube-proxy", authority(), ends=NOW + timedelta(29)).pem,
         Level.NOTE, "29 days left, until 2031-05-30"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) and "BEGIN" not in value else "",
)  # fmt: skip
def test_a_certificate_that_is_not_the_declared_one_is_found(
    path: str, pem: str, level: Level, words: str
) -> None:
    found = not_well(_with_certificate(path, pem))
    assert [(each.level, words in str(each)) for each in found.values()] == [(level, True)], found


def test_a_certificate_below_another_of_its_own_chain_is_well() -> None:
    """Some signers stand below the CA, and come in the file."""
    middle = issue("signer", authority())
    leaf = issue(_NODE, middle, organization=_GROUP)
    assert not_well(_with_certificate(CLIENT, leaf.pem + middle.pem)) == {}


def test_what_a_certificate_says_is_shown_without_control_characters() -> None:
    evil = issue("\x1b[2Jsystem:kube-proxy", authority())
    (finding,) = not_well(_with_certificate(PROXY, evil.pem)).values()
    assert str(finding).isprintable()


_KINDS = [
    "text",
    "file",
    "kubeconfig",
    "certificate",
    "unit",
    "journal",
    "error",
    "version",
    "http",
    "mode",
    "dns",
    "end",
]
_LINE = st.one_of(
    st.text(max_size=40),
    st.builds(
        " ".join,
        st.tuples(
            st.sampled_from(_KINDS),
            st.sampled_from(["-", "kubelet", "uptime", CLIENT, PROXY, _CONFIG, "10.96.0.10"]),
            st.text(max_size=60),
        ),
    ),
    st.sampled_from(told().splitlines()),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_LINE, max_size=60))
def test_no_text_of_a_host_makes_the_reader_or_the_judge_fail(lines: list[str]) -> None:
    facts = parse_host_facts("\n".join(lines))
    found = list(verify_host(expected(), facts, NOW))
    assert {each.node for each in found} == {"n1"}
    assert len(found) < 60


@settings(deadline=None)
@given(st.lists(st.integers(0, len(told())), max_size=4))
def test_what_is_cut_short_is_never_well(cuts: list[int]) -> None:
    text = told()
    for cut in cuts:
        text = text[: min(cut, len(told()) - 5)]
    if cuts:
        assert any(each.level is Level.FAILED for each in findings(text))


def test_nothing_told_is_nothing_known() -> None:
    found = list(verify_host(expected(), HostFacts(), NOW))
    assert not [each for each in found if each.level is Level.OK and "journal" not in each.what]


def test_the_healthy_host_has_the_certificates_that_are_declared() -> None:
    assert {each.path for each in expected().certificates} == set(certificates())
