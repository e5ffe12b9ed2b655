"""Faults of what is around a run: the network, the API server, sshd's limits, a second operator."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from lab import lifecycle, processes
from tests.faults import network
from tests.faults.disks import Disk, full, full_run, read_only
from tests.faults.events import Step
from tests.faults.stack import FaultStack, Seen
from tests.faults.table import Faults
from tests.lab.host_script.script_host import ScriptHost

HOST = "n1"


@pytest.fixture(autouse=True)
def _mended(stack: FaultStack) -> Iterator[None]:
    yield
    network.mend(stack.lab)


def test_packet_loss_of_20_percent(stack: FaultStack, faults: Faults) -> None:
    row = faults.tried("20 % of the host's packets are lost", "a first join")
    stack.begin_first_join()
    with stack.undisturbed("n2"):
        with network.disturbed(stack.lab, HOST, network.LOSS):
            row.seen.append(stack.run().end)
        stack.converge()
    row.held += 1


def test_a_network_that_stays_cut_is_a_bounded_error_and_the_other_node_goes_on(
    stack: FaultStack, faults: Faults
) -> None:
    row = faults.tried("the network is cut before a run, for the whole of it", "a new life")
    stack.begin_new_life()
    stack.begin_update()
    with stack.undisturbed("n2"):
        with network.disturbed(stack.lab, HOST):
            seen = stack.run()
        assert seen.status > 0
        row.seen.append(f"an error after {_rounded(seen.seconds)} s")
        stack.converge()
    row.held += 1


def test_a_network_that_is_cut_after_a_run_is_no_concern_of_the_next(
    stack: FaultStack, faults: Faults
) -> None:
    row = faults.tried("the network is cut after a run, for 60 s", "an unchanged stack")
    with stack.undisturbed("n1", "n2"):
        with network.disturbed(stack.lab, HOST):
            end = time.monotonic() + 60
            seen = stack.run()
            assert (seen.status, seen.steps) == (0, []), seen.printed
            # Longer than the cluster waits before it calls a node lost.
            time.sleep(max(0.0, end - time.monotonic()))
        row.seen.append("an unchanged run needs no host")
        _wait_ready(stack)
        stack.converge()
    row.held += 1


def _wait_ready(stack: FaultStack, seconds: float = 120) -> None:
    """A node that was cut off becomes Ready again by itself; `up` is not what does it."""
    end = time.monotonic() + seconds
    while set(stack.ready()) != {"n1", "n2"}:
        assert time.monotonic() < end
        time.sleep(0.5)


def test_an_api_server_that_is_away_for_30_seconds(stack: FaultStack, faults: Faults) -> None:
    row = faults.tried("the API server stands still for 30 s", "n1-membership of a new life")
    stack.begin_new_life()
    record = processes.read(stack.lab, "kube-apiserver")
    assert record
    pid = record.pid
    timers: list[threading.Timer] = []

    def stop(_: subprocess.Popen[str], step: Step) -> None:
        if step.resource == "n1-membership" and not timers:
            os.kill(pid, signal.SIGSTOP)
            timers.append(threading.Timer(30, os.kill, (pid, signal.SIGCONT)))
            timers[0].start()

    with stack.undisturbed("n2"):
        row.seen.append(stack.run(stop).end)
        timers[0].join()
        stack.converge()
    row.held += 1


def test_an_api_server_that_is_gone_for_ever_is_a_bounded_error_and_nothing_is_changed(
    stack: FaultStack, faults: Faults
) -> None:
    row = faults.tried("the API server is dead for ever", "before an update")
    stack.begin_update()
    stack.begin_new_life()
    files = (
        "sha256sum /var/lib/kubelet/config.yaml /etc/kubernetes/*.conf /etc/systemd/system/kube*"
    )
    before, state = {name: stack.ssh(name, files) for name in ("n1", "n2")}, _resources(stack)
    with stack.undisturbed("n1", "n2"):
        processes.kill(stack.lab, "kube-apiserver")
        try:
            seen = stack.run()
            assert seen.status > 0
            assert seen.seconds < 300
        finally:
            lifecycle.up(stack.lab.directory, lifecycle.Wish(), lambda _: None)
        assert {name: stack.ssh(name, files) for name in ("n1", "n2")} == before
        assert _resources(stack) == state
    row.seen.append(f"an error after {_rounded(seen.seconds)} s, host and state as they were")
    stack.converge()
    row.held += 1


def _resources(stack: FaultStack) -> str:
    """Return a digest of the resources on record; what a run writes about itself is left out."""
    listed = stack.pulumi("stack", "export")
    # Secrets are encrypted anew by each run, times and versions are the run's own.
    urns = sorted(line for line in listed.splitlines() if '"urn":' in line or '"id":' in line)
    return hashlib.sha256("".join(urns).encode()).hexdigest()


def test_of_two_runs_at_once_the_second_is_told_of_the_lock(
    stack: FaultStack, faults: Faults
) -> None:
    row = faults.tried("two `pulumi up` at once", "n1-units of an update")
    second: list[str] = []
    stack.begin_update()

    def up_again(_: subprocess.Popen[str], step: Step) -> None:
        if step.resource == "n1-units":
            second.append(stack.up(expect=False))

    with stack.undisturbed("n2"):
        seen = stack.run(up_again)
        assert seen.status == 0, seen.printed
        assert "the stack is currently locked by 1 lock" in second[0]
        stack.assert_held()
    row.seen.append("the second is told of the lock, the first goes on")
    row.held += 1


@contextlib.contextmanager
def _crowded(stack: FaultStack) -> Iterator[list[socket.socket]]:
    """Let sshd take two connections that are not logged in, and hold two."""
    drop_in = "/etc/ssh/sshd_config.d/00-crowded.conf"
    stack.ssh(HOST, f"echo 'MaxStartups 2:100:2' >{drop_in}; systemctl reload ssh")
    held: list[socket.socket] = []
    try:
        held.extend(_knock(stack.lab.host(HOST).address) for _ in range(2))
        yield held
    finally:
        _leave(held)
        end = time.monotonic() + 30
        while (
            stack.ssh(HOST, f"rm {drop_in}; systemctl reload ssh; echo ok", check=False) != "ok\n"
        ):
            assert time.monotonic() < end
            time.sleep(0.2)


def _knock(address: str, seconds: float = 10) -> socket.socket:
    """Connect, and hear sshd answer; while it takes its new configuration nobody listens."""
    end = time.monotonic() + seconds
    while True:
        try:
            held = socket.create_connection((address, 22), timeout=seconds)
            if held.recv(4):
                return held
            held.close()
        except ConnectionError:
            pass
        assert time.monotonic() < end, "sshd does not answer"
        time.sleep(0.1)


def _leave(crowd: list[socket.socket]) -> None:
    for each in crowd:
        each.close()


def test_a_crowd_at_sshds_door_for_20_seconds(stack: FaultStack, faults: Faults) -> None:
    row = faults.tried("MaxStartups is reached for 20 s", "n1-units of an update")
    stack.begin_update()
    with stack.undisturbed("n2"):
        with _crowded(stack) as held:
            timer = threading.Timer(20, _leave, [held])
            timer.start()
            seen: Seen = stack.run()
            timer.join()
        row.seen.append(seen.end)
        stack.converge()
    row.held += 1


@pytest.mark.parametrize(
    ("disk", "begin"),
    [
        (Disk(name="disk full: /run", folder="/run", spoil=full_run), FaultStack.begin_update),
        (
            Disk(name="disk full: /var/lib/kube-nodes", folder="/var/lib/kube-nodes", spoil=full),
            FaultStack.begin_update,
        ),
        (Disk(name="read-only /etc", folder="/etc", spoil=read_only), FaultStack.begin_new_life),
    ],
    ids=lambda each: each.name.replace(" ", "-") if isinstance(each, Disk) else "",
)
def test_a_disk_that_cannot_be_written_is_an_error_and_the_other_node_goes_on(
    stack: FaultStack, faults: Faults, disk: Disk, begin: Callable[[FaultStack], None]
) -> None:
    """As in test_host_script, and by a whole `up`."""
    kind = "an update" if begin is FaultStack.begin_update else "a new life"
    row = faults.tried(f"{disk.name}, for a whole `up`", kind)
    begin(stack)
    host = ScriptHost(stack.lab, stack.lab.host(HOST))
    host.sh("touch /run/began")
    with stack.undisturbed("n2"):
        with disk.spoil(host, disk.folder) as content:
            was = content()
            started = stack.start_times(HOST)
            seen = stack.run()
            assert seen.status > 0
            assert content() == was
            if kind == "an update":
                assert stack.start_times(HOST) == started
        row.seen.append("an error, nothing half-written")
        stack.converge()
    row.held += 1


def test_a_clock_that_is_ten_minutes_off(faults: Faults) -> None:
    why = (
        "the lab's hosts share the machine's clock. That a host whose clock is not the API server's"
        " is refused is held by test_a_clock_that_is_not_the_api_servers_is_found"
    )
    faults.skip("the host's clock is ten minutes off", why)
    pytest.skip(f"the lab's hosts cannot have a clock of their own: {why}")


def _rounded(seconds: float) -> int:
    return max(10, int(round(seconds, -1)))
