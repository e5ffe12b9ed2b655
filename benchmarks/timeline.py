"""Where the time of a join goes, from what the engine, the hosts and the API server say. Pure.

All clocks are one: the lab's hosts and control plane are processes of one machine. Times are
seconds since 1970.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# systemd's ids of its own messages: systemd/sd-messages.h.
_UNIT_STARTED = "39f53479d3a045ac8e11786248231fbf"

REMOTE = ("preflight", "credentials", "units", "service-check")
"""The steps of a node that are a login on its host, in their order."""


@dataclass(frozen=True)
class Step:
    """A resource's operation, as the engine tells of it."""

    begin: float
    end: float


@dataclass(frozen=True)
class Login:
    """An SSH session on a host."""

    accepted: float
    closed: float


@dataclass(frozen=True)
class Phase:
    """A part of a join: from the end of the one before it to a mark."""

    group: str
    """Which of GROUPS it counts to."""
    text: str
    mark: str


GROUPS = (
    "engine",
    "connection",
    "script",
    "token",
    "kubelet start and request",
    "approval",
    "issue",
    "Ready",
    "label",
    "service check",
)
PHASES = (
    Phase("engine", "CLI, program and plugins start, until the node's first step", "preflight"),
    Phase("connection", "preflight: TCP, keys, login", "preflight accepted"),
    Phase("script", "preflight: transfer, look at the host", "preflight closed"),
    Phase("engine", "between steps", "prepare"),
    Phase("token", "prepare: a Python starts, opens the token, tries it", "prepare end"),
    Phase("engine", "between steps", "credentials"),
    Phase("connection", "credentials: TCP, keys, login", "credentials accepted"),
    Phase("script", "credentials: transfer, files, the API server vouches", "credentials closed"),
    Phase("engine", "between steps", "units"),
    Phase("connection", "units: TCP, keys, login", "units accepted"),
    Phase("script", "units: transfer, download of the programs, files, systemd", "kubelet started"),
    Phase("kubelet start and request", "from its start to its certificate request", "requested"),
    Phase("approval", "the request waits: the units script goes on until kube-proxy lives",
          "units closed"),
    Phase("approval", "the request waits: between steps", "membership"),
    Phase("approval", "the request waits: membership's Python starts, approves", "approved"),
    Phase("issue", "kube-controller-manager signs", "issued"),
    Phase("Ready", "the kubelet registers its Node", "registered"),
    Phase("Ready", "the kubelet reports Ready", "ready"),
    Phase("label", "labels, taint, annotation", "member"),
    Phase("label", "serving certificate, token closed, membership's end", "membership end"),
    Phase("engine", "between steps", "service-check"),
    Phase("connection", "service check: TCP, keys, login", "service-check accepted"),
    Phase("service check", "until the Service answers through kube-proxy", "service-check closed"),
    Phase("engine", "outputs, the CLI's end", "end"),
)  # fmt: skip


def parse_events(lines: Iterable[tuple[float, str]]) -> dict[str, Step]:
    """Read the engine's event log into steps by the resource's name.

    Args:
        lines: each line of `--event-log`, with when it was written; its own times are whole
            seconds.
    """
    begun: dict[str, float] = {}
    steps: dict[str, Step] = {}
    for when, line in lines:
        event = json.loads(line)
        for key in ("resourcePreEvent", "resOutputsEvent"):
            if metadata := (event.get(key) or {}).get("metadata"):
                name = metadata["urn"].rpartition("::")[2]
                if key == "resourcePreEvent":
                    begun[name] = when
                elif name in begun:
                    steps[name] = Step(begun[name], when)
    return steps


def parse_logins(journal: str) -> list[Login]:
    """Read the logins of `journalctl -o json` of a host, in their order."""
    accepted: dict[str, float] = {}
    logins = []
    for entry in _entries(journal):
        message, pid = str(entry.get("MESSAGE", "")), str(entry.get("_PID", ""))
        if message.startswith("Accepted publickey"):
            accepted[pid] = _when(entry)
        elif "session closed for user" in message and pid in accepted:
            logins.append(Login(accepted.pop(pid), _when(entry)))
    return sorted(logins, key=lambda login: login.accepted)


def parse_started(journal: str, unit: str) -> float | None:
    """Read when systemd had first started a unit; None where it had not."""
    times = [
        _when(entry)
        for entry in _entries(journal)
        if entry.get("UNIT") == unit and entry.get("MESSAGE_ID") == _UNIT_STARTED
    ]
    return min(times, default=None)


def _entries(journal: str) -> Iterator[Mapping[str, Any]]:
    for line in journal.splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def _when(entry: Mapping[str, Any]) -> float:
    return int(entry["__REALTIME_TIMESTAMP"]) / 1e6


def marks(
    node: str,
    *,
    begin: float,
    end: float,
    steps: Mapping[str, Step],
    logins: Iterable[Login],
    kubelet_started: float | None,
    seen: Mapping[str, float],
) -> dict[str, float]:
    """Put together all that is known of a node's join.

    Args:
        node: its id.
        begin: when `pulumi up` was started.
        end: when it had ended.
        steps: of parse_events.
        logins: of parse_logins, on its host.
        kubelet_started: of parse_started.
        seen: what a watch of the API server saw, such as `requested`.
    """
    found = {"begin": begin, "end": end, **seen}
    if kubelet_started is not None:
        found["kubelet started"] = kubelet_started
    for name in (*REMOTE, "prepare", "membership"):
        step = steps.get(f"{node}-{name}")
        if step is None:
            continue
        found[name], found[f"{name} end"] = step.begin, step.end
        if name in REMOTE:
            own = [each for each in logins if step.begin <= each.accepted <= step.end]
            if own:
                found[f"{name} accepted"] = own[0].accepted
                found[f"{name} closed"] = own[0].closed
    return found


def durations(found: Mapping[str, float]) -> list[tuple[Phase, float]]:
    """Return how long each phase took, in seconds; together they are the whole join.

    What had happened before the phase before it was over took no time of its own. A phase whose
    mark nobody saw is left out: its time goes to the next one.
    """
    last = found["begin"]
    result = []
    for phase in PHASES:
        if phase.mark not in found:
            continue
        mark = max(last, found[phase.mark])
        result.append((phase, mark - last))
        last = mark
    return result


def by_group(found: Mapping[str, float]) -> dict[str, float]:
    """Add up the phases of each group, in seconds."""
    sums = dict.fromkeys(GROUPS, 0.0)
    for phase, seconds in durations(found):
        sums[phase.group] += seconds
    return sums
