"""Messages of kubelet and kube-proxy that an operator meets, and what each of them means.

One pattern serves `grep -E` on the host and Python here: no \\d, no lookaround.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kube_nodes.model.findings import Finding, Level
from kube_nodes.model.host_facts import JournalLine

# What kube-proxy does while it starts is over by then, in seconds; so is a kubelet's bootstrap, in
# which the API server's cache may still not know it.
START_SECONDS = 90
# kube-proxy repeats a failed change after 30 s, client-go a refused list after at most a minute.
LATE_SECONDS = 180


@dataclass(frozen=True, kw_only=True)
class Message:
    """A kind of message."""

    key: str
    pattern: str
    rule: str
    remedy: str
    harmless_at_start: bool = False
    """With a Service that answers it is a note, where it came only at the start or long ago."""
    usual_at_start: bool = False
    """Then it is not even that, where it came only at the start."""
    warning: bool = False
    """It is a note in any case."""
    passes: bool = False
    """It comes again for as long as it holds: a note where it came only long ago."""


MESSAGES = (
    Message(
        key="iptables-restore",
        pattern=r"[Ff]ailed to execute iptables-restore|ip6?tables-restore: line [0-9]+ failed",
        # The manual links kubernetes#52711 to this message, which is about something else.
        rule="kube-proxy could not write rules. At its start it clears away what another proxy mode"
        " has left, and that may fail (kubernetes#68447): harmless where the Service answers",
        remedy="see that iptables, its modules and its backend (legacy or nft) fit the kernel, run"
        " `kube-proxy --cleanup`, then restart kube-proxy",
        harmless_at_start=True,
    ),
    Message(
        key="nodes is forbidden",
        pattern=r'nodes (\\?"[^"]*" )?is forbidden',
        rule="the API server refuses to show it the Nodes (kubernetes#52711); while a node joins it"
        " may do so for half a minute",
        remedy="run kube-apiserver with --authorization-mode=Node,RBAC, and see that the"
        " ClusterRoleBinding system:node-proxier is there",
        harmless_at_start=True,
        usual_at_start=True,
    ),
    Message(
        key="unknown field",
        pattern=r'unknown field \\?"',
        rule="this version does not know a field of its file, and passes over it",
        remedy="remove it from the node's options",
        warning=True,
    ),
    Message(
        key="flag",
        pattern=r"Flag --[a-z0-9_-]+ has been deprecated|unknown flag: --",
        rule="this version drops, or has dropped, a flag",
        remedy="use the field that the message names, in the node's options",
        warning=True,
    ),
    Message(
        key="sandbox image",
        pattern=r"failed to (get|pull) sandbox image",
        rule="no pod can start here: the container runtime cannot get the image of its sandbox",
        remedy="open the host's way to the image's registry, or import the image there"
        " (ctr -n k8s.io images import), or set containerd.sandboxImage to one that it can get",
        passes=True,
    ),
)
PATTERN = "|".join(message.pattern for message in MESSAGES)


def judge_journal(
    unit: str,
    lines: Sequence[JournalLine],
    *,
    started_seconds: int,
    now_seconds: int,
    service_answers: bool,
) -> Iterator[Finding]:
    """Say what the known messages in a unit's journal mean.

    Args:
        unit: its name.
        lines: known messages of the unit's present run.
        started_seconds: when the unit became active, on the clock of the lines.
        now_seconds: now, on that clock.
        service_answers: whether a Service was reached from this host just now.
    """
    known = 0
    for message in MESSAGES:
        found = [line for line in lines if re.search(message.pattern, line.text)]
        if not found:
            continue
        known += 1
        last = found[-1].seconds
        only_at_start = last <= started_seconds + START_SECONDS
        over = only_at_start or last < now_seconds - LATE_SECONDS
        harmless = message.harmless_at_start and over and service_answers
        harmless = harmless or (message.passes and last < now_seconds - LATE_SECONDS)
        usual = message.usual_at_start and only_at_start and harmless
        level = Level.NOTE if message.warning or harmless else Level.FAILED
        yield Finding(
            node="",
            what=f"journal of {unit}: {message.key}",
            level=Level.OK if usual else level,
            value=_quote(found),
            rule=message.rule,
            remedy="" if harmless else message.remedy,
        )
    if not known:
        yield Finding(node="", what=f"journal of {unit}", level=Level.OK)


def _quote(lines: Sequence[JournalLine]) -> str:
    more = f" (and {len(lines) - 1} like it)" if len(lines) > 1 else ""
    return f"{lines[-1].text}{more}"
