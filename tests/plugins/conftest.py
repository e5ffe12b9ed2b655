"""What the tests of the stand-ins share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins.control_plane import ControlPlane, run_control_plane


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server, for all tests of a session; skips where it is not built."""
    directory: Path = tmp_path_factory.mktemp("control-plane")
    with run_control_plane(directory) as plane:
        yield plane
