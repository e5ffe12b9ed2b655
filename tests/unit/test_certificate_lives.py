"""The table of certificates: what ends when, what vouches for it, and what is to be done."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from kube_nodes.fleet.certificates import Look, certificates_alone, judge, show, to_json
from kube_nodes.fleet.ssh import Answer
from kube_nodes.model.certificate_lives import (
    CertificateLife,
    authority_lives,
    ending_within,
    host_lives,
    issued_life,
    sort_lives,
)
from kube_nodes.model.findings import Level
from kube_nodes.render.inspection import render_inspection_script
from tests.unit.healthy_node import (
    CLIENT,
    NOW,
    PROXY,
    authority,
    certificates,
    expected,
    facts,
    issue,
    told,
)

_NEXT = issue("kubernetes", ends=NOW + timedelta(days=7300))
_BOTH = authority().pem + _NEXT.pem


def _with(**pems: str) -> str:
    """Let the healthy host tell of other certificates, by `proxy` and `client`."""
    paths = {"proxy": PROXY, "client": CLIENT}
    text = told()
    for name, pem in pems.items():
        text = re.sub(rf"^certificate {paths[name]} .*\n", "", text, flags=re.M)
        lines = "".join(f"certificate {paths[name]} {line}\n" for line in pem.splitlines())
        text = lines + text
    return text


def _rows(text: str, *, ca: str = "") -> dict[str, CertificateLife]:
    declared = replace(expected(), ca_certificate=ca or authority().pem)
    return {each.name: each for each in host_lives(declared, facts(text), NOW)}


def _printed(seen: Look) -> str:
    console = Console(file=io.StringIO(), width=200)
    show(seen, NOW, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_each_certificate_of_a_host_has_its_end_its_ca_and_what_renews_it() -> None:
    rows = _rows(told())
    assert {name: (each.days_left(NOW), each.renewal) for name, each in rows.items()} == {
        "kubelet's certificate": (265, "the kubelet"),
        "kubelet's serving certificate": (265, "the kubelet, with approve"),
        "kube-proxy's certificate": (265, "kubeProxyCertificate.epoch"),
    }
    assert {(each.issuer, each.level) for each in rows.values()} == {("CA", Level.OK)}


def test_of_two_cas_of_one_name_it_says_which_has_issued_what() -> None:
    renewed = issue("system:kube-proxy", _NEXT).pem
    issuers = {name: each.issuer for name, each in _rows(_with(proxy=renewed), ca=_BOTH).items()}
    assert issuers == {
        "kubelet's certificate": "CA 1",
        "kubelet's serving certificate": "CA 1",
        "kube-proxy's certificate": "CA 2",
    }
    names = [each.name for each in authority_lives(_BOTH, NOW)]
    assert names == ["CA 1, CN=kubernetes", "CA 2, CN=kubernetes"]


def test_when_the_old_ca_is_dropped_what_it_has_issued_is_said_to_be_nobodys() -> None:
    rows = _rows(told(), ca=_NEXT.pem)
    assert {(each.issuer, each.level) for each in rows.values()} == {("", Level.FAILED)}
    assert all("not issued by the cluster's CA" in str(each.findings[0]) for each in rows.values())


@pytest.mark.parametrize(
    ("days", "level", "words"),
    [
        (-1, Level.FAILED, "expired on 2031-04-30"),
        (29, Level.NOTE, "raise kubeProxyCertificate.epoch, and run up"),
        (31, Level.OK, "31 days left"),
    ],
)
def test_what_nothing_renews_is_noted_30_days_before_its_end(
    days: int, level: Level, words: str
) -> None:
    ends = NOW + timedelta(days=days, minutes=1)
    row = _rows(_with(proxy=issue("system:kube-proxy", authority(), ends=ends).pem))
    found = row["kube-proxy's certificate"]
    assert (found.level, words in str(found.findings[0])) == (level, True)
    as_issued = issued_life(f"{ends:%Y-%m-%dT%H:%M:%SZ}", NOW)
    assert as_issued.level is level


def test_a_limit_of_days_fails_what_nothing_renews_and_leaves_the_kubelets_alone() -> None:
    ends = NOW + timedelta(days=40)
    client = issue("system:node:n1", authority(), organization="system:nodes", ends=ends)
    proxy = issue("system:kube-proxy", authority(), ends=ends)
    own = [*authority_lives(authority().pem, NOW)]
    lives = [*own, *_rows(_with(client=client.pem, proxy=proxy.pem)).values()]
    for days, failing in ((40, set()), (41, {"kube-proxy's certificate"})):
        found = list(ending_within(lives, days, NOW))
        assert {each.name for each in found if each.level is Level.FAILED} == failing
    (line,) = (str(each.findings[0]) for each in found if each.level is Level.FAILED)
    assert line.endswith("it must last 41 days; raise kubeProxyCertificate.epoch, and run up")
    ca = next(each for each in ending_within(lives, 4000, NOW) if each.name.startswith("CA,"))
    assert "docs/operations.md says how a CA is replaced" in str(ca.findings[0])


def _answers() -> list[Answer]:
    """n1 and n2 are alike; n3 is down, n4 has not joined, n5 has no kubelet's certificate."""
    without = re.sub(rf"^certificate {CLIENT} .*\n", "", told(), flags=re.M)
    return [
        Answer(node="n1", status=0, stdout=told()),
        Answer(node="n2", status=0, stdout=told()),
        Answer(node="n3", error="no route to host; see that it runs"),
        Answer(node="n4", status=0, stdout="text uptime 9\nend\n"),
        Answer(node="n5", status=0, stdout=without),
    ]


def _seen(answers: Iterable[Answer]) -> Look:
    answers = list(answers)
    declared = {each.node: replace(expected(), id=each.node) for each in answers}
    own = [*authority_lives(authority().pem, NOW), issued_life("2031-05-20T00:00:00Z", NOW)]
    return judge(own, declared, answers, NOW)


def test_the_soonest_end_is_first_and_what_ends_together_is_one_row() -> None:
    seen = _seen(_answers())
    assert [(each.name, each.nodes) for each in seen.lives] == [
        ("kubelet's certificate", ("n5",)),
        ("kube-proxy's certificate, as issued", ()),
        ("kubelet's certificate", ("n1", "n2")),
        ("kube-proxy's certificate", ("n1", "n2", "n5")),
        ("kubelet's serving certificate", ("n1", "n2", "n5")),
        ("CA, CN=kubernetes", ()),
    ]
    text = _printed(seen)
    assert (
        "n5: kubelet's certificate in /var/lib/kubelet/pki/kubelet-client-current.pem: no" in text
    )
    assert "│ 2031-05-20 00:00 │ 19 d   │ kube-proxy's certificate, as issued │ (stack)" in text


def test_a_host_that_is_down_is_a_line_and_one_that_has_not_joined_is_well() -> None:
    seen = _seen(_answers())
    assert seen.silent == {"n3": "SSH: no route to host; see that it runs; " + _SSH_RULE}
    assert seen.new == ["n4"]
    assert "not looked at: n3: SSH: no route to host" in _printed(seen)
    assert "n4: not joined yet" in _printed(seen)
    assert _seen([_answers()[2]]).failed
    assert not _seen([*_answers()[:2], _answers()[3]]).failed


_SSH_RULE = "the host is looked at over SSH"


def test_a_program_gets_the_same() -> None:
    document: dict[str, Any] = to_json(_seen(_answers()), NOW)
    assert document["failed"] is True
    assert list(document["notLookedAt"]) == ["n3"]
    first, second, *_ = document["certificates"]
    assert (first["ends"], first["daysLeft"], first["level"]) == ("", None, "failed")
    assert (second["ends"], second["daysLeft"]) == ("2031-05-20T00:00:00Z", 19)


def test_the_look_is_at_certificates_alone() -> None:
    script = render_inspection_script(certificates_alone(expected())).partition("# end")[0]
    calls = [line.split()[0] for line in script.splitlines()[-9:]]
    assert calls.count("pem") == 2 and calls.count("kubeconfig") == 1
    assert not {"file", "unit", "http", "dns", "version", "journal"} & set(calls)


@given(st.text(max_size=200))
def test_whatever_stands_in_the_place_of_a_certificate_is_a_row_without_an_end(text: str) -> None:
    pem = f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----"
    (row,) = sort_lives([_rows(_with(proxy=pem))["kube-proxy's certificate"]])
    assert (row.ends, row.issuer, row.level) == (None, "", Level.FAILED)


def test_every_certificate_of_the_healthy_host_is_looked_at() -> None:
    assert len(_rows(told())) == len(certificates())
