"""Whatever a file or a command holds is on the host byte for byte, and nothing of it is run."""

from __future__ import annotations

import base64
import random

import pytest

from kube_nodes.render.documents import render_command, render_unit
from kube_nodes.render.host_script import ManagedFile, render_credentials_script
from tests.lab.host_script.script_host import Node, ScriptHost
from tests.unit.hostile_text import CANARY, INJECTIONS, TRAPS

pytestmark = pytest.mark.lab

_PROGRAM = "#!/bin/sh\nprintf '%s\\0' \"$@\" | base64 -w 0 >/run/kn-words.out\n"


def _contents() -> list[str]:
    """Make texts of all traps and injections, in an order that is the same in each run."""
    pieces = [*TRAPS, *INJECTIONS]
    pieces = [piece.replace("\0", "") for piece in pieces]
    chance = random.Random(7)  # noqa: S311 - nothing secret
    mixed = ["".join(chance.choices(pieces, k=40)) for _ in range(30)]
    whole = ["", "\n", "\n\n\n", "\r\n", "END\nAEND\nE\n", *pieces, *mixed, "x" * 100_000]
    return [text if text.endswith("\n") or not text else f"{text}\n" for text in whole]


def _words() -> list[str]:
    """Make words of a command: one line each, since a unit's setting is one."""
    return [f"--trap={''.join(c for c in text if c.isprintable())}" for text in _contents()[:-1]]


def _read(host: ScriptHost, paths: list[str]) -> list[bytes]:
    told = host.sh(f"for f in {' '.join(paths)}; do base64 -w 0 $f; echo; done")
    return [base64.b64decode(line) for line in told.split("\n")[: len(paths)]]


def test_files_arrive_byte_for_byte_words_as_words_and_nothing_is_run(
    host: ScriptHost, node: Node
) -> None:
    contents = _contents()
    paths = [f"/etc/kubernetes/kn@%+=:,-{number}._" for number in range(len(contents))]
    pairs = list(zip(paths, contents, strict=True))
    unit = render_unit(
        {
            "Unit": [("Description", "words")],
            "Service": [
                ("Type", "oneshot"),
                ("ExecStart", render_command("/usr/local/bin/kn-words", _words())),
            ],
        }
    )
    own = (
        ManagedFile(path="/usr/local/bin/kn-words", content=_PROGRAM, mode="0755"),
        ManagedFile(path="/etc/systemd/system/kn-words.service", content=unit),
    )
    node.extra = (*(ManagedFile(path=path, content=text) for path, text in pairs), *own)
    run = host.run(node.units())
    assert (run.status, run.err) == (0, "")
    assert _read(host, paths) == [text.encode() for text in contents]

    host.sh("systemctl start kn-words")
    told = base64.b64decode(host.sh("cat /run/kn-words.out; rm /run/kn-words.out"))
    assert told.decode().split("\0")[:-1] == _words()

    secret = [f"/etc/kubernetes/secret-{number}" for number in range(len(contents))]
    files = [
        ManagedFile(path=path, content=text) for path, text in zip(secret, contents, strict=True)
    ]
    script = render_credentials_script(node_id="node-1", generation=1, files=files)
    run = host.run(script)
    assert (run.status, run.err) == (0, "")
    assert _read(host, secret) == [text.encode() for text in contents]
    assert host.run(script, "remove").status == 0

    assert host.sh(f"find / /run /tmp -xdev -name '*{CANARY}*'") == ""
    assert host.run(Node(node.artifacts).units()).status == 0
    assert host.sh("find /etc/kubernetes /usr/local/bin/kn-words /run/kn-words.out -type f") == ""
