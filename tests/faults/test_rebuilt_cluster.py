"""A cluster that was lost and built anew under the same names, address and CA."""

from __future__ import annotations

import shutil

from lab import lifecycle, processes
from lab.control_plane import PARTS
from lab.stack_config import cluster_uid
from tests.faults.stack import FaultStack
from tests.faults.table import Faults


def _rebuild(stack: FaultStack) -> None:
    """Lose etcd's data, and start the control plane without any."""
    for part in reversed(PARTS):
        processes.stop(stack.lab, part)
    shutil.rmtree(stack.lab.path("etcd"))
    lifecycle.up(stack.lab.directory, lifecycle.Wish(), lambda _: None)


def test_a_rebuilt_cluster_is_refused_and_taken_over_once_that_is_declared(
    stack: FaultStack, faults: Faults
) -> None:
    row = faults.tried("etcd wiped, the cluster rebuilt under the same names", "an update")
    stack.begin_update()
    files = "sha256sum /var/lib/kubelet/config.yaml /etc/kubernetes/*.conf /var/lib/kube-nodes/*"
    before = {name: stack.ssh(name, files) for name in ("n1", "n2")}
    _rebuild(stack)
    refused = stack.run()
    assert refused.status > 0
    assert "Nothing was changed" in refused.printed
    assert refused.steps == []
    assert {name: stack.ssh(name, files) for name in ("n1", "n2")} == before
    assert "bootstrap-token-" not in stack.kubectl("get", "secrets", "-A", "-o", "name")
    row.seen.append("refused, nothing changed")

    declared = stack.configuration()
    declared["config"]["kube-nodes:clusterUid"] = cluster_uid(stack.lab)
    stack.configure(declared)
    for name in ("n1", "n2"):
        stack.begin_new_life(name)
    seen = stack.run(None, "--refresh")
    assert seen.status == 0, seen.printed
    row.seen.append("with the new clusterUid, another generation and --refresh it converges")
    stack.assert_held()
    row.held += 1
