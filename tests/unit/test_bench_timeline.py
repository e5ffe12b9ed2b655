"""Where the time of a join goes: reading of events, journals and objects, and the phases of it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from benchmarks.join_report import BY_HAND, JOIN, NOTHING, Run, join_ratio, per_node, render
from benchmarks.timeline import (
    GROUPS,
    PHASES,
    Login,
    Step,
    by_group,
    durations,
    marks,
    parse_events,
    parse_logins,
    parse_started,
)
from benchmarks.watching import EventLog, read_node, read_request


def event(kind: str, name: str) -> str:
    urn = f"urn:pulumi:dev::kube-nodes::command:remote:Command::{name}"
    return json.dumps({"sequence": 1, "timestamp": 7, kind: {"metadata": {"urn": urn}}})


def test_a_step_goes_from_its_begin_to_its_outputs() -> None:
    lines = [
        (1.0, event("resourcePreEvent", "n1-units")),
        (1.5, json.dumps({"sequence": 2, "timestamp": 7, "diagnosticEvent": {"message": "x"}})),
        (2.0, event("resourcePreEvent", "n2-units")),
        (3.0, event("resOutputsEvent", "n1-units")),
    ]
    assert parse_events(lines) == {"n1-units": Step(1.0, 3.0)}


def entry(seconds: float, message: str, pid: int = 1, **more: str) -> str:
    times = {"__REALTIME_TIMESTAMP": str(round(seconds * 1e6))}
    return json.dumps({**times, "MESSAGE": message, "_PID": str(pid), **more})


def test_logins_are_told_apart_by_their_process() -> None:
    journal = "\n".join(
        [
            "-- No entries --",
            entry(1, "Accepted publickey for root from 10.98.0.1 port 1 ssh2", 10),
            entry(2, "Accepted publickey for root from 10.98.0.1 port 2 ssh2", 20),
            entry(3, "pam_unix(sshd:session): session closed for user root", 20),
            entry(4, "pam_unix(sshd:session): session closed for user root", 10),
            entry(5, "pam_unix(sshd:session): session closed for user root", 99),
        ]
    )
    assert parse_logins(journal) == [Login(1, 4), Login(2, 3)]


def test_the_first_start_of_a_unit_counts() -> None:
    started = "39f53479d3a045ac8e11786248231fbf"
    journal = "\n".join(
        [
            entry(1, "Started x", UNIT="kube-proxy.service", MESSAGE_ID=started),
            entry(2, "Starting kubelet", UNIT="kubelet.service", MESSAGE_ID="other"),
            entry(3, "Started kubelet", UNIT="kubelet.service", MESSAGE_ID=started),
            entry(4, "Started kubelet", UNIT="kubelet.service", MESSAGE_ID=started),
        ]
    )
    assert parse_started(journal, "kubelet.service") == 3
    assert parse_started(journal, "containerd.service") is None


def test_a_login_belongs_to_the_step_in_whose_time_it_was() -> None:
    found = marks(
        "n1",
        begin=0,
        end=9,
        steps={"n1-preflight": Step(1, 3), "n1-units": Step(4, 6), "n2-units": Step(1, 2)},
        logins=[Login(1.5, 2.5), Login(4.5, 5.5)],
        kubelet_started=5,
        seen={"requested": 5.2},
    )
    assert (found["preflight"], found["preflight accepted"], found["preflight closed"]) == (
        1, 1.5, 2.5,
    )  # fmt: skip
    assert (found["units"], found["units accepted"], found["units closed"]) == (4, 4.5, 5.5)
    assert (found["begin"], found["end"]) == (0, 9)
    assert (found["kubelet started"], found["requested"]) == (5, 5.2)


def whole() -> dict[str, float]:
    """Make marks in the order of the phases, a second apart."""
    return {"begin": 0.0} | {phase.mark: float(place) for place, phase in enumerate(PHASES, 1)}


def test_the_phases_are_the_whole_join() -> None:
    found = durations(whole())
    assert [phase for phase, _ in found] == list(PHASES)
    assert all(seconds == 1 for _, seconds in found)
    assert sum(by_group(whole()).values()) == len(PHASES)


def test_what_was_over_before_takes_no_time() -> None:
    found = whole()
    found["issued"] = found["approved"] - 3
    times = {phase.mark: seconds for phase, seconds in durations(found)}
    assert times["issued"] == 0
    assert times["registered"] == 2
    assert sum(times.values()) == len(PHASES)


def test_the_time_of_what_was_not_seen_is_the_next_ones() -> None:
    found = whole()
    del found["issued"]
    times = {phase.mark: seconds for phase, seconds in durations(found)}
    assert "issued" not in times
    assert times["registered"] == 2


def test_every_phase_counts_to_a_known_group() -> None:
    assert {phase.group for phase in PHASES} == set(GROUPS)
    assert len({phase.mark for phase in PHASES}) == len(PHASES)


def node(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "n1", "annotations": {}}, "status": status}


def test_a_node_is_registered_then_ready_then_a_member() -> None:
    new = node()
    assert read_node(new) == ("n1", ["registered"])
    late = node(conditions=[{"type": "Ready", "status": "False"}])
    assert read_node(late) == ("n1", ["registered"])
    ready = node(conditions=[{"type": "Ready", "status": "True"}])
    assert read_node(ready) == ("n1", ["registered", "ready"])
    ready["metadata"]["annotations"] = {"kube-nodes/generation": "1"}
    assert read_node(ready) == ("n1", ["registered", "ready", "member"])


def request(signer: str, **status: Any) -> dict[str, Any]:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "system:node:n1")])
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    text = base64.b64encode(csr.public_bytes(Encoding.PEM)).decode()
    return {"spec": {"request": text, "signerName": signer}, "status": status}


def test_a_request_tells_its_node_and_how_far_it_has_come() -> None:
    client = "kubernetes.io/kube-apiserver-client-kubelet"
    approved = {"conditions": [{"type": "Approved", "status": "True"}]}
    assert read_request(request(client)) == ("n1", ["requested"])
    assert read_request(request(client, **approved)) == ("n1", ["requested", "approved"])
    issued = request(client, certificate="x", **approved)
    assert read_request(issued) == ("n1", ["requested", "approved", "issued"])
    serving = request("kubernetes.io/kubelet-serving")
    assert read_request(serving) == ("n1", ["serving requested"])


def test_an_event_log_is_read_as_it_grows(tmp_path: Path) -> None:
    file = tmp_path / "events"
    with EventLog(file) as log, file.open("w") as writer:
        writer.write("one\ntw")
        writer.flush()
        writer.write("o\n")
    assert [line for _, line in log.lines] == ["one", "two"]


def runs() -> list[Run]:
    found = []
    for number, factor in ((1, 1.0), (2, 2.0)):
        found += [
            Run(JOIN, number, 12 * factor, 2, {"n1": whole(), "n2": whole()}),
            Run(BY_HAND, number, 6 * factor, 2, {}),
            Run(NOTHING, number, 3.0, 2, {}),
            Run(NOTHING, number, 2.9, 1, {}),
        ]
    return found


def test_the_ratio_is_of_one_round() -> None:
    assert join_ratio(runs()).median == 2
    assert join_ratio(runs()).spread == 0


def test_a_node_more_costs_the_difference() -> None:
    assert per_node(runs()) == pytest.approx(0.1)
    assert per_node([run for run in runs() if run.nodes == 2]) is None


def test_the_tables_hold_totals_and_every_phase() -> None:
    text = render(runs())
    assert "| ratio of the same round | 2.00 |" in text
    assert "| one node more, nothing to do | 0.100 |" in text
    for phase in PHASES:
        assert f"| {phase.text} | {phase.group} | 1.00 |" in text
