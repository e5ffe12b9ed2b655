"""A command plugin that runs nothing: it answers what hosts and cluster would have said.

Its checks and diffs are the stand-in's own, so previews are what they are; only the `up` that a
preview is held against needs no hosts. The engine starts it by the launcher that `install` writes.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from lab.plugins.command.provider import CommandPlugin
from lab.plugins.install import Wanted
from lab.plugins.plugin import Call, PluginError
from lab.plugins.serving import serve
from lab.plugins.values import Properties

ANSWERS = {
    "preflight": "fact machine-id 592d7339d2d648179d9c63bef315a7de\nok\n",
    "prepare": "joining\ntoken open until 1790000000\n",
}


class StillCommands(CommandPlugin):
    """Commands that are recorded and not run."""

    async def _copy(self, call: Call, declared: Properties) -> None:
        """Send nothing."""

    async def _run(
        self, call: Call, declared: Properties, before: Properties, command: Any
    ) -> Properties:
        if call.name == os.environ.get("STILL_COMMAND_FAILS"):
            raise PluginError("it was to fail")
        part = call.name.rpartition("-")[2]
        return {"stdout": ANSWERS.get(part, f"run {call.name}\nan answer\n"), "stderr": ""}


def install(pulumi_home: Path, python: Path) -> None:
    """Put it where the command stand-in is."""
    plugin = Wanted(StillCommands.name, StillCommands.version)
    launcher = plugin.folder(pulumi_home) / f"pulumi-resource-{plugin.name}"
    start = shlex.join([str(python), "-P", str(Path(__file__).resolve())])
    launcher.write_text(f'#!/bin/sh\nexec {start} "$@"\n')


if __name__ == "__main__":
    serve(StillCommands())
