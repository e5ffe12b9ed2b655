"""Run a short command of this machine and get its text, or an error that names the command."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from lab.errors import LabError


def run(
    argv: Sequence[str],
    *,
    check: bool = True,
    timeout_seconds: float = 60,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Return the standard output of the command; with check, a failure is a LabError."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            env=environment,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]}: not installed on this machine.") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(argv)}: not done after {timeout_seconds:.0f} s.") from error
    if check and done.returncode != 0:
        message = (done.stderr or done.stdout).strip()
        raise LabError(f"{' '.join(argv)}: exit status {done.returncode}: {message}")
    return done.stdout


def succeeds(argv: Sequence[str]) -> bool:
    """Say whether the command exits with 0."""
    return (
        subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode
        == 0
    )
