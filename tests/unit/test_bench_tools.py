"""A tool is run to its end, and what it printed is told when it fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.tools import execute
from lab.errors import LabError


def test_a_tool_that_fails_is_an_error_with_its_last_lines(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"sh: exit status 3; .*\nwhat was wrong"):
        execute(["sh", "-c", "echo what was wrong; exit 3"], os.environ, tmp_path, tmp_path / "log")


def test_a_tool_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.tools.RUN_SECONDS", 0.1)
    with pytest.raises(LabError, match="exit status -9"):
        execute(["sleep", "60"], os.environ, tmp_path, tmp_path / "log")


def test_a_tool_runs_where_it_is_told_to(tmp_path: Path) -> None:
    execute(["sh", "-c", "pwd"], os.environ, tmp_path, tmp_path / "log")
    assert (tmp_path / "log").read_text().strip() == str(tmp_path)
