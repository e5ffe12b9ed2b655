"""Everything about one node: what its host told and its Node, against what is declared."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from kube_nodes.model.certificate_checks import judge_certificate
from kube_nodes.model.check import failed, of_node
from kube_nodes.model.expectation import Expectation
from kube_nodes.model.file_checks import judge_files, judge_sysctls
from kube_nodes.model.findings import Finding
from kube_nodes.model.host_facts import HostFacts
from kube_nodes.model.network_checks import judge_network, service_answers
from kube_nodes.model.node_checks import judge_node
from kube_nodes.model.unit_checks import judge_units


def verify_host(
    expected: Expectation, facts: HostFacts, now: datetime.datetime
) -> Iterator[Finding]:
    """Judge what a host told.

    Args:
        expected: the node as it is declared.
        facts: what its host told.
        now: the time that certificates are compared with; the operator's, not the host's.
    """
    return of_node(expected.id, _host(expected, facts, now))


def verify_node(
    expected: Expectation, node: Mapping[str, Any] | None, machine: str
) -> Iterator[Finding]:
    """Judge a worker's Node; see judge_node."""
    return of_node(expected.id, judge_node(expected, node, machine))


def _host(expected: Expectation, facts: HostFacts, now: datetime.datetime) -> Iterator[Finding]:
    if not facts.complete:
        yield failed("host", "what it told is cut short", "it tells all or nothing", "run again")
    yield from judge_files(expected, facts)
    yield from judge_sysctls(expected, facts)
    for each in expected.certificates:
        pem = facts.certificates.get(each.path, "")
        yield judge_certificate(each, pem, expected.ca_certificate, now)
    answers = service_answers(expected.network, facts)
    yield from judge_units(expected, facts, service_answers=answers)
    yield from judge_network(expected.network, facts)
