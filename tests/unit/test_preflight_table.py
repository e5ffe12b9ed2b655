"""docs/preflight.md has every finding that the scripts can make, and none that they can't."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from kube_nodes.render.shell import constant_shell

_PROJECT = Path(__file__).parents[2]
_SCRIPTS = sorted((_PROJECT / "host").glob("*.sh"))


def findings(text: str) -> Iterator[tuple[str, str, str]]:
    """Give level, rule and remedy of each call of found and note; what is computed becomes `…`."""
    for call in re.finditer(r"(?:^|[|&] )(found|note) (?=\S+ )", text, re.MULTILINE):
        words = _words(text[call.end() :])
        level = "error" if call[1] == "found" else "note"
        if len(words) == 4:
            yield level, words[2], words[3]


def _words(text: str) -> list[str]:
    """Split the beginning of a shell command into its words, up to the end of the command."""
    words: list[str] = []
    word, place = "", 0
    text = text.replace("\\\n", "  ")
    while place < len(text):
        part = _part(text, place)
        if part in ("\n", ";", "}"):
            break
        place += len(part)
        if part == " ":
            words, word = ([*words, word] if word else words), ""
        else:
            word += _shown(part)
    return [*words, word] if word else words


def _part(text: str, place: int) -> str:
    """Take a character, a substitution, or a string in quotes, with all that is nested in it."""
    if text.startswith("$(", place):
        end = place + 2
        while text[end] != ")":
            end += len(_part(text, end))
        return text[place : end + 1]
    if text[place] == '"':
        end = place + 1
        while text[end] != '"':
            end += len(_part(text, end)) if text[end] == "$" else 1
        return text[place : end + 1]
    if found := re.compile(r"\$\{[^}]*\}|\$\w+").match(text, place):
        return found[0]
    if found := re.compile(r"'[^']*'").match(text, place):
        return found[0]
    return text[place]


def _shown(part: str) -> str:
    if part.startswith("$"):
        return "…"
    inner = part[1:-1] if part[0] in "\"'" else part
    shown, place = "", 0
    while place < len(inner):
        piece = _part(inner, place) if inner[place] == "$" else inner[place]
        shown += "…" if piece.startswith("$") else piece
        place += len(piece)
    return shown


def _rows() -> list[tuple[str, ...]]:
    text = (_PROJECT / "docs" / "preflight.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if re.match(r"\| [^|]+ \| (error|note) \|", line)]
    return [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines]


def test_the_table_has_each_finding_with_its_rule_and_remedy() -> None:
    made = {
        finding
        for script in _SCRIPTS
        # units.sh has a function `note` of its own, for paths.
        if "found " in (text := constant_shell(script.stem))
        for finding in findings(text)
    }
    told = {(level, rule, remedy) for _, level, rule, remedy, _ in _rows() if rule != "-"}
    assert len(made) > 25
    assert made == told


def test_a_finding_can_be_told_apart_into_its_parts() -> None:
    """Between value, rule and remedy stands `; `, which none of the last two holds."""
    for script in _SCRIPTS:
        for finding in findings(constant_shell(script.stem)):
            assert not [part for part in finding if ";" in part]
