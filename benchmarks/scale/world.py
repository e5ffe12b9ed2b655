"""A world of the benchmark's own: namespaces that end with their first process, and all in them.

Addresses, mounts and processes are in it alone, so nothing of them can stay on the machine: not
after an error, Ctrl-C, or a SIGKILL of whoever started it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.scale import cluster, fleet
from lab import ssh
from lab.commands import run
from lab.errors import LabError
from lab.spec import LabSpec

HOSTS = "198.18.0.0/16"
_ENTER = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_LISTEN_SECONDS = 60


def enter(module: str, arguments: Sequence[str], seconds: int) -> int:
    """Run a module as the first process of a new world; return its exit status.

    It is ended after so many seconds, and when this process is gone.
    """
    argv = ["setpriv", "--pdeathsig", "KILL", *_ENTER, sys.executable, "-m", module, *arguments]
    with subprocess.Popen(argv) as world:
        try:
            return world.wait(seconds)
        except subprocess.TimeoutExpired:
            raise LabError(f"not over after {seconds} s; see --seconds") from None
        finally:
            # All that is in it goes with its first process; nothing there has to end in order.
            world.kill()


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


@contextmanager
def running(spec: LabSpec, root: Path, programs: Mapping[str, Path]) -> Iterator[World]:
    """Run the cluster and what plays the hosts, in the world that this process is the first of."""
    if os.getpid() != 1:
        raise LabError("only the first process of a world of its own may change addresses")
    run(["ip", "link", "set", "lo", "up"])
    # The whole range is this machine's, without an address for each host.
    run(["ip", "route", "add", "local", HOSTS, "dev", "lo"])
    fleet.make_shared(spec)
    _mount(spec, root)
    with ExitStack() as stack:
        stack.enter_context(cluster.run(spec, programs))
        world = World(spec)
        stack.enter_context(world.playing())
        yield world


def _mount(spec: LabSpec, root: Path) -> None:
    """Give sshd the hosts' root directory, read-only but for what is the hosts' own."""
    own = spec.path("root")
    own.mkdir(exist_ok=True)
    run(["mount", "--bind", str(root), str(own)])
    run(["mount", "-o", "remount,bind,ro", str(own)])
    run(["mount", "-t", "tmpfs", "-o", "size=16m", "run", str(own / "run")])
    (own / "run" / "sshd").mkdir(mode=0o755)
    run(["mount", "-t", "proc", "proc", str(own / "proc")])
    run(["mount", "--bind", "/dev", str(own / "dev")])
    run(["mount", "--bind", str(spec.path("srv")), str(own / "srv")])


class World:
    """What runs in it."""

    def __init__(self, spec: LabSpec) -> None:
        self.spec = spec
        self.hosts: list[fleet.SimulatedHost] = []

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Run the agent with the operator's key, and the process that plays the hosts."""
        orders = self.spec.path("srv", "orders")
        orders.unlink(missing_ok=True)
        os.mkfifo(orders, 0o600)
        with self.spec.path("logs", "hosts.log").open("ab") as log, ExitStack() as stack:
            argv = [sys.executable, "-m", "benchmarks.scale.play", str(self.spec.directory)]
            agent = ssh.agent_socket(self.spec)
            agent.unlink(missing_ok=True)
            for command in (argv, ["ssh-agent", "-D", "-a", str(agent)]):
                started = subprocess.Popen(command, stdout=log, stderr=log)
                stack.callback(_end, started)
            _await(agent.exists, f"no socket {agent}")
            subprocess.run(
                ["ssh-add", "-q", str(ssh.key_file(self.spec))],
                env={**os.environ, "SSH_AUTH_SOCK": str(agent)},
                check=True,
            )
            yield

    def have(self, count: int) -> None:
        """Have so many hosts answer."""
        new = [fleet.make_host(self.spec, n) for n in range(len(self.hosts) + 1, count + 1)]
        lines = "".join(f"listen {host.name} {host.address}\n" for host in new)
        with self.spec.path("srv", "orders").open("w", encoding="utf-8") as orders:
            orders.write(lines)
        self.hosts += new
        if new:
            _await(lambda: _answers(new[-1].address), "the simulated hosts do not listen")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    _wait(process, 5)


def _answers(address: str) -> bool:
    argv = ["ssh-keyscan", "-T", "2", "-t", "ed25519", address]
    return bool(subprocess.run(argv, capture_output=True, check=False).stdout)


def _await(is_so: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + _LISTEN_SECONDS
    while not is_so():
        if time.monotonic() > end:
            raise LabError(otherwise)
        time.sleep(0.1)
