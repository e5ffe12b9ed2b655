"""Let policies see which inputs are secret.

The engine tells a policy pack which inputs are secret, and the SDK takes the mark off before a
validation sees them (pulumi_policy 1.21, policy.py `Analyze`). Without it a key in the open and an
encrypted one look alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi_policy.policy as sdk
from pulumi_policy import Secret
from pulumi_policy.deserialize import (
    SPECIAL_SECRET_SIG,
    SPECIAL_SIG_KEY,
    deserialize_properties,
)


def keep_secrets() -> None:
    """Make the SDK give secret inputs as `Secret`, from now on."""
    sdk.deserialize_properties = _deserialize  # type: ignore[attr-defined]


def _deserialize(props: Mapping[str, Any], proxy_secrets: bool = False) -> Any:
    if proxy_secrets:
        # For remediations, which this pack has none of; there the SDK keeps the mark itself.
        return deserialize_properties(dict(props), proxy_secrets)
    return {key: _value(value) for key, value in props.items()}


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return [_value(inner) for inner in value]
    if not isinstance(value, Mapping):
        return value
    kind = value.get(SPECIAL_SIG_KEY)
    if kind == SPECIAL_SECRET_SIG:
        return Secret(_value(value.get("value")))
    if kind is not None:
        # An asset or an archive.
        return deserialize_properties({"": value})[""]
    return {key: _value(inner) for key, inner in value.items()}
