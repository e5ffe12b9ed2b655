"""How long two nodes take to join, and where the time goes: `python -m benchmarks.join`.

The whole program on a lab, from `pulumi up` to both nodes Ready and checked, beside the bare
sequence by hand, on the same hosts.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from benchmarks import hosts as light
from benchmarks import report, timeline, watching
from benchmarks.by_hand.files import write_folder
from benchmarks.command_line import exit_status
from benchmarks.join_report import Run, render
from benchmarks.tools import CHECKOUT, HERE, execute
from lab import lifecycle
from lab import spec as lab_spec
from lab.commands import run
from lab.errors import LabError
from lab.files import write_atomically
from lab.spec import LabSpec
from lab.stack import Stack, prepare

_SUBNET, _BRIDGE = "10.98.251.0/24", "knjoin"
_HOSTS = ("n1", "n2")
_LINKED = ("__main__.py", "Pulumi.yaml", ".venv", "kube_nodes", "membership")
Report = Callable[[str], None]


@dataclass
class _Bench:
    """A lab, a stack of it, and what is done to both."""

    lab: LabSpec
    stack: Stack
    tell: Report

    @cached_property
    def _environment(self) -> dict[str, str]:
        """What Pulumi and kubectl run under; --event-log needs the commands for debugging."""
        return {**self.stack.environment(), "PULUMI_DEBUG_COMMANDS": "true"}

    def round(self, number: int) -> list[Run]:
        """Measure once: join, nothing to do, the same with a node less, then by hand.

        Both joins are of hosts that were made anew.
        """
        if number > 1:
            self._renew()
        prepare(self.stack)
        runs = [self._join(number), self._nothing(number, len(_HOSTS))]
        declared = self._file.read_text(encoding="utf-8")
        configuration = yaml.safe_load(declared)
        del configuration["config"]["kube-nodes:pools"]["workers"]["nodes"][_HOSTS[-1]]
        self._file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
        self._pulumi("up")
        runs.append(self._nothing(number, len(_HOSTS) - 1))
        self._pulumi("destroy")
        self._file.write_text(declared, encoding="utf-8")
        self._renew()
        runs.append(self._by_hand(number))
        self._undo_by_hand()
        return runs

    def _join(self, number: int) -> Run:
        log = self.lab.path("events.jsonl")
        with watching.objects(self.lab) as seen, watching.EventLog(log) as events:
            begin = time.time()
            self._pulumi("up", "--event-log", str(log))
            end = time.time()
        steps = timeline.parse_events(events.lines)
        marks = {name: self._marks(name, begin, end, steps, seen) for name in _HOSTS}
        self.tell(f"round {number}: join: {end - begin:.2f} s")
        return Run("join", number, end - begin, len(_HOSTS), marks)

    def _marks(
        self,
        name: str,
        begin: float,
        end: float,
        steps: Mapping[str, timeline.Step],
        seen: Mapping[str, dict[str, float]],
    ) -> dict[str, float]:
        journal = self._journal(name, begin)
        return timeline.marks(
            name,
            begin=begin,
            end=end,
            steps=steps,
            logins=timeline.parse_logins(journal),
            kubelet_started=timeline.parse_started(journal, "kubelet.service"),
            seen=seen.get(name, {}),
        )

    def _journal(self, name: str, since: float) -> str:
        """Read a host's journal from outside: a login of ours would be in it."""
        folder = self.lab.path("hosts", name, "var", "log", "journal")
        return run(["journalctl", "-D", str(folder), "-o", "json", f"--since=@{since:.6f}"])

    def _nothing(self, number: int, nodes: int) -> Run:
        begin = time.time()
        self._pulumi("up", "--expect-no-changes")
        end = time.time()
        for name in _HOSTS:
            if logins := timeline.parse_logins(self._journal(name, begin)):
                raise LabError(f"{name}: {len(logins)} logins of a run that has nothing to do.")
        self.tell(f"round {number}: nothing to do, {nodes} nodes: {end - begin:.2f} s")
        return Run("nothing to do", number, end - begin, nodes, {})

    def _by_hand(self, number: int) -> Run:
        folder = self.lab.path("by-hand")
        shutil.rmtree(folder, ignore_errors=True)
        stored = yaml.safe_load(self._file.read_text(encoding="utf-8"))["config"]
        write_folder(folder, self.lab, stored)
        light.write_ssh_config(self.lab, folder / "ssh_config")
        begin = time.time()
        self._execute(["sh", HERE / "by_hand" / "join.sh", folder])
        end = time.time()
        self.tell(f"round {number}: by hand: {end - begin:.2f} s")
        return Run("by hand", number, end - begin, len(_HOSTS), {})

    def _undo_by_hand(self) -> None:
        """Take the objects away; the hosts are made anew, so nobody need end their pods."""
        manifests = HERE / "by_hand" / "manifests.yaml"
        self._execute(["kubectl", "delete", "-f", manifests, "--wait=false"])
        pods = ("kubectl", "delete", "pods", "--all", "--namespace", "by-hand")
        self._execute([*pods, "--force", "--grace-period=0"])
        self._execute(["kubectl", "delete", "node", *_HOSTS])
        gone = ("kubectl", "wait", "--for=delete", "namespace/by-hand", "--timeout=60s")
        self._execute([*gone])

    def _renew(self) -> None:
        """Make the hosts anew."""
        for name in _HOSTS:
            lifecycle.remove_host(self.lab.directory, lab_spec.require(self.lab.directory), name)
        wish = lifecycle.Wish(hosts=_HOSTS)
        self.lab = lifecycle.up(self.lab.directory, wish, self.tell)
        self.stack = replace(self.stack, lab=self.lab)

    @property
    def _file(self) -> Path:
        return self.stack.project / f"Pulumi.{self.stack.name}.yaml"

    def _pulumi(self, verb: str, *arguments: str) -> None:
        flags = ("--yes", "--skip-preview", "--non-interactive", "--stack", self.stack.name)
        self._execute(["pulumi", verb, *flags, *arguments])

    def _execute(self, argv: list[str | Path]) -> None:
        log = self.lab.path("output.txt")
        execute(argv, self._environment, self.stack.project, log)


def _project(lab: LabSpec) -> Path:
    """Make a project of its own: this checkout, with a configuration file that may be changed."""
    folder = lab.path("project")
    folder.mkdir(exist_ok=True)
    for name in _LINKED:
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(CHECKOUT / name)
    stored = yaml.safe_load((CHECKOUT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))
    write_atomically(folder / "Pulumi.dev.yaml", yaml.safe_dump(_without_hosts(stored)))
    return folder


def _without_hosts(stored: dict[str, Any]) -> dict[str, Any]:
    """Leave out what another lab has written: its hosts, programs and salt."""
    config = {key: value for key, value in stored["config"].items() if "binaries" not in key}
    for pool in config["kube-nodes:pools"].values():
        pool["nodes"] = {}
    return {"config": config}


def measure(options: argparse.Namespace, tell: Report) -> list[Run]:
    """Measure on a lab of its own, of which nothing is left afterwards.

    What was measured is saved after each round.
    """
    directory = options.dir or Path(tempfile.mkdtemp(prefix="kn-join-", dir="/var/tmp"))
    directory = directory.resolve()
    if lab_spec.load(directory):
        raise LabError(f"{directory}: a lab is there; choose another folder.")
    tell(f"{report.machine()}; load {os.getloadavg()[0]:.2f}")
    wish = lifecycle.Wish(hosts=_HOSTS, subnet=options.subnet, bridge=options.bridge)
    runs: list[Run] = []
    try:
        lab = lifecycle.up(directory, wish, tell)
        bench = _Bench(lab, Stack(lab, _project(lab), "dev"), tell)
        for number in range(1, options.rounds + 1):
            runs += bench.round(number)
            if options.save:
                text = json.dumps([vars(each) for each in runs])
                options.save.write_text(text, encoding="utf-8")
    finally:
        light.take_down(directory, tell)
    return runs


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.join", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="times that all is measured")
    parser.add_argument("--page", type=Path, help="write the tables into this page")
    parser.add_argument("--dir", type=Path, help="the lab's folder (default: a new one)")
    parser.add_argument("--subnet", default=_SUBNET)
    parser.add_argument("--bridge", default=_BRIDGE)
    parser.add_argument("--save", type=Path, help="keep what was measured in this file")
    parser.add_argument("--tables", type=Path, help="measure nothing: the tables of such a file")
    options = parser.parse_args(arguments)
    return exit_status(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    if options.tables:
        saved = json.loads(options.tables.read_text(encoding="utf-8"))
        return _publish([Run(**each) for each in saved], options.page)
    return _publish(measure(options, lifecycle.progress()), options.page)


def _publish(runs: list[Run], page: Path | None) -> int:
    text = render(runs)
    if page:
        report.write_part(page, "join", text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
