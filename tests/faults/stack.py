"""The stack under faults: its two kinds of run, and what must hold after each fault."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from lab.stack import Stack
from tests.faults.events import EventLog, Step
from tests.lab.host_script.script_host import ScriptHost
from tests.lab.nodes_stack import NodesStack

SECONDS = 900
"""No run may take longer, whatever is done to it."""

Injection = Callable[[subprocess.Popen[str], Step], None]


@dataclass
class Seen:
    """What became of one run."""

    status: int
    printed: str
    steps: list[Step] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def end(self) -> str:
        """Say in a word how it ended."""
        if self.status < 0:
            return f"the run ended by {signal.Signals(-self.status).name}"
        return "the run went on to its end" if self.status == 0 else "the run ended with an error"


class FaultStack(NodesStack):
    """Two nodes, n1 and n2. Faults are for n1; n2 must not notice."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        self.event_logs: list[bytes] = []

    def configuration(self) -> dict[str, Any]:
        text = (self.stack.project / "Pulumi.dev.yaml").read_text()
        read: dict[str, Any] = yaml.safe_load(text)
        return read

    def configure(self, configuration: dict[str, Any]) -> None:
        (self.stack.project / "Pulumi.dev.yaml").write_text(yaml.safe_dump(configuration))

    def nodes_of(self, configuration: dict[str, Any]) -> dict[str, Any]:
        """Return the declared nodes, to be changed in place."""
        nodes: dict[str, Any] = configuration["config"]["kube-nodes:pools"]["workers"]["nodes"]
        return nodes

    def begin_removal(self) -> dict[str, Any]:
        """Declare n1 no more: the next `up` takes it out. Return what was declared."""
        declared = self.configuration()
        without = copy.deepcopy(declared)
        del self.nodes_of(without)["n1"]
        self.configure(without)
        return declared

    def begin_first_join(self) -> None:
        """Take n1 out of the cluster, and declare it again: the next `up` joins a clean host."""
        declared = self.begin_removal()
        self.up()
        self.configure(declared)

    def begin_update(self) -> None:
        """Declare another number of pods for n1: the next `up` restarts its kubelet."""
        declared = self.configuration()
        options = self.nodes_of(declared)["n1"].setdefault("options", {})
        options["maxPods"] = 50 if options.get("maxPods") != 50 else 60
        self.configure(declared)

    def begin_new_life(self, name: str = "n1") -> None:
        """Raise n1's generation: the next `up` drains it, and joins it with a new identity."""
        declared = self.configuration()
        node = self.nodes_of(declared)[name]
        node["generation"] = node.get("generation", 1) + 1
        self.configure(declared)

    def begin_new_certificate(self) -> None:
        """Raise the epoch of kube-proxy's certificate: the next `up` has a new key signed."""
        declared = self.configuration()
        chosen = declared["config"].setdefault("kube-nodes:kubeProxyCertificate", {})
        chosen["epoch"] = chosen.get("epoch", 1) + 1
        self.configure(declared)

    def run(self, inject: Injection | None = None, *flags: str) -> Seen:
        """Run `up`; call `inject` as each step begins."""
        log = EventLog(self.lab.path("events.jsonl"))
        # No pipe: what a killed engine started would hold it open.
        output = self.lab.path("printed.txt")
        begin = time.monotonic()
        with output.open("w") as file:
            running = self.start(
                "up", "--yes", "--skip-preview", "--non-interactive", *flags, *log.flags,
                output=file,
            )  # fmt: skip
        steps: list[Step] = []
        while True:
            ended = running.poll() is not None
            for step in log.steps():
                steps.append(step)
                if inject:
                    inject(running, step)
            if ended:
                break
            if time.monotonic() - begin > SECONDS:
                os.killpg(running.pid, signal.SIGKILL)
                raise AssertionError(f"up did not end within {SECONDS} s: {output.read_text()}")
            time.sleep(0.02)
        printed = output.read_text()
        self.event_logs.append(log.text)
        self.printed.append(printed)
        return Seen(running.returncode, printed, steps, time.monotonic() - begin)

    def converge(self) -> None:
        """Run the next `up`, and check all that must hold after any fault."""
        self.prepare()  # also takes away the lock of a run that was killed
        self.up()
        self.assert_held()

    def assert_held(self) -> None:
        """One Node and one identity a host, nothing half-written, all well, nothing to do."""
        hosts = self.nodes_of(self.configuration())
        items = json.loads(self.kubectl("get", "nodes", "-o", "json"))["items"]
        names = [each["metadata"]["name"] for each in items]
        assert sorted(names) == sorted(hosts), names
        assert set(self.ready()) == set(hosts)
        machines = {each["status"]["nodeInfo"]["machineID"] for each in items}
        assert len(machines) == len(hosts), machines
        for host in hosts:
            self._assert_host_is_well(host)
            assert ScriptHost(self.lab, self.lab.host(host)).litter() == "", host
        secrets = json.loads(self.kubectl("get", "secrets", "-n", "kube-system", "-o", "json"))
        for secret in secrets["items"]:
            if secret["type"] == "bootstrap.kubernetes.io/token":
                assert "token-secret" not in secret["data"], "a token is open"
        self.pulumi("preview", "--expect-no-changes", "--non-interactive")

    def _assert_host_is_well(self, host: str) -> None:
        """What systemd starts again by itself has half a minute for it."""
        end = time.monotonic() + 30
        while True:
            looked = self.ssh(host, _LOOK)
            facts = dict(re.findall(r"^(\w+)=(.*)$", looked, re.M))
            well = (facts["active"], facts["health"]) == ("active active active active", "ok 200")
            if well or time.monotonic() > end:
                break
            time.sleep(0.5)
        assert well, looked
        # kubelet-client-current.pem leads to the one certificate of this generation.
        assert (facts["identities"], facts["current"]) == ("1", "yes"), looked

    @contextlib.contextmanager
    def undisturbed(self, *hosts: str) -> Iterator[None]:
        """Hold that no service of these hosts was restarted meanwhile."""
        before = {host: self.start_times(host) for host in hosts}
        yield
        assert {host: self.start_times(host) for host in hosts} == before


# /proc/self/mounts and the like are no concern here: what the kubelet and we left is.
_LOOK = r"""cd /var/lib/kubelet/pki
echo "identities=$(ls kubelet-client-2*.pem | wc -l)"
echo "current=$(test -s kubelet-client-current.pem && echo yes)"
echo "active=$(systemctl is-active kubelet kube-proxy containerd ssh | tr '\n' ' ' | sed 's/ $//')"
echo "health=$(curl -s http://127.0.0.1:10248/healthz) $(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:10256/healthz)"
"""
