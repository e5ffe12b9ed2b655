"""The comment, from previews of the whole program by the real engine."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from kube_nodes.review.markdown import render_comment
from kube_nodes.review.preview import parse_preview
from tests.plugins.engine import STACK, is_secret, plain
from tests.pull_requests.changes import CHANGES, SECRETS, SHOWN
from tests.pull_requests.record import RECORDINGS, cut, example
from tests.pull_requests.stack import NodesStack

_WARNING = re.compile(r"\n\*\*Warning\*\*\n\n```text\n.*?```\n", re.DOTALL)
_PEM_LINE = re.compile(r"^\+?[A-Za-z0-9+/]{20,}=*$\n", re.MULTILINE)


def comment_of(preview: str) -> str:
    """Write the comment without the warning of a certificate that ends soon, which is in each."""
    return _WARNING.sub("", render_comment(parse_preview(preview)))


@pytest.mark.parametrize("change", SHOWN)
def test_the_examples_are_what_the_tool_writes_today(stack: NodesStack, change: str) -> None:
    """To write them anew: python -m tests.pull_requests.record."""
    today, kept = f"{comment_of(stack.propose(change))}\n", example(change).read_text()
    assert _PEM_LINE.sub("", today) == _PEM_LINE.sub("", kept)


@pytest.mark.parametrize("change", CHANGES)
def test_the_recordings_have_the_form_that_the_engine_gives_today(
    stack: NodesStack, change: str
) -> None:
    today = json.loads(cut(stack.propose(change)))
    kept = json.loads((RECORDINGS / f"{change}.json").read_text())
    assert _form(today) == _form(kept)


def _form(document: dict[str, Any]) -> Any:
    """Give the steps without what differs from run to run."""
    return sorted(
        (
            each["op"],
            each["urn"],
            sorted(each.get("diffReasons") or []),
            sorted(each.get("newState", {}).get("inputs", {})),
            sorted(each.get("oldState", {}).get("inputs", {})),
        )
        for each in document.get("steps", [])
    )


def test_a_certificate_that_ends_soon_is_a_warning(stack: NodesStack) -> None:
    comment = render_comment(parse_preview(stack.propose("nothing")))
    assert "nothing changes" in comment
    assert "kube-proxy's certificate expires in 9 days" in comment


def test_a_token_that_was_left_open_is_a_warning(stack: NodesStack) -> None:
    secrets = "/api/v1/namespaces/kube-system/secrets"
    listed = stack.plane.get(secrets)["items"]
    name = next(
        each["metadata"]["name"]
        for each in listed
        if each["metadata"]["name"].startswith("bootstrap-token-")
    )
    planted = base64.b64encode(b"plantedsecret123").decode()
    opened = {"usage-bootstrap-authentication": base64.b64encode(b"true").decode()}
    stack.plane.merge(f"{secrets}/{name}", {"data": {**opened, "token-secret": planted}})
    try:
        text = stack.propose("nothing", "--refresh")
    finally:
        closed = {"usage-bootstrap-authentication": base64.b64encode(b"false").decode()}
        stack.plane.merge(f"{secrets}/{name}", {"data": {**closed, "token-secret": None}})
    comment = render_comment(parse_preview(text))
    assert re.search(r":warning: The bootstrap token of [ws]\d was left open", comment)
    assert planted not in comment
    assert "plantedsecret123" not in comment


def test_no_secret_of_the_state_or_the_configuration_is_in_any_comment(stack: NodesStack) -> None:
    exported = stack.engine.cli("stack", "export", "--show-secrets", "--stack", STACK).stdout
    secrets = {*_secret_texts(json.loads(exported)), *SECRETS.values()}
    tokens = {text for text in secrets if re.fullmatch(r"[a-z0-9]{16}", text)}
    assert len(tokens) == 5
    # Of what is long and secret, no line of its own may be seen either.
    words = {line for text in secrets for line in re.split(r"[\n\"\\]", text) if len(line) > 40}
    open_words = _open_words(stack)
    found = tokens | {word for word in words if word not in open_words}
    assert len(found) > 50
    for change in CHANGES:
        comment = render_comment(parse_preview(stack.propose(change)))
        assert not [word for word in found if word in comment], change


def _open_words(stack: NodesStack) -> str:
    """What is in the open elsewhere as well: the shell, the CA's certificate, URLs."""
    parts = ("units", "preflight")
    inputs = [stack.engine.resource(f"w1-{part}")["inputs"]["stdin"] for part in parts]
    return "\n".join(inputs)


def _secret_texts(value: Any) -> Iterator[str]:
    if is_secret(value):
        value = plain(value)
        yield from _texts(value)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _secret_texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _secret_texts(inner)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
