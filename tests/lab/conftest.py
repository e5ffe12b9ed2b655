"""Labs for tests: real clusters and hosts, each with a folder, bridge and subnet of its own."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import lifecycle, network
from lab.errors import LabError
from lab.spec import LabSpec
from lab.tools import ToolsError
from lab.tools.debian import missing_packages
from tests.lab.machine import pytest_sessionfinish, pytest_sessionstart

__all__ = ["pytest_sessionfinish", "pytest_sessionstart"]  # hooks of pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, and skip them all where no lab can run."""
    reason = why_skipped()
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.lab)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


def why_skipped() -> str:
    """Return what is missing for a lab, in a sentence; empty when nothing is."""
    if reason := lifecycle.why_not_here():
        return reason
    try:
        missing = missing_packages()
    except ToolsError as error:
        return str(error)
    if missing and not shutil.which("apt-get"):  # with it, the lab installs them
        return f"the lab needs these Debian packages: {' '.join(missing)}."
    return ""


@pytest.fixture(scope="module")
def lab() -> Iterator[LabSpec]:
    """A lab with two hosts, up, for all tests of a file. What a test changes, it puts back."""
    with temporary_lab() as spec:
        yield lifecycle.up(spec.directory, wish(spec, ("n1", "n2")), print)


@pytest.fixture
def own_lab() -> Iterator[LabSpec]:
    """The parameters of a lab for one test alone, nothing of it up; taken down whatever happens."""
    with temporary_lab() as spec:
        yield spec


@contextmanager
def temporary_lab() -> Iterator[LabSpec]:
    """Choose parameters that nothing on this machine uses, and take down what becomes of them."""
    # A short path: the agent's socket is in it. Not pytest's own folder, which may be kept.
    directory = Path(tempfile.mkdtemp(prefix="kn-", dir="/var/tmp"))
    try:
        yield _free_parameters(directory)
    finally:
        problems = lifecycle.down(directory, print)
    assert problems == []


def wish(spec: LabSpec, hosts: tuple[str, ...]) -> lifecycle.Wish:
    """Return what `lab up` is to be asked for, to bring up just this lab."""
    return lifecycle.Wish(
        hosts=hosts, subnet=spec.subnet, bridge=spec.bridge, pod_cidr=spec.pod_cidr
    )


def _free_parameters(directory: Path) -> LabSpec:
    # Each worker has numbers of its own: two of them may look at the same moment.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    numbers = list(range(32 + worker % 8, 250, 8))
    random.shuffle(numbers)
    for number in numbers:
        spec = LabSpec(directory=directory, subnet=f"10.98.{number}.0/24", bridge=f"knt{number}")
        try:
            network.check(spec)
        except LabError:
            continue
        return spec
    raise AssertionError("no subnet of 10.98.32.0 to 10.98.249.0 is free on this machine")
