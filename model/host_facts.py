"""What host/inspect.sh printed about a host, read as plain facts.

Nothing of it is trusted: a line of any other form is passed over, numbers are bounded, and no text
makes the reader fail. What is missing is missing from the facts; who judges them says so.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_MODE = re.compile(r"0[0-7]{1,5}")
_OWNER = re.compile(r"\d{1,10}:\d{1,10}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}|[0-9a-f]{128}")
_STATUS = re.compile(r"\d{3}", re.ASCII)
_MONOTONIC = re.compile(r"\[ *(\d{1,12})\.\d{1,9}\] (.*)", re.ASCII)
# `host kube-proxy[12]: ` before a message in the journal's short forms.
_SOURCE = re.compile(r"^\S+ \S+?(\[\d+\])?: ", re.ASCII)
_KINDS = ("absent", "file", "folder", "link", "other")


@dataclass(frozen=True, kw_only=True)
class FileFact:
    """What is at a path."""

    kind: str
    """absent, file, folder, link or other."""
    mode: str = ""
    """As 0600."""
    owner: str = ""
    """Numbers of user and group, as 0:0."""
    digest: str = ""
    """SHA-256 or SHA-512, as it was asked for."""


@dataclass(frozen=True, kw_only=True)
class HttpFact:
    """How a URL answered on the host."""

    status: str
    """HTTP status; 000: no answer."""
    error: str = ""
    """curl's words."""


@dataclass(frozen=True, kw_only=True)
class JournalLine:
    """A message of a unit's journal."""

    seconds: int
    """Since the machine started, as UnitFact.since_seconds."""
    text: str


@dataclass(frozen=True, kw_only=True)
class UnitFact:
    """What systemd says of a unit; empty texts where it says nothing."""

    properties: Mapping[str, str]

    def get(self, name: str) -> str:
        """Read a property of `systemctl show`, or `Program`: the file that the process runs."""
        return self.properties.get(name, "")

    @property
    def restarts(self) -> int:
        """How often systemd had to start it again."""
        return _number(self.get("NRestarts"))

    @property
    def since_seconds(self) -> int:
        """When it became active, in seconds since the machine started."""
        return _number(self.get("ActiveEnterTimestampMonotonic")) // 1_000_000


@dataclass(frozen=True, kw_only=True)
class HostFacts:
    """Everything that a host told."""

    complete: bool = False
    """The script came to its end."""
    uptime_seconds: int = 0
    files: Mapping[str, FileFact] = field(default_factory=dict)
    kubeconfigs: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    """By path and key: the values that stand there, such as those of `server`."""
    certificates: Mapping[str, str] = field(default_factory=dict)
    """By the path that they stand in: PEM, unread."""
    units: Mapping[str, UnitFact] = field(default_factory=dict)
    journal: Mapping[str, tuple[JournalLine, ...]] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    """By unit: the last error line of its run."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """By path: what the program says of its version."""
    http: Mapping[str, HttpFact] = field(default_factory=dict)
    proxy_mode: str = ""
    dns: Mapping[str, str] = field(default_factory=dict)
    """By the server's address: its answer in hexadecimal digits, `silent` or `no-bash`."""
    texts: Mapping[str, str] = field(default_factory=dict)
    contents: Mapping[str, str | None] = field(default_factory=dict)
    """By path: text that is not the declared one, its beginning; None: it may hold a credential."""
    written: Mapping[str, bool] = field(default_factory=dict)
    """By path: a secret file is as it was written."""
    record: frozenset[str] = frozenset()
    """Paths that the host has on record as ours."""
    sysctls: Mapping[str, str] = field(default_factory=dict)
    sent: frozenset[str] = frozenset()
    """SHA-256 of each version of what the steps call that is there and whole."""
    arguments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By unit: the command line of its process."""
    strangers: frozenset[str] = frozenset()
    """Names of programs of Kubernetes that no unit of their name runs."""


def parse_host_facts(text: str) -> HostFacts:
    """Read what host/inspect.sh printed; see the functions there for each kind of line."""
    lines = [line.split(" ", 2) for line in text.split("\n")]
    rows = [(line[0], line[1], line[2]) for line in lines if len(line) == 3]

    def values(kind: str) -> list[tuple[str, str]]:
        return [(subject, value) for each, subject, value in rows if each == kind]

    texts = dict(values("text"))
    return HostFacts(
        complete=["end"] in lines,
        uptime_seconds=_number(texts.get("uptime", "").partition(".")[0]),
        files={path: fact for path, value in values("file") if (fact := _file(value))},
        kubeconfigs=_kubeconfigs(values("kubeconfig")),
        certificates={
            path: "".join(f"{line}\n" for line in found)
            for path, found in _grouped(values("certificate")).items()
        },
        units={name: _unit(found) for name, found in _grouped(values("unit")).items()},
        journal={name: _journal(found) for name, found in _grouped(values("journal")).items()},
        errors=dict(values("error")),
        versions=dict(values("version")),
        http={name: answer for name, value in values("http") if (answer := _http(value))},
        proxy_mode=next((value for _, value in values("mode")), ""),
        dns=dict(values("dns")),
        texts=texts,
        contents={path: _text(value) for path, value in values("content")},
        written={path: value == "same" for path, value in values("written")},
        record=frozenset(value for _, value in values("record")),
        sysctls=dict(values("sysctl")),
        sent=frozenset(value for _, value in values("sent")),
        arguments={name: tuple(found) for name, found in _grouped(values("argument")).items()},
        strangers=frozenset(value for _, value in values("stranger")),
    )


def _grouped(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for subject, value in pairs:
        groups.setdefault(subject, []).append(value)
    return groups


def _file(value: str) -> FileFact | None:
    words = value.split()
    if len(words) != 5 or words[0] not in _KINDS:
        return None
    kind, mode, owner, _, digest = words
    return FileFact(
        kind=kind,
        mode=mode if _MODE.fullmatch(mode) else "",
        owner=owner if _OWNER.fullmatch(owner) else "",
        digest=digest if _DIGEST.fullmatch(digest) else "",
    )


def _text(value: str) -> str | None:
    try:
        return base64.b64decode(value, validate=True).decode(errors="backslashreplace")
    except binascii.Error:
        return None


def _kubeconfigs(pairs: list[tuple[str, str]]) -> dict[str, dict[str, frozenset[str]]]:
    found: dict[str, dict[str, frozenset[str]]] = {}
    for path, value in pairs:
        key, _, text = value.partition(" ")
        of_path = found.setdefault(path, {})
        of_path[key] = of_path.get(key, frozenset()) | {text}
    return found


def _unit(lines: list[str]) -> UnitFact:
    pairs = (line.partition("=") for line in lines)
    return UnitFact(properties={name: value for name, sign, value in pairs if sign})


def _journal(lines: list[str]) -> tuple[JournalLine, ...]:
    """Keep each line once: the first and the last lines of a short journal are the same."""
    found = [match for line in dict.fromkeys(lines) if (match := _MONOTONIC.fullmatch(line))]
    return tuple(
        JournalLine(seconds=int(match[1]), text=_SOURCE.sub("", match[2])) for match in found
    )


def _http(value: str) -> HttpFact | None:
    status, _, error = value.partition(" ")
    return HttpFact(status=status, error=error.strip()) if _STATUS.fullmatch(status) else None


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"\d{1,18}", text, re.ASCII) else 0
