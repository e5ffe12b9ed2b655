"""Commands that the documents name are commands that there are, with options that they take."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from kube_nodes.fleet.__main__ import _parser as fleet_parser
from kube_nodes.membership.__main__ import _parser as membership_parser
from kube_nodes.settings import SECRET_KEYS
from lab.cli import parser as lab_parser

_ROOT = Path(__file__).parents[2]
_DOCUMENTS = [
    _ROOT / "README.md",
    _ROOT / "CONTRIBUTING.md",
    *sorted((_ROOT / "docs").rglob("*.md")),
]
_TEXTS = {path: path.read_text(encoding="utf-8") for path in _DOCUMENTS}
_MAKEFILE = (_ROOT / "Makefile").read_text(encoding="utf-8")
_SET_KEY = r"pulumi config set (?:--(?:path|secret|plaintext) )*['\"]?(\w[\w:.-]*)"
_BLOCKS = [
    (str(path.relative_to(_ROOT)), block)
    for path, text in _TEXTS.items()
    for block in re.findall(r"^ *```sh\n(.*?)```", text, re.DOTALL | re.MULTILINE)
]


def _found(pattern: str) -> list[str]:
    """Give all that matches in a block of shell or between backticks, sorted."""
    code = [re.sub(r"\\\n *", "", block) for _, block in _BLOCKS]
    code += [each for text in _TEXTS.values() for each in re.findall(r"`([^`\n]+)`", text)]
    return sorted({match for each in code for match in re.findall(pattern, each, re.MULTILINE)})


def _words(command: str) -> list[str]:
    return shlex.split(re.split(r" [>|&]|\)", command)[0], comments=True)


@pytest.mark.parametrize(("document", "block"), _BLOCKS)
def test_each_block_of_shell_can_be_read_by_one(document: str, block: str) -> None:
    done = subprocess.run(["sh", "-n"], input=block, capture_output=True, text=True, check=False)
    assert done.stderr == "", document


@pytest.mark.parametrize("command", _found(r"python -m kube_nodes\.fleet (\S.*)"))
def test_each_command_for_many_hosts_is_taken(command: str) -> None:
    assert fleet_parser().parse_args(_words(command)).command


@pytest.mark.parametrize("command", _found(r"membership/run (\S.*)"))
def test_each_local_command_is_taken(command: str) -> None:
    assert membership_parser().parse_args(_words(command)).verb


@pytest.mark.parametrize("command", _found(r"python -m lab (\S.*)"))
def test_each_command_of_the_lab_is_taken(command: str) -> None:
    assert lab_parser().parse_args(_words(command)).run


@pytest.mark.parametrize("command", _found(r"\bmake ((?:[a-z-]+ )+[A-Z]+=.*)"))
def test_each_variable_given_to_make_is_one_of_its_command(command: str) -> None:
    target, *words = _words(command)
    recipe = re.search(rf"^{target}:.*\n(?:\t.*\n)+", _MAKEFILE, re.MULTILINE)
    assert recipe, target
    # `up` begins as `lab`, and `$(IN_STACK)` reads STACK.
    read = _MAKEFILE if target in ("up", "lab") else recipe[0].replace("IN_STACK", "STACK")
    for name in (word.partition("=")[0] for word in words if "=" in word):
        assert re.search(rf"\$\((?:or \$\(|if \$\()?{name}\b", read), f"make {target} {name}="


@pytest.mark.parametrize("key", _found(_SET_KEY))
def test_each_key_that_is_set_is_one_of_the_configuration(key: str) -> None:
    known = yaml.safe_load((_ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
    assert re.split(r"[.\[]", key.removeprefix("kube-nodes:"))[0] in {*known, *SECRET_KEYS}


def test_they_are_found() -> None:
    assert len(_BLOCKS) > 15
    for pattern in (r"python -m kube_nodes\.fleet \S", r"membership/run \S", r"python -m lab \S"):
        assert _found(pattern)
    assert len(_found(r"\bmake ((?:[a-z-]+ )+[A-Z]+=.*)")) > 5
    assert len(_found(_SET_KEY)) > 8
