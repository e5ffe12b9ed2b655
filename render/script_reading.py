"""Read a units script back: the files, programs and settings that host_script.py wrote into it.

A preview holds the script before and after a change; what a reviewer wants is the files in it. The
reader follows the text from its first line to its last, so a file whose content looks like a part
of a script is read as what it is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kube_nodes.render.host_script import Binary, ManagedFile

_PUT = re.compile(r"put (?P<path>/\S+) (?P<mode>0[0-7]{3}) (?P<restarts>.*) <<'(?P<end>\w+)'")
_SETTING = re.compile(r"(?P<name>[a-z_]+)=(?P<value>.*)")


@dataclass(frozen=True, kw_only=True)
class Script:
    """What a units script holds."""

    settings: Mapping[str, str]
    """Of its head: node, generation, reapply, units and others."""
    binaries: tuple[Binary, ...] = ()
    files: tuple[ManagedFile, ...] = ()
    rest: str = ""
    """Everything but files and programs, as it is: settings, shell, folders."""

    @property
    def units(self) -> tuple[str, ...]:
        """Names of the units that it restarts."""
        return tuple(word.partition("=")[0] for word in self.settings.get("units", "").split())


def parse_units_script(text: str) -> Script:
    """Read a script.

    Raises:
        ValueError: it is cut off, or not such a script.
    """
    lines = iter(text.split("\n"))
    settings: dict[str, str] = {}
    binaries: list[Binary] = []
    files: list[ManagedFile] = []
    rest: list[str] = []
    in_head = True
    for line in lines:
        put = _PUT.fullmatch(line)
        if put:
            files.append(_file(put, lines))
            continue
        if line.startswith("binary /"):
            binaries.append(_binary(line))
            continue
        rest.append(line)
        # The settings stand together, before the shell and its own variables.
        setting = _SETTING.fullmatch(line) if in_head else None
        in_head = bool(setting)
        if setting:
            # The shell may begin with variables of its own; the first of a name is the setting.
            settings.setdefault(setting["name"], _words(setting["value"])[0])
    if "node" not in settings or rest[-2:] != ["# end", ""]:
        raise ValueError("is not a whole units script")
    return Script(
        settings=settings, binaries=tuple(binaries), files=tuple(files), rest="\n".join(rest)
    )


def _file(put: re.Match[str], lines: Iterator[str]) -> ManagedFile:
    content = []
    for line in lines:
        if line == put["end"]:
            break
        content.append(f"{line}\n")
    else:
        raise ValueError(f"{put['path']}: its text has no end")
    return ManagedFile(
        path=put["path"],
        content="".join(content),
        mode=put["mode"],
        restarts=tuple(_words(put["restarts"])[0].split()),
    )


def _binary(line: str) -> Binary:
    _, path, version, digest, restarts, *sources = _words(line)
    return Binary(
        path=path,
        version=version,
        digest=digest,
        restarts=tuple(restarts.split()),
        sources=tuple(sources),
    )


def _words(text: str) -> list[str]:
    """Take a line of shell apart; an empty value is one empty word."""
    return shlex.split(text) or [""]
