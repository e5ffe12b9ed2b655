"""How every benchmark ends: with an exit status, and with nothing of its lab left."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

from lab.errors import LabError
from lab.tools import ToolsError


def exit_status(do: Callable[[], int]) -> int:
    """Do it; return its exit status: 1 and a line for an error of the user's, 130 after Ctrl-C."""
    # As Ctrl-C does: nothing of the lab may stay.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return do()
    except (LabError, ToolsError, OSError, ValueError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
