"""What `make` would run for each of its commands in the documents; nothing is run here."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from kube_nodes.fleet.__main__ import _parser as fleet_parser
from lab.cli import parser as lab_parser

_ROOT = Path(__file__).parents[2]
_DOCUMENTS = [*sorted(_ROOT.glob("*.md")), *sorted((_ROOT / "docs").glob("*.md"))]


def _commands() -> list[str]:
    """Give every make command of a block of shell or between backticks, sorted."""
    texts = [path.read_text(encoding="utf-8") for path in _DOCUMENTS]
    code = [
        re.sub(r"\\\n *", "", each)
        for text in texts
        for each in re.findall(r"```sh\n.*?```|`[^`\n]+`", text, re.DOTALL)
    ]
    pattern = (
        r"(?:^ *|`|&& |time )make ((?:-s )?[a-z][a-z-]*(?: [A-Z_]+=(?:\"[^\"]*\"|[^\s`\"]+))*)"
    )
    found = {each for text in code for each in re.findall(pattern, text, re.MULTILINE)}
    return sorted(each for each in found if "…" not in each)


@pytest.mark.parametrize("command", _commands())
def test_each_runs_what_is_there_with_options_that_it_takes(command: str) -> None:
    words = ["make", "--dry-run", "--old-file=.venv/.installed", *shlex.split(command)]
    done = subprocess.run(words, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    recipe = re.sub(r"\\\n[ \t]*", " ", done.stdout)
    for module, rest in re.findall(r"python -m (kube_nodes\.fleet|lab) ([^|&;)\n]+)", recipe):
        parser = fleet_parser() if module == "kube_nodes.fleet" else lab_parser()
        assert parser.parse_args(shlex.split(rest))


def test_they_are_found() -> None:
    assert len(_commands()) > 30
    assert "preflight STACK=prod JSON=1" in _commands()
