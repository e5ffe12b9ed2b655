"""The workflows in docs/examples: what they run is there, and one comment is replaced."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_nodes.fleet.__main__ import _COMMANDS
from kube_nodes.review.__main__ import _parser as review_parser
from kube_nodes.review.markdown import marker

_ROOT = Path(__file__).parents[2]
_EXAMPLES = _ROOT / "docs" / "examples"


@dataclass(frozen=True)
class Script:
    """What one step runs."""

    forge: str
    job: str
    text: str

    def __str__(self) -> str:
        return f"{self.forge}-{self.job}-{self.text.split(maxsplit=1)[0]}"


def _load(name: str) -> dict[Any, Any]:
    # `on` is a boolean in YAML 1.1.
    document: dict[Any, Any] = yaml.safe_load((_EXAMPLES / name).read_text())
    return document


GITHUB, GITLAB = _load("github-actions.yml"), _load("gitlab-ci.yml")
_GITLAB_JOBS = [name for name in GITLAB["stages"] if name in GITLAB]


def _scripts() -> Iterator[Script]:
    for job, described in GITHUB["jobs"].items():
        for step in described["steps"]:
            if "run" in step:
                yield Script("github", job, step["run"])
    for job in _GITLAB_JOBS:
        for line in GITLAB[job]["script"]:
            yield Script("gitlab", job, line)


SCRIPTS = list(_scripts())


def test_both_have_the_same_jobs() -> None:
    assert list(GITHUB["jobs"]) == _GITLAB_JOBS == ["tests", "preview", "drift"]


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_shellcheck_finds_nothing(script: Script) -> None:
    shellcheck = Path(sys.executable).parent / "shellcheck"
    # GitHub expands ${{ }} before the shell sees it; none may be left to it here.
    assert "${{" not in script.text, "use an environment variable: its text is not code"
    done = subprocess.run(
        [shellcheck, "-s", "bash", "-"],
        input=script.text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_each_target_module_and_verb_is_there(script: Script) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (_ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", script.text)) <= targets
    for module in re.findall(r"python -m (\S+)", script.text):
        assert importlib.util.find_spec(module), module
    assert set(re.findall(r"kube_nodes\.fleet (\S+)", script.text)) <= {*_COMMANDS}
    for arguments in re.findall(r"kube_nodes\.review (.*?) >", script.text):
        review_parser().parse_args(arguments.split())
    for pack in re.findall(r"--policy-pack (\S+)", script.text):
        assert (_ROOT / pack / "PulumiPolicy.yaml").is_file()


def test_every_step_of_a_pull_request_is_in_both() -> None:
    for forge in ("github", "gitlab"):
        run = {
            job: "\n".join(each.text for each in SCRIPTS if (each.forge, each.job) == (forge, job))
            for job in ("tests", "preview", "drift")
        }
        assert "make test-fast" in run["tests"]
        assert "This " in run["tests"]
        assert "comes from a fork" in run["tests"]
        assert "pulumi preview --diff --policy-pack policy" in run["preview"]
        assert "kube_nodes.review" in run["preview"]
        assert "kube_nodes.fleet drift" in run["drift"]
        assert "pulumi up" not in "".join(run.values())


def test_a_fork_gets_no_secret() -> None:
    tests = GITHUB["jobs"]["tests"]
    assert "secrets." not in json.dumps([tests, GITHUB["env"]])
    same = "github.event.pull_request.head.repo.full_name == github.repository"
    assert same in GITHUB["jobs"]["preview"]["if"]
    # pull_request_target would give a fork's code the secrets.
    assert set(GITHUB[True]) == {"pull_request", "schedule"}
    (rule,) = GITLAB["preview"]["rules"]
    assert "SOURCE_PROJECT_PATH == $CI_MERGE_REQUEST_PROJECT_PATH" in rule["if"]


def test_tokens_can_do_no_more_than_they_must() -> None:
    assert GITHUB["permissions"] == {"contents": "read"}
    jobs = GITHUB["jobs"]
    assert {name for name, job in jobs.items() if "permissions" in job} == {"preview"}
    assert jobs["preview"]["permissions"] == {"contents": "read", "pull-requests": "write"}
    checkouts = [
        s for job in jobs.values() for s in job["steps"] if "checkout" in s.get("uses", "")
    ]
    assert len(checkouts) == 3
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_the_drift_job_alone_is_scheduled_and_reaches_the_hosts() -> None:
    assert GITHUB["jobs"]["drift"]["if"] == "github.event_name == 'schedule'"
    assert "self-hosted" in GITHUB["jobs"]["drift"]["runs-on"]
    assert [rule["if"] for rule in GITLAB["drift"]["rules"]] == [
        '$CI_PIPELINE_SOURCE == "schedule"'
    ]
    assert GITLAB["drift"]["tags"]


_GH = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in *--jq*) printf '%s' "$FOUND";; esac
"""
_CURL = """#!/bin/sh
cat > "$CALLS.config"
echo "$*" >> "$CALLS"
case "$*" in *per_page*) printf '%s' "$FOUND";; esac
"""


def _comment(tmp_path: Path, forge: str, found: str) -> list[str]:
    """Run the step that comments, with a forge that only remembers; give what it was asked."""
    for name, text in (("gh", _GH), ("curl", _CURL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "comment.md").write_text(f"{marker('kube-nodes', 'production')}\n### Preview\n")
    script = next(each.text for each in SCRIPTS if each.forge == forge and "MARKER=" in each.text)
    variables = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "CALLS": str(tmp_path / "calls"),
        "FOUND": found,
        "GITHUB_REPOSITORY": "owner/name",
        "NUMBER": "7",
        "CI_API_V4_URL": "https://gitlab.example/api/v4",
        "CI_PROJECT_ID": "3",
        "CI_MERGE_REQUEST_IID": "7",
        "COMMENT_TOKEN": "planted-token-marker",
    }
    subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], cwd=tmp_path, env=variables, check=True
    )
    return (tmp_path / "calls").read_text().splitlines()


def test_github_is_asked_for_the_comment_and_gets_it_once(tmp_path: Path) -> None:
    asked, made = _comment(tmp_path, "github", "")
    assert "startswith(env.MARKER)" in asked
    assert (
        made
        == "api --silent --method POST repos/owner/name/issues/7/comments --field body=@comment.md"
    )


def test_github_gets_the_next_one_in_place_of_the_first(tmp_path: Path) -> None:
    _, replaced = _comment(tmp_path, "github", "4711\n")
    assert replaced == (
        "api --silent --method PATCH repos/owner/name/issues/comments/4711 --field body=@comment.md"
    )


def _notes(*bodies: str) -> str:
    return json.dumps([{"id": number, "body": body} for number, body in enumerate(bodies, 11)])


def test_gitlab_gets_a_note_once_and_its_token_is_no_argument(tmp_path: Path) -> None:
    other = f"{marker('kube-nodes', 'staging')}\n"
    calls = _comment(tmp_path, "gitlab", _notes("hello", other))
    assert calls[-1].startswith("-fsS --config - --request POST --form body=<comment.md https://")
    assert "planted-token-marker" not in "".join(calls)
    assert (
        'header = "PRIVATE-TOKEN: planted-token-marker"' in (tmp_path / "calls.config").read_text()
    )


def test_gitlab_gets_the_next_one_in_place_of_the_first(tmp_path: Path) -> None:
    own = f"{marker('kube-nodes', 'production')}\n### Preview of before\n"
    calls = _comment(tmp_path, "gitlab", _notes("hello", own, own))
    assert "--request PUT" in calls[-1]
    assert calls[-1].endswith("/projects/3/merge_requests/7/notes/12")
