"""What the tests of the configuration share: its faults, and Pulumi's store of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest

from kube_nodes.settings import ConfigurationError, parse_settings


def faults(values: dict[str, Any], secrets: dict[str, str] | None = None) -> list[str]:
    """Collect what is wrong with a configuration."""
    try:
        parse_settings(values, secrets or {})
    except ConfigurationError as error:
        return error.faults
    return []


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Pulumi's store of the configuration, empty again afterwards."""
    monkeypatch.delenv("PULUMI_CONFIG", raising=False)
    yield {}
    pulumi.runtime.set_all_config({}, [])


def store(values: dict[str, Any], secrets: dict[str, str] | None = None) -> None:
    """Store a configuration as the engine hands it to a program: texts, or JSON."""
    texts = {
        key: text if isinstance(text, str) else json.dumps(text) for key, text in values.items()
    }
    names = [f"kube-nodes:{key}" for key in secrets or {}]
    everything = {f"kube-nodes:{key}": text for key, text in (texts | (secrets or {})).items()}
    pulumi.runtime.set_all_config({**everything, "aws:region": "eu", "other:server": "x"}, names)
