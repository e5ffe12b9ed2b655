"""What hosts say is turned into findings, and hosts are compared with one another."""

from __future__ import annotations

from kube_nodes.fleet.preflight import read_answer, shared_numbers
from kube_nodes.fleet.ssh import Answer
from kube_nodes.model.findings import Finding, Level
from kube_nodes.model.machine import Machine

ID = "592d7339d2d648179d9c63bef315a7de"


def test_a_line_of_a_host_is_a_finding_with_its_parts() -> None:
    lines = (
        "n1: https://192.0.2.1:6443: curl: (7) no; way: out; the API server answers; open the way\n"
        "n1: note: /: not a shared mount; pods need it; mount --make-rshared /\n"
    )
    assert list(read_answer(Answer(node="n1", status=1, stderr=lines))) == [
        Finding(
            node="n1",
            what="https://192.0.2.1:6443",
            level=Level.FAILED,
            value="curl: (7) no; way: out",
            rule="the API server answers",
            remedy="open the way",
        ),
        Finding(
            node="n1",
            what="/",
            level=Level.NOTE,
            value="not a shared mount",
            rule="pods need it",
            remedy="mount --make-rshared /",
        ),
    ]


def test_a_host_that_says_nothing_and_fails_or_is_not_reached_is_a_finding() -> None:
    (ended,) = read_answer(Answer(node="n1", status=2))
    assert (ended.level, ended.value) == (Level.FAILED, "ended with status 2 and said nothing")
    (missed,) = read_answer(Answer(node="n1", error="10.0.0.1 port 22 did not answer"))
    assert (missed.level, missed.what) == (Level.FAILED, "SSH")
    assert list(read_answer(Answer(node="n1", status=0, stdout="ok\n"))) == []


def test_a_host_without_sftp_is_a_finding() -> None:
    (found,) = read_answer(Answer(node="n1", status=0, stdout="ok\n", sftp=False))
    assert (found.level, found.what, found.value) == (
        Level.FAILED,
        "SFTP",
        "sshd does not serve it",
    )
    assert "internal-sftp" in found.remedy
    assert list(read_answer(Answer(node="n1", status=0, stdout="ok\n", sftp=True))) == []


def test_a_number_that_two_hosts_have_is_told_of_both() -> None:
    machines = {
        "n1": Machine(machine_id=ID),
        "n2": Machine(machine_id="0123456789abcdef0123456789abcdef"),
        "n3": Machine(machine_id=ID),
        "n4": Machine(),
        "n5": Machine(),
    }
    found = list(shared_numbers(machines))
    assert [(each.node, each.what, each.value) for each in found] == [
        ("n1", "machine-id", f"{ID}, as n3"),
        ("n3", "machine-id", f"{ID}, as n1"),
    ]
