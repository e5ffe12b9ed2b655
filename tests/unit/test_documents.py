"""The serializers, read back by the rules of their readers: Go's YAML, systemd's words."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_nodes.render.documents import merge_documents, render_command, render_unit, render_yaml

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_SCALAR = _TEXT | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_VALUE = st.recursive(
    _SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=5,
)
_DOCUMENT = st.dictionaries(_TEXT, _VALUE, max_size=3)
_FEW = settings(max_examples=40, deadline=None)

# Texts that Go's YAML library, or Python's, takes for something else where they stand unquoted.
_DECEPTIVE = (
    *("y", "Y", "n", "N", "yes", "No", "on", "OFF", "true", "False", "null", "~", "=", "<<"),
    *("1e3", "1E4", "5e2", "08", "010", "0x1f", "0o17", "0b1", "1_0", ".5", "5.", "+5", "-0"),
    *("1.5e+3", ".inf", ".nan", "1:30", "2026-01-02", "-", "?", ":", "{}", "[]", "#", "&", "*"),
    *("!", "|", ">", "'", '"', "%", "@", "`", "\x85", "\u2028", "\ufeff"),
)


@_FEW
@given(_DOCUMENT)
def test_yaml_is_read_back_as_it_was(document: dict[str, Any]) -> None:
    assert yaml.safe_load(render_yaml(document)) == document


@_FEW
@given(_DOCUMENT)
def test_yaml_does_not_depend_on_the_order_of_keys(document: dict[str, Any]) -> None:
    assert render_yaml(dict(reversed(document.items()))) == render_yaml(document)


def test_a_changed_value_changes_one_line() -> None:
    old = render_yaml({"a": [1, 2], "b": {"c": "x" * 300, "d": True}, "e": 5}).splitlines()
    new = render_yaml({"a": [1, 2], "b": {"c": "x" * 300, "d": True}, "e": 6}).splitlines()
    assert [line for line in new if line not in old] == ["e: 6"]


@pytest.mark.parametrize("text", _DECEPTIVE)
def test_a_text_that_looks_like_something_else_is_quoted(text: str) -> None:
    assert re.fullmatch(r"key: (['\"]).*\1\n", render_yaml({"key": text}))


@pytest.mark.parametrize(
    "text", ["n1", "web-1", "1.37.2", "10.0.0.1", "512Mi", "10%", "30s", "a=b"]
)
def test_a_plain_text_is_not_quoted(text: str) -> None:
    assert render_yaml({"key": text}) == f"key: {text}\n"


def test_kubectl_reads_deceptive_texts_as_texts(tmp_path: Path) -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kube-nodes" / "bin"
    programs = sorted(cache.glob("kubectl-*/kubectl"))
    if not programs:
        pytest.skip("kubectl is not in the tool cache; `make test` builds it")
    contexts = [
        {"name": text, "context": {"cluster": text, "user": "u", "namespace": text}}
        for text in _DECEPTIVE
    ]
    file = tmp_path / "kubeconfig"
    file.write_text(render_yaml({"apiVersion": "v1", "kind": "Config", "contexts": contexts}))

    done = subprocess.run(
        [programs[-1], "config", "view", f"--kubeconfig={file}", "-o", "json"],
        capture_output=True,
        text=True,
        check=True,
    )

    read = json.loads(done.stdout)["contexts"]
    assert sorted(each["name"] for each in read) == sorted(_DECEPTIVE)
    assert all(each["context"]["namespace"] == each["name"] for each in read)


_WORDS = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12), max_size=5)


@_FEW
@given(_WORDS)
def test_systemd_reads_the_words_of_a_command_as_they_were(words: list[str]) -> None:
    unit = render_unit({"Service": [("ExecStart", render_command("/usr/bin/x", words))]})
    line = unit.removeprefix("[Service]\nExecStart=").removesuffix("\n")
    assert _systemd_words(line) == ["/usr/bin/x", *words]


def _systemd_words(line: str) -> list[str]:
    r"""Split as systemd.service(5), "Command lines": quotes, \ escapes, then %% and $$."""
    words: list[str] = []
    word, quote, position = None, "", 0
    while position < len(line):
        character = line[position]
        position += 1
        if character == "\\":
            assert line[position] in '\\"', "another escape means another character to systemd"
            word, position = (word or "") + line[position], position + 1
        elif character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote, word = character, word or ""
        elif not quote and character in " \t":
            words, word = ([*words, word], None) if word is not None else (words, None)
        else:
            word = (word or "") + character
    assert not quote
    words += [word] if word is not None else []
    assert all(re.fullmatch(r"([^%]|%%)*", word) for word in words), "a specifier is left"
    assert all(re.fullmatch(r"([^$]|\$\$)*", word) for word in words), "a variable is left"
    assert ";" not in words, "a lone semicolon separates commands"
    return [word.replace("%%", "%").replace("$$", "$") for word in words]


@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\x0b", "\x85"])
def test_a_value_with_a_control_character_is_refused(character: str) -> None:
    with pytest.raises(ValueError, match=r"Unit\.Description: a unit's value must be one line"):
        render_unit({"Unit": [("Description", f"a{character}b")]})


def test_a_unit_keeps_the_order_and_repeated_keys() -> None:
    text = render_unit({"Unit": [("After", "b"), ("After", "a")], "Install": [("WantedBy", "c")]})
    assert text == "[Unit]\nAfter=b\nAfter=a\n\n[Install]\nWantedBy=c\n"


@_FEW
@given(_DOCUMENT, _DOCUMENT)
def test_merging_documents_keeps_what_is_below_and_takes_what_is_over(
    base: dict[str, Any], over: dict[str, Any]
) -> None:
    merged = merge_documents(base, over)
    assert set(merged) == {*base, *over}
    for key, value in merged.items():
        if isinstance(base.get(key), dict) and isinstance(over.get(key), dict):
            assert value == merge_documents(base[key], over[key])
        else:
            assert value == (over[key] if key in over else base[key])
