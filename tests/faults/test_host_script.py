"""The host script itself, on a host with stand-ins for kubelet and kube-proxy: faults at its steps.

The steps are counted in the script. Its own death is cheap; what takes a service or the host with
it is tried at fewer steps, as the table says.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from lab import hosts
from lab.spec import LabSpec
from tests.faults.disks import DISKS, Disk
from tests.faults.table import Faults
from tests.lab.host_script.artifacts import Artifacts, serve_artifacts
from tests.lab.host_script.script_host import (
    EXTRA,
    Node,
    ScriptHost,
    assert_installed,
    stopped_at,
)

# Where the operator's side sees that the step has come; its root is a folder of this machine.
_MARK = "var/tmp/step-has-come"


@pytest.fixture(scope="module")
def server(lab: LabSpec) -> Iterator[Artifacts]:
    """Serve the stand-ins."""
    with serve_artifacts(lab.gateway) as artifacts:
        yield artifacts


@pytest.fixture(scope="module")
def host(lab: LabSpec, server: Artifacts) -> Iterator[ScriptHost]:
    """A host that no stack has."""
    found = ScriptHost(lab, lab.host("n3"))
    yield found
    node = Node(server)
    for script in (node.units(), node.credentials()):
        found.run(script, "remove")
    assert found.litter() == ""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is done at each step of an update, and at how many of them."""

    name: str
    stride: int
    inject: str = ""
    power: bool = False


KINDS = (
    Kind(name="kill -9 of the host script", stride=5, inject="kill -9 $$"),
    Kind(name="kill -9 of sshd under the host script", stride=16, inject="kill -9 $(pidof sshd)"),
    Kind(
        name="kill -9 of containerd under the host script",
        stride=16,
        inject="systemctl kill -s KILL --kill-who=main containerd",
    ),
    Kind(
        name="kill -9 of the kubelet under the host script",
        stride=16,
        inject="systemctl kill -s KILL kubelet",
    ),
    Kind(name="the host loses its power under the host script", stride=23, power=True),
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.replace(" ", "-"))
def test_what_dies_under_the_script_is_made_good_by_its_next_run(
    lab: LabSpec, host: ScriptHost, server: Artifacts, faults: Faults, kind: Kind
) -> None:
    before, after = (
        Node(server, extra=(EXTRA,)),
        Node(server, kubelet_config="maxPods: 7\n", note="after", build=2),
    )
    assert host.run(before.units()).status == 0
    probe = host.run(stopped_at(after.units(), 1000, ":"))
    total = int(probe.out.split("steps ")[1].split()[0])
    place = f"each {kind.stride}th of the {total} steps of an update"
    for number, step in enumerate(range(1, total + 1, kind.stride)):
        row = faults.tried(kind.name, place)
        assert host.run(before.units()).status == 0
        row.seen.append(_run(lab, host, stopped_at(after.units(), step, _command(kind)), kind))
        then = (after, before)[number % 2]
        done = host.run(then.units())
        assert done.status == 0, f"step {step}: {done.err}"
        assert_installed(host, then)
        assert host.exists(EXTRA.path) == (then is before), f"step {step}"
        _wait_active(host, "ssh", "containerd")
        row.held += 1


def _wait_active(host: ScriptHost, *units: str, seconds: float = 30) -> None:
    """What the script does not own is started again by systemd, after its own pause."""
    end = time.monotonic() + seconds
    while host.sh(f"systemctl is-active {' '.join(units)}") != "active\n" * len(units):
        assert time.monotonic() < end, host.sh(f"systemctl status {' '.join(units)}")
        time.sleep(0.2)


def _command(kind: Kind) -> str:
    return f"touch /{_MARK}; kill -STOP $$" if kind.power else kind.inject


def _run(lab: LabSpec, host: ScriptHost, script: str, kind: Kind) -> str:
    """Run the script to its end, or to the step where the power goes; say how it ended."""
    if not kind.power:
        status = host.run(script).status
        end = time.monotonic() + 60
        while not hosts.answers(host.host):  # systemd starts sshd again
            assert time.monotonic() < end, "no SSH answer"
            time.sleep(0.1)
        return "the script went on to its end" if status == 0 else "the script ended"
    mark = lab.path("hosts", host.host.name, _MARK)
    running = threading.Thread(target=host.run, args=(script,))
    running.start()
    end = time.monotonic() + 60
    while not mark.exists():
        assert time.monotonic() < end, "the step never came"
        time.sleep(0.05)
    hosts.stop(lab, host.host.name)
    running.join(timeout=60)
    mark.unlink()
    hosts.boot(lab, host.host)
    hosts.wait_reachable(lab, host.host, timeout_seconds=180)
    return "the host booted"


@pytest.mark.parametrize("disk", DISKS, ids=lambda disk: disk.name.replace(" ", "-"))
def test_what_cannot_be_written_changes_nothing_and_is_made_good_by_the_next_run(
    host: ScriptHost, server: Artifacts, faults: Faults, disk: Disk
) -> None:
    before = Node(server, extra=(EXTRA,))
    after = Node(
        server,
        kubelet_config="maxPods: 7\n",
        kube_proxy_config="mode: iptables\n",
        note="after",
        build=2,
        extra=(EXTRA,),
    )
    changed = EXTRA.__class__(path=EXTRA.path, content="other\n" * 20000, restarts=("kubelet",))
    after.extra = (changed,)
    for first in (True, False):
        row = faults.tried(disk.name, "first run" if first else "update")
        _reset(host, server, None if first else before)
        started = {} if first else {unit: host.started(unit) for unit in ("kubelet", "kube-proxy")}
        with disk.spoil(host, disk.folder) as content:
            was = content()
            refused = host.run(after.units())
            row.seen.append("refused" if refused.status else "nothing of it was needed")
            assert refused.status == 0 or refused.err.strip(), "no word of what is wrong"
            if refused.status == 0:
                assert_installed(host, after)
                assert host.read(EXTRA.path) == changed.content
            else:
                assert content() == was
                _assert_as_before(host, None if first else before, started)
        done = host.run(after.units())
        assert done.status == 0, done.err
        assert_installed(host, after)
        assert host.read(EXTRA.path) == changed.content
        row.held += 1


def _reset(host: ScriptHost, server: Artifacts, node: Node | None) -> None:
    assert host.run(Node(server).units(), "remove").status == 0
    host.sh("touch /run/began")
    if node:
        assert host.run(node.units()).status == 0


def _assert_as_before(host: ScriptHost, node: Node | None, started: dict[str, str]) -> None:
    """Nothing half-written, and who was well was not even restarted."""
    assert host.litter() == ""
    if node:
        assert_installed(host, node)
        assert {unit: host.started(unit) for unit in started} == started
