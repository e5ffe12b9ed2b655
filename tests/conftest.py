"""What all tests share."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes, and how many are thrown away, says more of machine and chance than
# of the code.
settings.register_profile(
    "kube-nodes",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("kube-nodes")


def pytest_configure() -> None:
    """Let SIGINT work: what a shell runs in the background ignores it, and so would its children.

    Tests interrupt what they start.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag that writes the golden files anew."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what is rendered now into the golden files; read the diff before you commit it",
    )
