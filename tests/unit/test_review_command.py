"""The command that writes a preview's comment."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from kube_nodes.review.__main__ import main
from kube_nodes.review.preview import PreviewError, parse_preview
from tests.unit.previews import (
    RECORDINGS,
    document,
    script,
    units_step,
)

_MARKER = "<!-- kube-nodes preview of kube-nodes/dev -->"


def test_the_command_reads_a_file_or_standard_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "preview.json"
    path.write_text(document([units_step("a", script("a"), script("a", "maxPods: 9\n"))]))
    assert main([str(path)]) == 0
    read = capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO(path.read_text()))
    assert main(["--api-server", "1.36"]) == 0
    piped = capsys.readouterr().out
    assert "+maxPods: 9" in read
    assert "newer than the API server" in piped


def test_a_preview_that_failed_is_written_down_and_is_an_exit_status(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([str(RECORDINGS / "refused.json")]) == 1
    assert "the preview failed" in capsys.readouterr().out


def test_a_limit_counts_the_whole_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "preview.json"
    text = "".join(f"line{number}: x\n" for number in range(400))
    path.write_text(document([units_step("a", script("a"), script("a", text))]))
    assert main([str(path), "--limit", "2000"]) == 0
    assert len(capsys.readouterr().out) <= 2000


@pytest.mark.parametrize("text", ["", "error: no stack", "[]", "{}", '{"version": 3}'])
def test_what_is_no_preview_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PreviewError):
        parse_preview(text)


def test_a_file_that_is_missing_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["/nonexistent/preview.json"]) == 2
    assert "can't be read: No such file" in capsys.readouterr().err
