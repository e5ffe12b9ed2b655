"""Names that strangers choose are shown so that they can be told, and do nothing to a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_nodes.membership.progress import Progress
from kube_nodes.model.host_output import plain


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("csr-abc", "csr-abc"),
        ("a\nb", "a\\nb"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\u202enoitcerid", "\\u202enoitcerid"),
        ("zürich", "zürich"),
    ],
)
def test_what_cannot_be_printed_is_shown_as_an_escape(name: str, shown: str) -> None:
    assert plain(name) == shown


@given(st.text(max_size=5000))
def test_any_text_is_one_printable_line_of_bounded_length(text: str) -> None:
    assert plain(text).isprintable()
    assert len(plain(text)) <= 2000


def test_what_a_kubelet_says_reaches_the_terminal_without_its_codes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Progress("n1").say("Ready is False: \x1b[31mCNI\r\nn2: joined")
    assert capsys.readouterr().err == "n1: Ready is False: \\x1b[31mCNI\\r\\nn2: joined\n"
