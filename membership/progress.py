"""Tell on stderr what is awaited, and for how long: a line when it changes, then every 15 s."""

from __future__ import annotations

import sys
import time

_REPEAT_SECONDS = 15.0


class Progress:
    """Messages of one command, each beginning with its subject (the node's id)."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self._begin = time.monotonic()
        self._awaited = ""
        self._since = self._begin
        self._told = 0.0

    def say(self, text: str) -> None:
        """Print one line now."""
        print(f"{self.subject}: {text}", file=sys.stderr, flush=True)

    def awaiting(self, what: str) -> None:
        """Name what is awaited; printed when it is new, or has been silent for long."""
        now = time.monotonic()
        if what != self._awaited:
            self._awaited, self._since = what, now
            self.say(f"waiting for {what}")
        elif now - self._told >= _REPEAT_SECONDS:
            self.say(f"waiting for {what} ({now - self._since:.0f} s)")
        else:
            return
        self._told = now
