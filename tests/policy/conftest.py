"""What the tests of the policy pack share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.policy.pack import Pack, running_pack


@pytest.fixture(scope="session")
def pack() -> Iterator[Pack]:
    """A running pack."""
    with running_pack() as running:
        yield running
