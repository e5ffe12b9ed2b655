"""The real CLI with a backend of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.plugins.engine import pulumi_directory


def use_pulumi(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Have `pulumi` be the real one, with its state and its home in this folder."""
    monkeypatch.setenv("PATH", f"{pulumi_directory()}:{os.environ['PATH']}")
    for name, value in {
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_BACKEND_URL": f"file://{folder}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }.items():
        monkeypatch.setenv(name, value)
