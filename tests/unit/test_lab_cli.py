"""The lab's command line, as far as it goes without a lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import cli
from lab.spec import LabSpec


@pytest.mark.parametrize("command", ["status", "ssh n1", "remove-host n1", "add-host n3"])
def test_a_command_on_no_lab_says_how_to_make_one(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *rest = command.split()

    assert cli.main([name, f"--dir={tmp_path}", *rest]) == 1
    assert "python -m lab up" in capsys.readouterr().err


def test_the_ssh_command_is_printed_for_a_shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    LabSpec(directory=tmp_path).with_hosts(("n1",)).save()

    assert cli.main(["ssh", f"--dir={tmp_path}", "--print", "--user=admin", "n1"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("ssh -F none -i ")
    assert printed.endswith("admin@10.98.0.11\n")


def test_a_host_that_is_not_there_is_named_with_those_that_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    LabSpec(directory=tmp_path).with_hosts(("n1", "n2")).save()

    assert cli.main(["ssh", f"--dir={tmp_path}", "n7"]) == 1
    assert 'host "n7" is not in the lab; its hosts are: n1, n2.' in capsys.readouterr().err


def test_an_argument_that_no_command_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        cli.main(["status", f"--dir={tmp_path}", "--everything"])


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    listed = capsys.readouterr().out
    for name in ("up", "add-host", "remove-host", "down", "status", "env", "ssh", "configure"):
        assert f"\n    {name}" in listed
        with pytest.raises(SystemExit):
            cli.main([name, "--help"])
        assert "--dir" in capsys.readouterr().out
