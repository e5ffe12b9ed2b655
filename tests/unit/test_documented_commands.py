"""Each command of the documents is run by a test, or marked as an example.

Above each block of shell stands a comment, which Markdown does not show:

    <!-- run by test_one, test_two -->
    <!-- run by test_one; example: pulumi login, make test -->
    <!-- example: there is no such host here -->

What a test runs may have other names in it (`dev` for `prod`). Held against it here: the tests are
there, and their files read the block from the document, or name what each command is about (the
target of make, the verb of a CLI).
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_DOCUMENTS = [
    *sorted(_ROOT.glob("*.md")),
    *sorted((_ROOT / "docs").rglob("*.md")),
]
_BLOCK = re.compile(
    r"(?:^ *(<!-- (?:(?!-->).)*-->)\n)?^ *```sh\n(.*?)^ *```", re.DOTALL | re.MULTILINE
)
_MARK = re.compile(r"<!-- (?:run by ([\w, ]+?))?(?:; )?(?:example(?:: (.+?))?)? -->")
# What a command is about; others (export, git diff, cd) do nothing of ours.
_COMMAND = re.compile(
    r"(?:^|[|;&(]|\btime )\s*"
    r"(?:make (?:-s )?|pulumi |kubectl |npm |\./membership/run "
    r"|[\w./]*python3? -m (?:kube_nodes\.fleet )?)([a-z][\w.-]*)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A block of shell, and the comment above it."""

    document: str
    mark: str
    text: str

    @property
    def tests(self) -> list[str]:
        """The tests that run it."""
        found = _MARK.fullmatch(self.mark)
        return re.split(", ", found[1]) if found and found[1] else []

    @property
    def is_example(self) -> bool:
        """Whether no test runs any of it."""
        return bool(_MARK.fullmatch(self.mark)) and not self.tests

    @property
    def commands(self) -> Iterator[str]:
        """What its commands are about, those that are marked as examples left out."""
        found = _MARK.fullmatch(self.mark)
        examples = re.split(", ", found[2]) if found and found[2] else []
        lines = re.sub(r" *\\\n *", " ", self.text).splitlines()
        for line in (re.sub(r"(^| )#.*", "", line) for line in lines):
            if not any(each in line for each in examples):
                yield from _COMMAND.findall(line.strip())


_BLOCKS = [
    Block(str(path.relative_to(_ROOT)), " ".join(mark.split()), text)
    for path in _DOCUMENTS
    for mark, text in _BLOCK.findall(path.read_text(encoding="utf-8"))
]
_NAMES = [f"{block.document}: {block.text.strip().splitlines()[0][:60]}" for block in _BLOCKS]
_RUN = [(block, name) for block, name in zip(_BLOCKS, _NAMES, strict=True) if block.tests]


@cache
def _tests() -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for file in sorted((_ROOT / "tests").rglob("test_*.py")):
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE):
            found.setdefault(name, []).append(file)
    return found


@cache
def _text(file: Path) -> str:
    """Give a file of tests, with the modules of its folder that it is made with."""
    text = file.read_text(encoding="utf-8")
    used = re.findall(r"^from tests\.([\w.]+) import", text, re.MULTILINE)
    paths = [_ROOT / "tests" / f"{name.replace('.', '/')}.py" for name in used]
    return text + "".join(path.read_text(encoding="utf-8") for path in paths if path.exists())


@pytest.mark.parametrize("block", _BLOCKS, ids=_NAMES)
def test_each_block_says_which_test_runs_it_or_that_it_is_an_example(block: Block) -> None:
    assert _MARK.fullmatch(block.mark), "the comment above it is missing, or not of the form"
    assert block.tests or block.is_example


@pytest.mark.parametrize("block", [b for b, _ in _RUN], ids=[name for _, name in _RUN])
def test_each_test_that_is_named_is_there_and_is_about_the_commands(block: Block) -> None:
    files = [file for name in block.tests for file in _tests().get(name, [])]
    assert [name for name in block.tests if name not in _tests()] == []
    text = "\n".join(_text(file) for file in files)
    if f'"{block.document}"' in text:
        return
    for command in block.commands:
        assert re.search(rf"\b{re.escape(command)}\b", text), f"no test of these runs {command}"


def test_most_blocks_are_run() -> None:
    assert len(_BLOCKS) > 25
    assert len(_RUN) > len(_BLOCKS) * 2 / 3


def _modules() -> list[str]:
    texts = [path.read_text(encoding="utf-8") for path in _DOCUMENTS]
    code = "\n".join(
        each for text in texts for each in re.findall(r"```sh\n.*?```|`[^`\n]+`", text, re.DOTALL)
    )
    return sorted(set(re.findall(r"python3? -m ([\w.]+)", code)))


@pytest.mark.parametrize("module", _modules())
def test_each_module_that_is_to_be_run_is_there(module: str) -> None:
    found = importlib.util.find_spec(module)
    assert found
    # A package runs by its __main__.
    if found.submodule_search_locations is not None:
        assert importlib.util.find_spec(f"{module}.__main__")
