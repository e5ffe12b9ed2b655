"""What a host reaches: a Service by its address and by its name, and pods on other nodes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kube_nodes.model.check import failed, note, passed, unchecked
from kube_nodes.model.dns import DnsError, parse_answer
from kube_nodes.model.expectation import ExpectedName, ExpectedNetwork
from kube_nodes.model.findings import Finding
from kube_nodes.model.host_facts import HostFacts
from kube_nodes.model.service_check import NAME, NAMESPACE

# Under these names the host tells of what it reached; a pod's is followed by its node.
SERVICE = "service"
POD = "pod-on-"


def service_answers(network: ExpectedNetwork, facts: HostFacts) -> bool:
    """Say whether the Service was reached."""
    fact = facts.http.get(SERVICE)
    return fact is not None and fact.status in network.service_status


def judge_network(network: ExpectedNetwork, facts: HostFacts) -> Iterator[Finding]:
    """Judge what was reached from a host."""
    if network.service_url:
        what = f"Service {network.service_url}"
        remedy = "see `journalctl -u kube-proxy` there, and that the Service has endpoints"
        yield _reached(what, SERVICE, network.service_status, remedy, facts)
    else:
        yield unchecked("Service", "its address is not known")
    for node, url in network.pods.items():
        what = f"pod on {node}, {url}"
        remedy = "see to the pod network between the two hosts: its own pods, routes, firewall"
        yield _reached(what, f"{POD}{node}", frozenset({"200"}), remedy, facts)
    if network.name:
        for server in network.name.servers:
            yield _name(network.name, server, facts)


def judge_pods(pods: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Judge the pods of the test workload on one node: the pod network and the runtime work."""
    what = f"pod of {NAMESPACE}/{NAME}"
    for pod in pods:
        status = pod.get("status") or {}
        conditions = {each["type"]: each["status"] for each in status.get("conditions") or []}
        if status.get("phase") == "Running" and conditions.get("Ready") == "True":
            yield passed(what, str(status.get("podIP", "")))
            return
    phases = ", ".join(_phase(pod) for pod in pods) or "there is none"
    remedy = f"see `kubectl describe pods -n {NAMESPACE}`"
    yield failed(what, phases, "one runs on every worker, and is ready", remedy)


def _phase(pod: Mapping[str, Any]) -> str:
    """Say what keeps a pod from running, where its container tells."""
    status = pod.get("status") or {}
    waiting = [
        str(reason)
        for each in status.get("containerStatuses") or []
        if (reason := ((each.get("state") or {}).get("waiting") or {}).get("reason"))
    ]
    return " ".join([str(status.get("phase", "unknown")), *waiting])


def _reached(
    what: str, name: str, statuses: frozenset[str], remedy: str, facts: HostFacts
) -> Finding:
    fact = facts.http.get(name)
    if fact is None:
        return unchecked(what, "the host did not tell")
    if fact.status in statuses:
        return passed(what, fact.status)
    rule = f"it must answer {' or '.join(sorted(statuses))}"
    return failed(what, f"{fact.status} {fact.error}".strip(), rule, remedy)


def _name(wanted: ExpectedName, server: str, facts: HostFacts) -> Finding:
    what = f"{wanted.name} at {server}"
    said = facts.dns.get(server, "")
    if said in ("", "no-bash"):
        return unchecked(what, "the host has no bash, which it takes to ask" if said else "no word")
    if said == "silent" and server not in wanted.served:
        rule = "no Service has this address, and pods are told to ask there"
        return note(what, "no answer", rule, "run the cluster's DNS there, or correct clusterDns")
    try:
        found = _addresses(said, ipaddress.ip_address(wanted.address).version)
    except DnsError as error:
        found, problem = [], str(error)
    else:
        problem = f"it is {', '.join(found)} there"
    if wanted.address in found:
        return passed(what, wanted.address)
    remedy = "see the pods of the cluster's DNS, and that clusterDomain is theirs"
    return failed(what, problem, f"it must be {wanted.address}", remedy)


def _addresses(said: str, version: int) -> list[str]:
    if said == "silent":
        raise DnsError("no answer")
    try:
        return parse_answer(bytes.fromhex(said), version)
    except ValueError:
        raise DnsError("the answer is cut short or none") from None
