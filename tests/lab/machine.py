"""What tests with many hosts ask of the machine, for as long as they run."""

from __future__ import annotations

from pathlib import Path

import pytest

_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
# A host needs about thirteen; the labs of two workers have up to a dozen hosts, and 128 is usual.
_ENOUGH = 512
_before = pytest.StashKey[str]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let the hosts share more inotify instances than a machine has by default."""
    if hasattr(session.config, "workerinput") or not _INSTANCES.exists():
        return
    found = _INSTANCES.read_text()
    if int(found) < _ENOUGH:
        try:
            _INSTANCES.write_text(str(_ENOUGH))
        except OSError:
            # Without the right to, there is no lab either.
            return
        session.config.stash[_before] = found


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Put it back."""
    if _before in session.config.stash:
        _INSTANCES.write_text(session.config.stash[_before])
