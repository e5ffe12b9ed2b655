"""What is measured: four cases in a row, by one tool after the other, on the same hosts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from benchmarks import hosts, work
from benchmarks.figures import Sample
from benchmarks.tools import Tool, credentials_folder
from lab.errors import LabError
from lab.spec import Host, LabSpec

FIRST, NOTHING, CHANGED, ADDED = (
    "first run",
    "nothing to do",
    "one file changed on all",
    "one host added",
)
_NONE = dict.fromkeys(work.UNITS, False)
CASES = (FIRST, NOTHING, CHANGED, ADDED)


def run_round(
    lab: LabSpec, tools: Sequence[Tool], count: int, number: int, report: Callable[[str], None]
) -> Iterator[Sample]:
    """Have each tool go through the cases with so many hosts, the first of the lab.

    Each round begins with another tool. After each case the hosts must be what was declared, the
    same for every tool, and only what a change concerns may have been restarted.

    Raises:
        LabError: a tool failed, or did other work than was asked.
    """
    shift = number % len(tools)
    for tool in [*tools[shift:], *tools[:shift]]:
        for case, elapsed in _Course(lab, tool, lab.hosts[:count]).run():
            report(f"{count} hosts, round {number}, {tool.name}, {case}: {elapsed:.2f} s")
            yield Sample(hosts=count, case=case, tool=tool.name, round=number, seconds=elapsed)


class _Course:
    """One tool's way through the cases."""

    def __init__(self, lab: LabSpec, tool: Tool, on: Sequence[Host]) -> None:
        self._lab, self._tool, self._hosts = lab, tool, on
        credentials = work.Credentials.read(credentials_folder(lab))
        self._plans = {
            pods: work.plan(credentials, pods, on[0].host_key)
            for pods in (work.FIRST_PODS, work.CHANGED_PODS)
        }

    def run(self) -> Iterator[tuple[str, float]]:
        """Yield each case with the seconds that it took."""
        few, last = self._hosts[:-1], self._hosts[-1:]
        hosts.reset(self._lab, self._lab.hosts)
        self._tool.forget()
        yield FIRST, self._timed(self._hosts, work.FIRST_PODS)
        first = self._look(self._hosts, work.FIRST_PODS)
        yield NOTHING, self._timed(self._hosts, work.FIRST_PODS)
        second = self._look(self._hosts, work.FIRST_PODS)
        self._hold_started(first, second, _NONE)
        yield CHANGED, self._timed(self._hosts, work.CHANGED_PODS)
        third = self._look(self._hosts, work.CHANGED_PODS)
        self._hold_started(second, third, {"kubelet": True, "kube-proxy": False})
        if self._tool.remembers:
            # What knows of the last host must let go of it first.
            self._timed(few, work.CHANGED_PODS)
        hosts.reset(self._lab, last)
        yield ADDED, self._timed(self._hosts, work.CHANGED_PODS)
        fourth = self._look(self._hosts, work.CHANGED_PODS)
        of_few = {host.name: fourth[host.name] for host in few}
        self._hold_started(third, of_few, _NONE)

    def _timed(self, on: Sequence[Host], pods: int) -> float:
        self._tool.declare(on, self._plans[pods])
        begin = time.monotonic()
        self._tool.run()
        elapsed = time.monotonic() - begin
        self._tool.after()
        return elapsed

    def _look(self, on: Sequence[Host], pods: int) -> dict[str, hosts.Look]:
        """See that every host is as the plan says."""
        plan = self._plans[pods]
        seen = hosts.look(self._lab, on, plan)
        for host in on:
            wanted = plan.states(host)
            found = seen[host.name].found
            if wrong := sorted(name for name in wanted if found.get(name) != wanted[name]):
                name = wrong[0]
                raise LabError(
                    f"{self._tool.name}: {host.name}: {name} is {found.get(name)},"
                    f" not {wanted[name]}; what it does is not the same work."
                )
        return seen

    def _hold_started(
        self,
        before: Mapping[str, hosts.Look],
        now: Mapping[str, hosts.Look],
        wanted: Mapping[str, bool],
    ) -> None:
        """See that the units that a change concerns were restarted, and no others."""
        for name, look in now.items():
            for unit, restarts in wanted.items():
                if (look.started[unit] != before[name].started[unit]) is not restarts:
                    was = "was not" if restarts else "was"
                    raise LabError(f"{self._tool.name}: {name}: {unit} {was} restarted.")
