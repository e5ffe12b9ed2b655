"""What the kubelet said last, read from its host when its Node does not come."""

from __future__ import annotations

import asyncio

import asyncssh

from kube_nodes.membership.progress import Progress
from kube_nodes.membership.ssh import TooMuchError, connected, explain, run_command
from kube_nodes.model.host_output import clean, clean_lines
from kube_nodes.model.routes import Route

_LINES = 10
_MOST_BYTES = 50_000
_SECONDS = 30


def tell_journal(route: Route, progress: Progress) -> None:
    """Show the last lines of the kubelet's journal, or why they cannot be had; never fail."""
    try:
        lines = asyncio.run(_read(route))
    except (OSError, asyncssh.Error, TimeoutError, TooMuchError) as error:
        progress.say(f"its journal cannot be read: {explain(error, route)}")
        return
    for line in lines:
        progress.say(f"kubelet's journal: {clean(line, 300)}")


async def _read(route: Route) -> list[str]:
    sudo = "" if route.hops[-1].user == "root" else "sudo -n "
    command = f"{sudo}journalctl --quiet --no-pager --output=cat --unit=kubelet --lines={_LINES}"
    async with asyncio.timeout(_SECONDS), connected(route) as connection:
        done = await run_command(connection, command, b"", _MOST_BYTES)
    said = done.stdout if done.status == 0 else done.stderr
    return clean_lines(said, _MOST_BYTES).splitlines()[-_LINES:] or ["it says nothing"]
