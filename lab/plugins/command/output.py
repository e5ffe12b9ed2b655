"""What a command printed, and how its failure is told."""

from __future__ import annotations

import json
import re

from lab.plugins.command.log import Listener

# The official plugin has no bound; these keep a command that never stops printing from
# filling the machine's memory, and an error message readable.
STREAM_LIMIT_BYTES = 16 * 1024 * 1024
FAILURE_LIMIT_BYTES = 64 * 1024


class Output:
    """Collect stdout and stderr, each by itself and both in order of arrival."""

    def __init__(self) -> None:
        self._streams = {"stdout": bytearray(), "stderr": bytearray()}
        self._tail = bytearray()
        self._left_out = 0
        self.overflowed: str | None = None
        """The stream that went over its limit; what follows of it is dropped."""
        self.listener: Listener | None = None
        """Told of everything that arrives."""

    def add(self, stream: str, data: bytes) -> None:
        """Take the next bytes of a stream."""
        if self.listener is not None:
            self.listener(stream, data)
        kept = self._streams[stream]
        room = STREAM_LIMIT_BYTES - len(kept)
        if len(data) > room:
            self.overflowed = stream
        kept += data[:room]
        self._tail += data
        surplus = len(self._tail) - FAILURE_LIMIT_BYTES
        if surplus > 0:
            self._left_out += surplus
            del self._tail[:surplus]

    def text(self, stream: str) -> str:
        """Return a stream without its last newline."""
        return self._streams[stream].decode(errors="replace").removesuffix("\n")

    def failure(self, reason: str, command: str) -> str:
        """Tell a failure: the reason, the whole command, and what both streams said.

        The wording is the official one (local/commandOutputs.go, remote/commandOutputs.go
        `run`), so whatever is in a command string is shown whenever it fails.
        """
        note = f"[{self._left_out} bytes before this left out]\n" if self._left_out else ""
        said = self._tail.decode(errors="replace")
        return f"{reason}: running {quote(command)}:\n{note}{said}"


def quote(text: str) -> str:
    r"""Quote as Go's %q does: "a\n", with \x for other control characters."""
    quoted = json.dumps(text, ensure_ascii=False)
    quoted = re.sub(r"\\u00([01][0-9a-f])", r"\\x\1", quoted)
    return quoted.replace("\\x07", "\\a").replace("\\x0b", "\\v").replace("\x7f", "\\x7f")
