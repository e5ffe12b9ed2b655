"""Programs come by URL: cut, wrong or half-there downloads never reach their place."""

from __future__ import annotations

import pytest

from tests.lab.host_script.artifacts import Artifacts
from tests.lab.host_script.script_host import Node, ScriptHost, assert_installed

pytestmark = pytest.mark.lab


def test_a_wrong_checksum_leaves_the_old_program_running(host: ScriptHost, node: Node) -> None:
    host.run(node.units())
    before = host.started("kubelet")
    node.build = 2
    script = node.units()
    node.artifacts.contents["/2/kubelet"] = b"something else"
    run = host.run(script)
    assert run.status == 1
    assert run.err.startswith(f"node-1: {node.artifacts.url}/2/kubelet has the SHA-256 ")
    assert host.started("kubelet") == before
    node.build = 1
    assert_installed(host, node)


def test_a_download_that_is_cut_goes_on_where_it_ended(
    host: ScriptHost, node: Node, server: Artifacts
) -> None:
    server.cut_after = 40
    run = host.run(node.units())
    assert run.status == 1
    assert "cannot download" in run.err and "nothing was changed" in run.err
    server.cut_after = None
    server.requests.clear()
    assert host.run(node.units()).status == 0
    assert [wanted for _, wanted in server.requests if wanted]
    assert_installed(host, node)


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("size", [5, 5000])
def test_a_part_of_something_else_is_thrown_away(
    host: ScriptHost, node: Node, server: Artifacts, ranges: bool, size: int
) -> None:
    server.ranges = ranges
    host.sh(f"head -c {size} /dev/zero >/usr/local/bin/kubelet.kn-part")
    assert host.run(node.units()).status == 0
    assert_installed(host, node)
