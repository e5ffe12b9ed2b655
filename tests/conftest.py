"""What all tests share."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag that writes the golden files anew."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what is rendered now into the golden files; read the diff before you commit it",
    )
