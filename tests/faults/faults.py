"""The faults that meet a run as one of its steps begins: each a few lines, and how it is mended."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from lab import hosts
from tests.faults import network, operator
from tests.faults.events import Step
from tests.faults.stack import FaultStack

HOST = "n1"


@dataclass
class Scene:
    """A run at one of its steps."""

    nodes: FaultStack
    running: subprocess.Popen[str]
    step: Step


def _nothing(_: FaultStack) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is done at a step, and undone when the run has ended."""

    name: str
    inject: Callable[[Scene], None]
    heal: Callable[[FaultStack], None] = _nothing


def kill_engine(scene: Scene) -> None:
    os.kill(scene.running.pid, signal.SIGKILL)


def kill_plugin(scene: Scene) -> None:
    """Kill the plugin that serves this step."""
    pid = operator.find_plugin(scene.running.pid, scene.step.plugin)
    assert pid, f"no plugin {scene.step.plugin} runs"
    os.kill(pid, signal.SIGKILL)


def on_host(command: str) -> Callable[[Scene], None]:
    """Run a command on the host, which may end the very connection."""
    return lambda scene: _tell(scene.nodes, command)


def _tell(nodes: FaultStack, command: str) -> None:
    nodes.ssh(HOST, command, check=False)


def reboot(scene: Scene) -> None:
    """Pull the host's plug, and boot it."""
    lab = scene.nodes.lab
    hosts.stop(lab, HOST)
    hosts.boot(lab, lab.host(HOST))
    hosts.wait_reachable(lab, lab.host(HOST), timeout_seconds=180)


def cut_for(seconds: float, verdict: str = "drop") -> Callable[[Scene], None]:
    """Cut the host off; the network comes back by itself."""

    def cut(scene: Scene) -> None:
        network.disturb(scene.nodes.lab, HOST, verdict)
        threading.Timer(seconds, network.mend, [scene.nodes.lab]).start()

    return cut


def interrupt(times: int) -> Callable[[Scene], None]:
    """Press Ctrl-C, and once more a second later."""

    def press(scene: Scene) -> None:
        scene.running.send_signal(signal.SIGINT)
        for _ in range(times - 1):
            time.sleep(1)
            if scene.running.poll() is None:
                scene.running.send_signal(signal.SIGINT)

    return press


# The script's own processes: the shell that runs what was sent, and the `timeout` above it.
_SCRIPT = (
    "$(grep -lzxE '[.]kube-nodes/[0-9a-f]{64}' /proc/[0-9]*/cmdline 2>/dev/null | grep -o '[0-9]*')"
)


def hang(scene: Scene) -> None:
    """Stop the script on the host, and the time limit over it; then press Ctrl-C twice."""
    end = time.monotonic() + 60
    while scene.nodes.ssh(HOST, f"kill -STOP {_SCRIPT} && echo ok", check=False) != "ok\n":
        assert time.monotonic() < end, "no script to stop"
        time.sleep(0.1)
    interrupt(2)(scene)


def wake(nodes: FaultStack) -> None:
    """Let what was stopped on the host go on."""
    nodes.ssh(HOST, f"kill -CONT {_SCRIPT}", check=False)


ENGINE = Fault(name="kill -9 of the engine", inject=kill_engine)
PLUGIN = Fault(name="kill -9 of the plugin that serves the step", inject=kill_plugin)
SSHD = Fault(name="kill -9 of sshd and its connections", inject=on_host("kill -9 $(pidof sshd)"))
CONTAINERD = Fault(
    name="kill -9 of containerd",
    inject=on_host("systemctl kill -s KILL --kill-who=main containerd"),
)
KUBELET = Fault(name="kill -9 of the kubelet", inject=on_host("systemctl kill -s KILL kubelet"))
REBOOT = Fault(name="the host loses its power, and boots", inject=reboot)
CUT = Fault(name="the network is cut for 20 s", inject=cut_for(20))
CTRL_C = Fault(name="Ctrl-C once", inject=interrupt(1))
CTRL_C_TWICE = Fault(name="Ctrl-C twice", inject=interrupt(2))
HANG = Fault(name="the host answers SSH and hangs; Ctrl-C twice", inject=hang, heal=wake)
