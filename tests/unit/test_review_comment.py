"""The comment of a pull request: what it says of recorded previews, and how it stays in bounds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kube_nodes.review.markdown import LIMITS, render_comment
from kube_nodes.review.preview import Preview
from tests.unit.previews import (
    RECORDINGS,
    changed,
    preview,
    recorded,
    rows,
    script,
    shared_step,
    step,
    units_step,
)

_MARKER = "<!-- kube-nodes preview of kube-nodes/dev -->"


def test_an_option_of_a_pool_is_one_line_and_a_list_of_nodes() -> None:
    comment = render_comment(recorded("max-pods"))
    steps = "units, membership, service-check"
    assert rows(comment) == [("update", "3 nodes: w1…w3", "restarts kubelet", steps)]
    assert changed(comment) == ["-maxPods: 110", "+maxPods: 60"]
    assert comment.count("<details") == 1
    assert ":warning:" not in comment


def test_a_new_node_is_a_row_and_its_files_are_folded() -> None:
    comment = render_comment(recorded("node-added"))
    assert rows(comment) == [("create", "w4", "joins with v1.36.3", "all")]
    assert "<details><summary><code>/var/lib/kubelet/config.yaml</code> new on w4" in comment
    assert "<details open>" not in comment
    assert "host/base.sh" not in comment


def test_another_minor_drains_and_says_how_many_at_once() -> None:
    comment = render_comment(recorded("minor-upgrade"))
    ((change, nodes, effects, parts),) = rows(comment)
    assert (change, nodes) == ("update, drained", "5 nodes: s1, s2, w1…w3")
    assert effects.startswith("v1.36.3 → v1.37.2; restarts kubelet and kube-proxy")
    assert parts.startswith("prepare, ")
    # A canary of each pool, then one of each again: pools do not wait for each other.
    assert "5 of 5 nodes are drained, up to 2 of them at once" in comment
    assert "-/usr/local/bin/kubelet v1.36.3" in changed(comment)


def test_a_removed_node_shows_no_text() -> None:
    comment = render_comment(recorded("node-removed"))
    expected = ("remove", "w2", "drained, stopped and cleaned; its Node is deleted", "all")
    assert rows(comment) == [expected]
    assert "<details" not in comment


def test_labels_and_taints_are_shown_and_restart_nothing() -> None:
    comment = render_comment(recorded("labels-and-taints"))
    assert rows(comment) == [
        ("update", "3 nodes: w1…w3", "labels change; taints change", "membership")
    ]
    assert changed(comment) == ["+example/zone=a", "+example/only=web:NoSchedule"]


def test_a_raised_generation_is_a_warning() -> None:
    comment = render_comment(recorded("generation"))
    ((change, nodes, effects, _),) = rows(comment)
    assert (change, nodes, effects.split(";")[0]) == ("join anew", "w1", "generation 1 → 2")
    assert ":warning: The generation of w1 changes" in comment


def test_a_new_certificate_is_told_and_its_shared_resources_are_listed() -> None:
    comment = render_comment(recorded("new-certificate"))
    assert "kube-proxy gets a new key and certificate" in comment
    assert "| create | tls:index/privateKey:PrivateKey kube-proxy-key-2 |" in comment
    assert ("secret files are written anew") in comment


def test_nothing_to_do_and_a_failed_preview_are_said_so() -> None:
    assert (
        render_comment(recorded("nothing")) == f"{_MARKER}\n### Preview of `dev`: nothing changes\n"
    )
    failed = render_comment(recorded("refused"))
    assert "the preview failed" in failed
    assert 'kube-nodes:podCidrs[0]: "nonsense" is not a CIDR' in failed


@pytest.mark.parametrize("path", sorted(RECORDINGS.glob("*.json")), ids=lambda path: path.stem)
def test_the_marker_is_the_first_line_of_every_comment(path: Path) -> None:
    assert render_comment(recorded(path.stem)).startswith(f"{_MARKER}\n")


def _fleet(size: int, content: str = "maxPods: 60\n") -> Preview:
    steps = []
    for number in range(1, size + 1):
        node, address = f"w{number:03}", f"10.0.{number // 250}.{number % 250 + 1}"
        old = script(node, "maxPods: 110\n", address=address)
        steps.append(units_step(node, old, script(node, content, address=address)))
    return preview(*reversed(steps))


def test_two_hundred_nodes_with_one_change_are_one_diff_and_a_list() -> None:
    comment = render_comment(_fleet(200))
    assert [row[1] for row in rows(comment)] == ["200 nodes: w001…w200"]
    assert changed(comment) == ["-maxPods: 110", "+maxPods: 60"]
    assert comment.count("```diff") == 1
    # The lines around are those of one node.
    assert "As on w001; each node has its own name and address in it." in comment
    assert " name: w001\n bindAddress: 10.0.0.2\n" in comment
    assert len(comment) < 1000


def test_a_changed_address_is_not_taken_for_the_nodes_own() -> None:
    steps = [
        units_step(node, script(node, address="10.0.0.1"), script(node, address=new))
        for node, new in (("a", "10.0.0.8"), ("b", "10.0.0.9"))
    ]
    comment = render_comment(preview(*steps))
    assert "-bindAddress: 10.0.0.1" in comment
    assert "+bindAddress: 10.0.0.8" in comment
    assert "on 2 nodes: a, b" in comment


def test_nodes_that_differ_in_more_than_their_names_are_apart() -> None:
    steps = [
        units_step(node, script(node), script(node, f"maxPods: {number}\n"))
        for node, number in (("a", 20), ("b", 30))
    ]
    comment = render_comment(preview(*steps))
    assert comment.count("```diff") == 2


@pytest.mark.parametrize("forge", LIMITS)
@pytest.mark.parametrize("lines", [10, 20_000])
def test_a_comment_is_within_the_forges_size_and_cut_by_whole_diffs(forge: str, lines: int) -> None:
    # Each node has a change of its own, so nothing can be put together.
    steps = []
    for number in range(120):
        node = f"n{number}x"
        text = "".join(f"key{number}: {line}\n" for line in range(lines // 10 + number % 7))
        steps.append(units_step(node, script(node), script(node, text)))
    comment = render_comment(preview(*steps), limit=LIMITS[forge])
    assert len(comment) <= LIMITS[forge]
    assert comment.count("```diff") == comment.count("</details>")
    assert comment.count("<details") == comment.count("</details>")
    left = re.search(
        r"\*\*Left out for their length\*\* \([\d,]+ characters\): (\d+) diffs", comment
    )
    shown = comment.count("```diff")
    assert shown + (int(left[1]) if left else 0) == 120
    assert ("pulumi preview --diff" in comment) == (left is not None)
    # The table is worth more than the diffs.
    assert len(rows(comment)) == 1


def test_many_unlike_rows_are_cut_too_with_a_sentence() -> None:
    steps = [
        units_step(
            f"node-{number}x",
            script(f"node-{number}x"),
            script(f"node-{number}x", version=f"v1.36.{number}"),
        )
        for number in range(800)
    ]
    comment = render_comment(preview(*steps), limit=20_000)
    assert len(comment) <= 20_000
    assert re.search(r"Left out for their length.*rows of the table", comment)


def test_what_is_secret_is_in_no_comment_whatever_the_engine_wrote() -> None:
    """Planted where the engine would have written `[secret]`, and where nobody should put one."""
    planted = [f"planted{number}marker" for number in range(8)]
    secret = {
        "stdin": planted[0],
        "connection": {"privateKey": planted[1], "host": planted[1]},
        "create": planted[2],
        "environment": {"OTHER": planted[3], "KUBE_NODES_VERSION": "v1.37.2"},
    }
    key = f"-----BEGIN PRIVATE KEY-----\n{planted[4]}\n-----END PRIVATE KEY-----\n"
    steps = [
        step("a", "credentials", "update", {"stdin": "x"}, secret),
        step("a", "membership", "update", {"stdin": "x"}, secret),
        step("a", "preflight", "update", {"stdin": "x"}, secret),
        units_step("a", script("a"), script("a", f"{key}maxPods: 1\n")),
        shared_step(
            "kubernetes:core/v1:Secret",
            "other",
            "update",
            oldState={"inputs": {"data": planted[5]}, "outputs": {"data": planted[5]}},
            newState={"inputs": {"data": planted[6]}},
            diffReasons=["data"],
        ),
    ]
    said = [{"severity": "warning", "message": f"warning: {key}"}]
    made = preview(*steps, diagnostics=said, config={"kube-nodes:caKey": planted[7]})
    comment = render_comment(made)
    assert not [text for text in planted if text in comment]
    assert not [text for text in planted[:4] + planted[5:] if text in repr(made)]
    assert comment.count("[masked: private key]") == 2
    assert "+maxPods: 1" in comment
    assert "| update | kubernetes:core/v1:Secret other | data |" in comment


@pytest.mark.parametrize("hidden", ["[secret]", "04da6b54-80e4-46f7-96ec-b56ff0331ba9"])
def test_units_that_are_secret_or_unknown_are_a_warning(hidden: str) -> None:
    comment = render_comment(preview(units_step("a", script("a"), hidden)))
    assert "The files of a can't be compared" in comment
    assert "```diff" not in comment


def test_texts_of_an_older_version_are_compared_as_a_whole() -> None:
    comment = render_comment(preview(units_step("a", "#!/bin/sh\nold\n", script("a"))))
    assert "-old" in comment


def test_no_text_ends_its_block_or_forms_markup() -> None:
    nasty = "```\n</details> @everyone ![x](http://x)\n\x1b[31mred\x1b[0m\rgone\n"
    steps = [
        units_step("a", script("a"), script("a", nasty)),
        shared_step("other:Type", "x|y`<b>@all", "create"),
    ]
    said = [{"severity": "warning", "message": "```\n**bold**"}]
    comment = render_comment(preview(*steps, diagnostics=said))
    assert "````diff\n" in comment
    assert comment.count("\n````\n") == 2
    assert "\x1b" not in comment
    assert "\r" not in comment
    assert r"x\|y\`\<b\>\@all" in comment
