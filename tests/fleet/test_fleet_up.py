"""A fleet's stacks under the real CLI and engine: in order, side by side, and to the end.

The program is a small one that can be told to fail or to take its time; what this project's own
declares is tried on real hosts in tests/lab.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.backend import use_pulumi
from tests.plugins.engine import CHECKOUT
from tests.unit.fleets import fleet_document, pool_stack, write_fleet

_PROGRAM = """
import json, os, pathlib, sys, time, pulumi
name = pulumi.get_stack()
told = pathlib.Path("told.json")
orders = json.loads(told.read_text()) if told.exists() else {}
shared = pulumi.Config("kube-nodes").get("sharedStack")
log = pathlib.Path("log")
if not pulumi.runtime.is_dry_run() or "preview" in orders:
    with log.open("a") as file: file.write(f"begin {name} {time.monotonic()}\\n")
    time.sleep(orders.get("seconds", {}).get(name, 0))
    with log.open("a") as file: file.write(f"end {name} {time.monotonic()}\\n")
if name in orders.get("fail", []):
    pulumi.log.error(f"{name} was told to fail")
    sys.exit(1)
if shared:
    pulumi.export("read", pulumi.StackReference(shared).require_output("given"))
else:
    pulumi.export("given", "by the shared stack")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a fleet of four stacks, none of which the backend has."""
    (tmp_path / "backend").mkdir()
    use_pulumi(monkeypatch, tmp_path / "backend")
    monkeypatch.setenv("PATH", f"{CHECKOUT / '.venv/bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "true")
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: kube-nodes\nruntime: python\n")
    (project / "__main__.py").write_text(_PROGRAM)
    stacks = {label: pool_stack(label, number) for number, label in enumerate("abc", 1)}
    write_fleet(project, fleet_document(**stacks))
    monkeypatch.chdir(project)
    return project


def start(verb: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kube_nodes.fleet", verb, "--fleet", "prod.fleet.yaml"]
    return subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def run(verb: str, *arguments: str) -> tuple[int, str]:
    process = start(verb, *arguments)
    printed, _ = process.communicate(timeout=120)
    return process.returncode, printed


def tell(project: Path, **orders: Any) -> None:
    (project / "told.json").write_text(json.dumps(orders))


def times(project: Path) -> dict[str, dict[str, float]]:
    """Read when each program began and ended."""
    found: dict[str, dict[str, float]] = {"begin": {}, "end": {}}
    for line in (project / "log").read_text().splitlines():
        what, stack, moment = line.split()
        found[what][stack] = float(moment)
    return found


def rows(printed: str) -> dict[str, list[str]]:
    """Read the table at the end."""
    cells = [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in printed.splitlines()
        if line.startswith("│")
    ]
    return {row[0]: row[1:] for row in cells}


def test_the_shared_stack_comes_first_and_no_more_than_the_limit_at_once(project: Path) -> None:
    pools = ("prod-a", "prod-b", "prod-c")
    tell(project, seconds=dict.fromkeys(pools, 2))
    status, printed = run("fleet-up", "--limit", "2")
    assert status == 0, printed
    table = rows(printed)
    assert [row[:2] for row in table.values()] == [["0", "ok"], *[["1", "ok"]] * 3]
    assert list(table) == ["prod-shared", *pools]
    assert table["prod-a"][3] == "1 created"
    assert "prod-a      | " in printed
    seen = times(project)
    assert all(seen["end"]["prod-shared"] < seen["begin"][each] for each in pools)
    at_once = [
        sum(seen["begin"][other] <= seen["begin"][each] < seen["end"][other] for other in pools)
        for each in pools
    ]
    assert max(at_once) == 2
    given = subprocess.run(
        ["pulumi", "stack", "output", "read", "--stack", "prod-c"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert given.stdout.strip() == "by the shared stack"


def test_one_that_fails_stops_no_other_and_is_told_of(project: Path) -> None:
    tell(project, fail=["prod-a"])
    status, printed = run("fleet-up", "--limit", "1")
    assert status == 1
    table = rows(printed)
    assert {stack: row[1] for stack, row in table.items()} == {
        "prod-shared": "ok", "prod-a": "failed", "prod-b": "ok", "prod-c": "ok",
    }  # fmt: skip
    assert "prod-a was told to fail" in printed
    tell(project)
    status, printed = run("fleet-up")
    assert status == 0
    assert rows(printed)["prod-b"][3] == "nothing"


def test_without_the_shared_stack_no_other_is_run(project: Path) -> None:
    tell(project, fail=["prod-shared"])
    status, printed = run("fleet-up")
    assert status == 1
    assert rows(printed)["prod-a"][1:] == ["not run", "-", "prod-shared failed"]
    assert "prod-a" not in times(project)["begin"]


def test_a_preview_changes_nothing_and_says_what_can_not_be_seen_yet(project: Path) -> None:
    status, printed = run("fleet-preview")
    assert status == 1
    assert rows(printed)["prod-shared"][1] == "ok"
    assert rows(printed)["prod-a"][3] == "prod-shared was never up"
    assert run("fleet-up")[0] == 0
    status, printed = run("fleet-preview")
    assert status == 0, printed
    assert {row[3] for row in rows(printed).values()} == {"nothing"}


def _await(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_ctrl_c_reaches_every_engine_and_is_waited_for(project: Path) -> None:
    assert run("fleet-up")[0] == 0
    (project / "log").unlink()
    tell(project, seconds={"prod-a": 30, "prod-b": 30})
    process = start("fleet-up", "--limit", "2")
    log = project / "log"
    _await(lambda: log.exists() and {"prod-a", "prod-b"} <= times(project)["begin"].keys())
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=25)
    assert process.returncode == 130, printed
    results = {stack: row[1] for stack, row in rows(printed).items()}
    assert results == {
        "prod-shared": "ok",
        "prod-a": "interrupted",
        "prod-b": "interrupted",
        "prod-c": "not run",
    }
    # Each engine has ended in order: no lock is left.
    assert not list(Path(os.environ["PULUMI_BACKEND_URL"].removeprefix("file://")).glob(
        ".pulumi/locks/**/*.json"
    ))  # fmt: skip


def test_a_stack_that_the_file_has_no_more_is_named_and_left_alone(project: Path) -> None:
    assert run("fleet-up")[0] == 0
    write_fleet(project, fleet_document(a=pool_stack("a", 1)))
    status, printed = run("fleet-up")
    assert status == 0
    assert "prod-b is in the backend and not in prod.fleet.yaml: it was left alone" in printed
