"""The configuration: each wrong one has its own error, and nothing is done before all is told."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from kube_nodes.settings import (
    ConfigurationError,
    parse_settings,
    read_settings,
)
from tests.configurations import (
    WrongConfiguration,
    materials,
    right_configuration,
    wrong_configurations,
)
from tests.unit.settings_store import faults, store, stored

__all__ = ["stored"]  # a fixture

_WRONG = wrong_configurations()
_CASES = pytest.mark.parametrize("wrong", _WRONG, ids=[wrong.title for wrong in _WRONG])
_contacts: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _contacts is not None and event in (
        "socket.__new__",
        "socket.getaddrinfo",
        "subprocess.Popen",
    ):
        _contacts.append(event)


# An audit hook sees every socket and process of this interpreter, whoever opens it.
sys.addaudithook(_watch)


@pytest.fixture
def contacts() -> Iterator[list[str]]:
    """Everything that was contacted or started while the test ran."""
    global _contacts  # noqa: PLW0603 - the hook can't be taken away again
    _contacts = []
    yield _contacts
    _contacts = None


@_CASES
def test_a_wrong_configuration_is_answered_with_exactly_its_errors(
    wrong: WrongConfiguration, contacts: list[str], stored: Any
) -> None:
    if wrong.plain or wrong.sealed:
        sealed = {key: json.dumps(wrong.values[key]) for key in wrong.sealed}
        store({**wrong.values, **wrong.plain}, wrong.secrets | sealed)
        with pytest.raises(ConfigurationError) as raised:
            read_settings()
        assert raised.value.faults == wrong.errors
    else:
        assert faults(wrong.values, wrong.secrets) == wrong.errors
    assert contacts == []


@_CASES
def test_an_error_has_a_path_a_rule_and_a_remedy(wrong: WrongConfiguration) -> None:
    for error in wrong.errors:
        assert re.match(r"kube-nodes:[\w.\-/\[\] ;$()`]+: .*\S; \S", error)


def test_the_watch_over_sockets_sees_one(contacts: list[str]) -> None:
    socket.socket().close()

    assert contacts == ["socket.__new__"]


def test_there_are_many_wrong_configurations_and_no_two_break_the_same_rule_of_a_key() -> None:
    broken = [
        (_key(path), _rule(rest))
        for wrong in _WRONG
        if len(wrong.errors) == 1
        for path, _, rest in [wrong.errors[0].partition(": ")]
    ]
    assert len(set(broken)) >= 200
    assert [each for each in broken if broken.count(each) > 1] == []


def _key(path: str) -> str:
    """Take off a path what a user may choose, and at which level an option was written."""
    path = re.sub(r"\[\d+\]", "", path)
    path = re.sub(r"\bbinaries\.v?\d+\.\d+(\.\d+)?", "binaries.<version>", path)
    path = re.sub(r"\b(labels|featureGates)\..*", r"\1.<name>", path)
    path = re.sub(r"\b(pools|nodes)\.[^.]+", r"\1.<name>", path)
    return re.sub(r"pools\.<name>\.(nodes\.<name>\.)?options", "options", path)


def _rule(rest: str) -> str:
    """Take the value off what an error says."""
    return re.sub(r'^("(\\.|[^"])*"|-?[\d.]+|true|false|\{…\}|\[…\]) ', "", rest).partition(";")[0]


def test_the_text_of_the_error_counts_the_faults_and_says_that_nothing_was_changed() -> None:
    values = right_configuration(server="x", options={"maxPods": 0})
    with pytest.raises(ConfigurationError) as raised:
        parse_settings(values)
    assert str(raised.value).splitlines() == [
        "2 faults in the stack's configuration; nothing was changed:",
        '  kube-nodes:server: "x" is not an API server\'s URL; write such as https://10.0.0.1:6443',
        "  kube-nodes:options.maxPods: 0 is out of range; give 1 to 1000 pods",
    ]


def test_a_key_of_two_lines_is_told_on_one() -> None:
    assert faults(right_configuration(options={"labels": {"a\nb": "c"}}))[0].startswith(
        'kube-nodes:options.labels.a\\nb: "a\\nb" is not a label key; '
    )


def test_an_address_is_kept_in_its_canonical_form() -> None:
    values = right_configuration(
        server="HTTPS://[2001:DB8:0::10]:6443/",
        podCidrs=["FD00:200:0::/56"],
        serviceCidrs=["fd00:96::/112"],
        options={"clusterDns": ["FD00:96:0::a"]},
    )
    nodes = values["pools"]["workers"]["nodes"]
    nodes["n1"]["address"], nodes["n2"]["address"] = "2001:DB8::0:21", "2001:db8::22"

    got = parse_settings(values)

    assert got.server == "https://[2001:db8::10]:6443"
    assert got.pod_cidrs == ["fd00:200::/56"]
    assert got.nodes[0].address == got.nodes[0].node_ip == "2001:db8::21"
    assert got.nodes[0].options.cluster_dns == ["fd00:96::a"]


def test_a_host_key_is_kept_without_its_comment() -> None:
    values = right_configuration()
    values["pools"]["workers"]["nodes"]["n1"]["hostKey"] += "  root@n1\n"

    assert parse_settings(values).nodes[0].host_key.split()[2:] == []


def test_two_cas_may_stand_together_while_one_is_replaced_by_the_other() -> None:
    both = materials()["ca"] + "\r\n" + materials()["leaf"]
    assert faults(right_configuration(caCertificate=both)) == [
        "kube-nodes:caCertificate: is not a CA's certificate; give the cluster's ca.crt"
    ]
    twice = "the old one:\r\n" + 2 * materials()["ca"].replace("\n", "\r\n")
    assert parse_settings(right_configuration(caCertificate=twice)).ca_certificate == (
        2 * materials()["ca"]
    )


def test_what_takes_a_lost_hosts_place_may_have_its_address() -> None:
    """Both stand in one change: the lost one leaves with a later run."""
    values = right_configuration()
    nodes = values["pools"]["workers"]["nodes"]
    nodes["n9"] = nodes["n1"]
    assert len(faults(values)) == 2
    nodes["n1"] = {**nodes["n1"], "lost": True}
    assert faults(values) == []


@pytest.mark.parametrize("share", [0, "0%", "101%", 1.5, "ten"])
def test_some_node_can_always_be_drained(share: Any) -> None:
    values = right_configuration()
    values["pools"]["workers"]["maxUnavailable"] = share
    (fault,) = faults(values)
    assert fault.startswith("kube-nodes:pools.workers.maxUnavailable: ")
