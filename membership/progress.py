"""Tell on stderr what is awaited, and for how long.

A line for what has lasted half a second, then every 15 s: a join that goes well says nothing.
"""

from __future__ import annotations

import sys
import time

_QUIET_SECONDS = 0.5
_REPEAT_SECONDS = 15.0


class Progress:
    """Messages of one command, each beginning with its subject (the node's id)."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self._awaited = ""
        self._since = self._tell_at = 0.0

    def say(self, text: str) -> None:
        """Print one line now."""
        print(f"{self.subject}: {text}", file=sys.stderr, flush=True)

    def awaiting(self, what: str) -> None:
        """Name what is awaited, at every turn of a loop; what lasts is printed."""
        now = time.monotonic()
        if what != self._awaited:
            self._awaited, self._since, self._tell_at = what, now, now + _QUIET_SECONDS
        elif now >= self._tell_at:
            self.say(f"waiting for {what} ({now - self._since:.0f} s)")
            self._tell_at = now + _REPEAT_SECONDS
