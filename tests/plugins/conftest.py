"""What the tests of the stand-ins share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins.control_plane import ControlPlane, run_control_plane
from tests.plugins.driver import Driver
from tests.plugins.kubernetes_objects import MODULE


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server, for all tests of a session; skips where it is not built."""
    directory: Path = tmp_path_factory.mktemp("control-plane")
    with run_control_plane(directory) as plane:
        yield plane


@pytest.fixture(scope="session")
def kube(control_plane: ControlPlane) -> Iterator[Driver]:
    """The kubernetes stand-in with the ambient kubeconfig and no settings."""
    with Driver(MODULE, variables={"KUBECONFIG": str(control_plane.kubeconfig)}) as driver:
        yield driver


@pytest.fixture(scope="session")
def mutable_kube(control_plane: ControlPlane) -> Iterator[Driver]:
    """One for which a Secret can change in place, configured as the SDK does it."""
    config = {"kubeconfig": str(control_plane.kubeconfig), "enableSecretMutable": "true"}
    with Driver(MODULE, config, {"KUBECONFIG": ""}) as driver:
        yield driver
