"""Messages of kubelet and kube-proxy that the manual's readers met are known by their lines.

The lines are as the programs write them: kube-proxy 1.11 (kubernetes#68447) and newer ones,
client-go before and after 1.14 (kubernetes#52711), the kubelet 1.36.
"""

from __future__ import annotations

import re
import subprocess

import pytest

from kube_nodes.model.findings import Finding, Level
from kube_nodes.model.host_facts import JournalLine
from kube_nodes.model.journal import MESSAGES, PATTERN, judge_journal
from tests.documented import assert_documented
from tests.unit.healthy_node import not_well, told

_MANUALS = (
    "E0905 20:09:11.733419       1 proxier.go:423] Failed to execute iptables-restore for nat: "
    "exit status 1 (iptables-restore: line 7 failed"
)
_LINES = {
    _MANUALS: "iptables-restore",
    "E0627 09:28:54.054930       1 proxier.go:1598] Failed to execute iptables-restore: exit status"
    " 1 (iptables-restore: line 86 failed )": "iptables-restore",
    'E0217 11:12:14.212635    9234 proxier.go:1432] "Failed to execute iptables-restore" err=<':
    "iptables-restore",
    "ip6tables-restore: line 12 failed": "iptables-restore",
    "E0918 03:04:31.112 reflector.go:205] Failed to list *v1.Node: nodes is forbidden: User"
    ' "system:kube-proxy" cannot list nodes at the cluster scope': "nodes is forbidden",
    'E1126 1:02:03.4 server.go:1] "Unable to get node" err="nodes \\"n1\\" is forbidden: User':
    "nodes is forbidden",
    'E1126 reflector.go:9] nodes "n1" is forbidden: User "system:anonymous" cannot get resource':
    "nodes is forbidden",
    'W1126 kubelet.go:7] strict decoding error: unknown field "maxPodz"': "unknown field",
    'E1126 run.go:1] err="strict decoding error: unknown field \\"spec.x\\""': "unknown field",
    "Flag --pod-infra-container-image has been deprecated, will be removed": "flag",
    "Error: failed to parse kubelet flag: unknown flag: --allow-privileged": "flag",
    'E1127 remote_runtime.go:193] "RunPodSandbox from runtime service failed" err="rpc error:'
    ' code = Unknown desc = failed to get sandbox image \\"registry.k8s.io/pause:3.6\\": failed':
    "sandbox image",
    'E1127 log.go:32] err="rpc error: desc = failed to start sandbox \\"5f\\": failed to get'
    ' sandbox image \\"registry.k8s.io/pause:3.10\\": failed to pull image"': "sandbox image",
    "I1126 proxier.go:805] Syncing iptables rules": None,
    'I1126 kubelet.go:1] "Adding node label from config"': None,
}  # fmt: skip


def _judge(
    *lines: tuple[int, str], now: int = 100_000, service_answers: bool = True
) -> list[Finding]:
    found = [JournalLine(seconds=at, text=text) for at, text in lines]
    return list(
        judge_journal(
            "kube-proxy",
            found,
            started_seconds=1000,
            now_seconds=now,
            service_answers=service_answers,
        )
    )


@pytest.mark.parametrize(("line", "key"), _LINES.items(), ids=lambda value: str(value)[-30:])
def test_a_line_is_known_or_passed_over(line: str, key: str | None) -> None:
    (finding,) = _judge((1001, line))
    if key is None:
        assert (finding.what, finding.level) == ("journal of kube-proxy", Level.OK)
    else:
        assert finding.what == f"journal of kube-proxy: {key}"
        assert line in finding.value


@pytest.mark.parametrize("line", _LINES)
def test_the_host_looks_for_the_same_lines(line: str) -> None:
    """One pattern, read by grep there and by Python here."""
    done = subprocess.run(["grep", "-cE", "-e", PATTERN], input=line, text=True, check=False,
                          capture_output=True)  # fmt: skip
    assert (done.returncode == 0) is bool(re.search(PATTERN, line))
    assert done.stderr == "", "grep finds no fault with the pattern"


def test_the_manuals_line_at_the_start_is_a_note_where_the_service_answers() -> None:
    (finding,) = _judge((1010, _MANUALS))
    assert finding.level is Level.NOTE
    assert "kubernetes#68447" in finding.rule
    assert "52711" not in str(finding)
    assert finding.remedy == ""


def test_the_manuals_line_is_a_failure_where_the_service_does_not_answer() -> None:
    (finding,) = _judge((1010, _MANUALS), service_answers=False)
    assert finding.level is Level.FAILED
    assert "kube-proxy --cleanup" in finding.remedy


def test_the_manuals_line_is_a_failure_while_it_goes_on() -> None:
    """kube-proxy tries again every half minute."""
    lines = [(at, _MANUALS) for at in (1010, 1040, 1200, 1230)]
    (finding,) = _judge(*lines, now=1240)
    assert finding.level is Level.FAILED
    assert finding.value.endswith("(and 3 like it)")
    (later,) = _judge(*lines, now=5000)
    assert later.level is Level.NOTE


def test_forbidden_nodes_point_at_the_api_servers_authorization() -> None:
    line = next(line for line, key in _LINES.items() if key == "nodes is forbidden")
    (finding,) = _judge((9000, line), now=9001)
    assert finding.level is Level.FAILED
    assert "--authorization-mode=Node,RBAC" in finding.remedy
    assert "kubernetes#52711" in finding.rule


def test_forbidden_nodes_while_a_node_joins_are_usual() -> None:
    line = next(line for line, key in _LINES.items() if key == "nodes is forbidden")
    assert [each.level for each in _judge((1060, line))] == [Level.OK]
    assert [each.level for each in _judge((1200, line))] == [Level.NOTE]
    assert [each.level for each in _judge((1060, line), service_answers=False)] == [Level.FAILED]


def test_a_dropped_flag_is_a_note_with_its_line() -> None:
    line = "Flag --pod-infra-container-image has been deprecated, will be removed"
    (finding,) = _judge((1001, line), service_answers=False)
    assert (finding.level, finding.value) == (Level.NOTE, line)


def test_a_sandbox_image_that_is_missing_is_a_failure_for_as_long_as_it_is_asked_for() -> None:
    line = next(line for line, key in _LINES.items() if key == "sandbox image")
    (finding,) = _judge((1001, line), now=1002)
    assert finding.level is Level.FAILED
    said = f"n1: {finding}".replace("kube-proxy", "kubelet")
    assert_documented(said, "Image of the sandbox missing")
    (over,) = _judge((1001, line), now=1001 + 181)
    assert (over.level, over.remedy) == (Level.NOTE, "")


def test_several_kinds_are_told_each_on_its_own() -> None:
    found = _judge(*((1001, line) for line in _LINES))
    assert [each.what.rpartition(": ")[2] for each in found] == [each.key for each in MESSAGES]


def test_a_hosts_journal_is_read_once_and_without_the_source_of_its_lines() -> None:
    line = f"journal kube-proxy [ 1003.120001] n1 kube-proxy[123]: {_MANUALS}"
    found = not_well(f"{line}\n{line}\n{told()}")
    (finding,) = found.values()
    assert finding.level is Level.NOTE
    assert finding.value == _MANUALS


def test_the_same_line_is_a_failure_on_a_host_that_reaches_no_service() -> None:
    line = f"journal kube-proxy [ 1003.120001] n1 kube-proxy[123]: {_MANUALS}"
    found = not_well(f"{line}\n{told().replace('http service 200', 'http service 000 refused')}")
    assert {each.level for each in found.values()} == {Level.FAILED}
    assert "journal of kube-proxy: iptables-restore" in found
