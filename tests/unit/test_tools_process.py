"""Progress lines of long commands."""

import signal
import subprocess
from typing import Any

import pytest

from lab.tools import ToolsError, process
from lab.tools.process import duration, run_with_progress

GO_OUTPUT = """
echo 'go: downloading example.com/a v1.0.0'
echo 'go: downloading example.com/b v1.0.0'
echo 'example.com/a/internal/text'
sleep 0.4
"""


def test_progress_says_what_runs_how_long_and_how_far() -> None:
    lines: list[str] = []

    run_with_progress(["sh", "-c", GO_OUTPUT], what="x", report=lines.append, every_seconds=0.25)

    assert lines == ["x: 0 s, 2 modules downloaded, 1 packages compiled"]


def test_a_command_that_is_quick_reports_nothing() -> None:
    lines: list[str] = []

    run_with_progress(["true"], what="x", report=lines.append)

    assert lines == []


def test_a_failure_shows_the_last_lines_only() -> None:
    script = 'for i in $(seq 100); do echo "line $i"; done; exit 3'

    with pytest.raises(ToolsError) as raised:
        run_with_progress(["sh", "-c", script], what="x", report=print)

    text = str(raised.value).splitlines()
    assert text[0] == "x: `sh` ended with 3:"
    assert [line.strip() for line in text[1:]] == [f"line {i}" for i in range(86, 101)]


def test_an_error_while_reporting_ends_the_command() -> None:
    def interrupt(_line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_with_progress(["sleep", "98765"], what="x", report=interrupt, every_seconds=0.1)

    shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert "sleep 98765" not in shown.stdout.splitlines()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s")]
)
def test_durations_are_written_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_interrupt_while_a_command_starts_still_ends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The signal comes after the process was made and before anyone could note its id."""
    started: list[subprocess.Popen[str]] = []
    start = process._start

    def start_and_interrupt(*arguments: Any) -> subprocess.Popen[str]:
        started.append(start(*arguments))
        signal.raise_signal(signal.SIGINT)
        return started[0]

    monkeypatch.setattr(process, "_start", start_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_with_progress(["sleep", "30"], what="x", report=print)

    assert started[0].poll() == -signal.SIGTERM


def test_a_command_that_ignores_being_told_to_end_is_killed_with_its_children(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "_PATIENCE_SECONDS", 0.2)

    def interrupt(_line: str) -> None:
        raise KeyboardInterrupt

    script = "trap '' TERM; sleep 98764 & sleep 98764"
    with pytest.raises(KeyboardInterrupt):
        run_with_progress(["sh", "-c", script], what="x", report=interrupt, every_seconds=0.2)

    shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert "sleep 98764" not in shown.stdout.splitlines()
