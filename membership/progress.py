"""Tell on stderr what is awaited, and for how long.

The engine shows each line. The first is for what has lasted half a second, so that a join that
goes well says nothing; then one comes every 10 s, whatever is awaited by then.
"""

from __future__ import annotations

import sys
import time

from kube_nodes.model.host_output import plain

_QUIET_SECONDS = 0.5
_REPEAT_SECONDS = 10.0


class Progress:
    """Messages of one command, each beginning with its subject (the node's id)."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self._awaited = ""
        self._since = 0.0
        self._told_at: float | None = None

    def say(self, text: str) -> None:
        """Print one line now."""
        print(plain(f"{self.subject}: {text}"), file=sys.stderr, flush=True)

    def awaiting(self, what: str) -> None:
        """Name what is awaited, at every turn of a loop; what lasts is printed."""
        now = time.monotonic()
        if what != self._awaited:
            self._awaited, self._since = what, now
        lasts = now - self._since
        is_due = (
            lasts >= _QUIET_SECONDS
            if self._told_at is None
            else now - self._told_at >= _REPEAT_SECONDS
        )
        if is_due:
            self.say(f"waiting for {what} ({lasts:.0f} s)")
            self._told_at = now
