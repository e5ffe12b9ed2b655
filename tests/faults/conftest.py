"""One lab and one stack for all faults, and the table that a session ends with."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab import lifecycle
from lab.spec import LabSpec
from lab.stack import Stack
from tests.faults.stack import FaultStack
from tests.faults.table import Faults, render_console, render_markdown
from tests.lab.conftest import temporary_lab, why_skipped, wish
from tests.lab.nodes_stack import copy_project

_FAULTS = Faults()
_PROPERTY = "faults"
_BEGAN = time.monotonic()
_PREFACE = (
    "# Faults",
    "",
    "What was done to runs on real hosts, what was seen, and in how many cases all that must hold",
    "held: the next `up` converges, one Node and one identity a host, no half-written file, no",
    "open token, services that were healthy still are, nothing left to change. `make test-faults`",
    "writes this page",
    "([how it is tested](../tests/faults)), with the lab's stand-ins for Pulumi's plugins.",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes the table."""
    parser.addoption("--faults-page", help="write the table as Markdown into this file")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip all where no lab can run."""
    reason = why_skipped()
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.lab)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """End with the table."""
    if not _FAULTS.rows:
        return
    terminalreporter.write_line(render_console(_FAULTS))
    if page := config.getoption("--faults-page"):
        minutes, load = (time.monotonic() - _BEGAN) / 60, os.getloadavg()[2]
        machine = f"{os.cpu_count()} processors at a load of {load:.0f}"
        took = f"The run took {minutes:.0f} minutes on {machine}."
        Path(page).write_text(render_markdown(_FAULTS, (*_PREFACE, "", took)), encoding="utf-8")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Take what a test tried; with several workers this runs where all reports come together."""
    if report.when == "teardown":
        for name, told in report.user_properties:
            if name == _PROPERTY:
                _FAULTS.take(told)  # type: ignore[arg-type]


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> Iterator[Faults]:
    """What this test tries: rows of the table."""
    own = Faults()
    yield own
    request.node.user_properties.append((_PROPERTY, own.told()))


@pytest.fixture(scope="session")
def lab() -> Iterator[LabSpec]:
    """Two hosts for nodes, and a third, n3, that no stack has."""
    with temporary_lab() as spec:
        yield lifecycle.up(spec.directory, wish(spec, ("n1", "n2", "n3")), print)


@pytest.fixture(scope="session")
def stack(lab: LabSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultStack]:
    """The stack `dev` of a copy of the project: n1 and n2, Ready."""
    os.environ["PULUMI_DEBUG_COMMANDS"] = "true"  # for --event-log
    project = copy_project(tmp_path_factory.mktemp("project"))
    nodes = FaultStack(Stack(replace(lab, hosts=lab.hosts[:2]), project, "dev"))
    nodes.reload_lab()
    nodes.prepare()
    nodes.up()
    nodes.assert_held()
    yield nodes
    nodes.prepare()
    nodes.up("destroy")
