"""One host for all tests of the scripts, and a node that leaves it clean."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import lifecycle
from lab.spec import load
from tests.lab.conftest import temporary_lab, wish
from tests.lab.host_script.artifacts import Artifacts, serve_artifacts
from tests.lab.host_script.script_host import Node, ScriptHost


@pytest.fixture(scope="session")
def host() -> Iterator[ScriptHost]:
    """A host of a lab of its own; KUBE_NODES_TEST_LAB names the folder of one that is up."""
    if missing := lifecycle.why_not_here():
        pytest.skip(missing)
    given = os.environ.get("KUBE_NODES_TEST_LAB")
    if given:
        spec = load(Path(given))
        assert spec is not None
        yield ScriptHost(spec, spec.hosts[0])
        return
    with temporary_lab() as wanted:
        spec = lifecycle.up(wanted.directory, wish(wanted, ("h1",)), lifecycle.progress())
        yield ScriptHost(spec, spec.hosts[0])


@pytest.fixture(scope="session")
def server(host: ScriptHost) -> Iterator[Artifacts]:
    """Where the host downloads from."""
    with serve_artifacts(host.spec.gateway) as artifacts:
        yield artifacts


@pytest.fixture
def node(host: ScriptHost, server: Artifacts) -> Iterator[Node]:
    """A node whose host is clean before and after."""
    node = Node(server)
    yield node
    server.ranges, server.cut_after, server.cuts, server.hold = True, None, 1000, None
    server.page = None
    server.moved.clear()
    plain = Node(server)
    host.sh("rm -f /etc/kubernetes/kubelet.conf")
    assert host.run(plain.units(), "remove").status == 0
    assert host.run(plain.credentials(), "remove").status == 0
    host.sh("rm -rf /run/fake-* /usr/local/bin/kube* /etc/kubernetes /var/lib/kube*")
    assert host.litter() == ""
