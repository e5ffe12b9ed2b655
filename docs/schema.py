"""The JSON schema of Pulumi.<stack>.yaml, for editors: from the settings model.

An editor then completes keys, shows what they mean, and marks what is wrong. It knows keys, types,
bounds, names and simple forms; rules between values are the program's own.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic.json_schema import JsonSchemaValue

from kube_nodes.provider.settings_schema import settings_schema
from kube_nodes.settings import NAMESPACE, SECRET_KEYS

# The draft that editors' YAML support knows best.
_DRAFT = "http://json-schema.org/draft-07/schema#"


def build_schema() -> dict[str, Any]:
    """Build the schema."""
    settings = settings_schema()
    keys = {
        **settings["properties"],
        **{key: _secret(text) for key, text in SECRET_KEYS.items()},
    }
    prefix = f"{NAMESPACE}:"
    return {
        "$schema": _DRAFT,
        "title": "A stack of kube-nodes",
        "description": "Pulumi.<stack>.yaml. Written by `make reference` from settings.py.",
        "type": "object",
        "required": ["config"],
        "properties": {
            "config": {
                "type": "object",
                "required": [f"{prefix}{key}" for key in settings["required"]],
                "properties": {f"{prefix}{key}": value for key, value in keys.items()},
                # Those of providers and of the engine have prefixes of their own.
                "propertyNames": {
                    "anyOf": [
                        {"enum": [f"{prefix}{key}" for key in keys]},
                        {"not": {"pattern": f"^{prefix}"}},
                    ]
                },
            }
        },
        "definitions": settings["$defs"],
    }


def _secret(text: str) -> JsonSchemaValue:
    return {
        "description": f"{text} Set it with `pulumi config set --secret`.",
        "type": "object",
        "required": ["secure"],
        "properties": {"secure": {"type": "string"}},
        "additionalProperties": False,
    }


def render_schema() -> str:
    """Render it as it stands in docs/stack.schema.json."""
    return json.dumps(build_schema(), indent=2, ensure_ascii=False) + "\n"
