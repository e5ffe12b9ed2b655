"""What the local commands tell while they wait."""

from __future__ import annotations

import pytest

from kube_nodes.membership.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that a test sets."""
    now = [100.0]
    monkeypatch.setattr("kube_nodes.membership.progress.time.monotonic", lambda: now[0])
    return now


def _told(clock: list[float], capsys: pytest.CaptureFixture[str], waits: list[str]) -> list[str]:
    """Ask for each of the waits, a quarter of a second apart; return the lines."""
    subject = Progress("n1")
    for what in waits:
        subject.awaiting(what)
        clock[0] += 0.25
    return capsys.readouterr().err.splitlines()


def test_what_goes_well_is_not_told(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    assert _told(clock, capsys, ["a", "a", "b", "b", "c", "c"]) == []


def test_the_first_line_comes_soon_and_then_one_every_ten_seconds(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _told(clock, capsys, ["pods"] * 100) == [
        "n1: waiting for pods (0 s)",
        "n1: waiting for pods (10 s)",
        "n1: waiting for pods (20 s)",
    ]


def test_a_wait_that_changes_all_the_time_makes_no_more_lines(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    waits = [f"{number // 3} pods" for number in range(100)]
    assert len(_told(clock, capsys, waits)) == 3
