"""The schema of the component package: from the settings model and from what a stack puts out.

Pulumi makes each language's types of it, and checks YAML programs against it. Inputs are plain
values, as in a stack's configuration, since names and numbers of resources depend on them; the two
secrets alone may be outputs. No defaults are in it: a written default of a pool would win over the
stack's own value (docs/configuration.md has them).
"""

from __future__ import annotations

import json
from typing import Any

from kube_nodes import __version__
from kube_nodes.provider.settings_schema import DEFINITIONS, settings_schema
from kube_nodes.settings import SECRET_KEYS

PACKAGE = "kube-nodes"
NODES = f"{PACKAGE}:index:Nodes"
CONFIGURED_NODES = f"{PACKAGE}:index:ConfiguredNodes"
LOCAL_COMMAND = "localCommand"

Json = dict[str, Any]
_ANY = {"$ref": "pulumi.json#/Any"}
_TEXT = {"type": "string"}
_TYPE = f"#/types/{PACKAGE}:index:"

_LOCAL_COMMAND: Json = {
    "type": "string",
    "plain": True,
    "description": "How the local commands are started, the same on every operator's machine; "
    "`exec .venv/bin/kube-nodes-membership` where it is not given.",
}
_OUTPUTS: dict[str, Json] = {
    "nodes": {
        "type": "object",
        "additionalProperties": {"$ref": f"{_TYPE}NodeStatus"},
        "description": "Each node by its id, there when it has come up.",
    },
    "cluster": {"$ref": f"{_TYPE}ClusterIdentity", "description": "The cluster."},
    "caCertificateExpires": {
        **_TEXT,
        "description": "When the first of the CA's certificates ends, RFC 3339.",
    },
    "kubeProxyCertificateExpires": {
        **_TEXT,
        "description": "When kube-proxy's certificate ends, RFC 3339.",
    },
    "inventory": {
        **_TEXT,
        "secret": True,
        "description": "What `kube-nodes-membership approve` reads.",
    },
    "staticTokenCsv": {
        **_TEXT,
        "secret": True,
        "description": "The line of the API server's --token-auth-file, where a node needs it.",
    },
}
_NODE_STATUS = ("name", "pool", "address", "version", "digest", "serviceAnswer")
_CLUSTER = ("name", "server", "uid")


def build_schema() -> Json:
    """Build the schema of the package."""
    settings = settings_schema()
    definitions = settings["$defs"]
    types = {
        f"{PACKAGE}:index:{name}": _object(definition, definitions)
        for name, definition in definitions.items()
        if "properties" in definition
    }
    types[f"{PACKAGE}:index:NodeStatus"] = _texts(_NODE_STATUS)
    types[f"{PACKAGE}:index:ClusterIdentity"] = _texts(_CLUSTER)
    secrets = {
        key: {**_TEXT, "secret": True, "description": text} for key, text in SECRET_KEYS.items()
    }
    inputs = {**_object(settings, definitions)["properties"], **secrets}
    return {
        "name": PACKAGE,
        "version": __version__,
        "description": "Turns Linux hosts into Kubernetes worker nodes, and keeps them so.",
        "license": "Apache-2.0",
        "language": {name: {"respectSchemaVersion": True} for name in ("nodejs", "python", "go")},
        "types": types,
        "resources": {
            NODES: _component(
                "Worker nodes from a configuration that is given as inputs.",
                inputs,
                settings["required"],
            ),
            CONFIGURED_NODES: _component(
                "Worker nodes from the stack's configuration, under `kube-nodes:`.", {}, []
            ),
        },
    }


def render_schema() -> str:
    """Render it as the provider gives it to the engine."""
    return json.dumps(build_schema())


def _component(description: str, inputs: dict[str, Json], required: list[str]) -> Json:
    return {
        "isComponent": True,
        "description": description,
        "inputProperties": {**inputs, LOCAL_COMMAND: _LOCAL_COMMAND},
        "requiredInputs": sorted(required),
        "properties": _OUTPUTS,
        "required": sorted(set(_OUTPUTS) - {"staticTokenCsv"}),
    }


def _texts(names: tuple[str, ...]) -> Json:
    return {"type": "object", "properties": dict.fromkeys(names, _TEXT), "required": list(names)}


def _object(schema: Json, definitions: Json) -> Json:
    """Translate a model's schema."""
    described = {"description": schema["description"]} if "description" in schema else {}
    return {
        **described,
        "type": "object",
        "properties": {
            key: _property(value, definitions) for key, value in schema["properties"].items()
        },
        "required": sorted(schema.get("required", [])),
    }


def _property(schema: Json, definitions: Json) -> Json:
    """Translate a key's schema, with what it means and which texts it may be."""
    text = str(schema.get("description", ""))
    if names := _names(schema, definitions):
        text = f"{text} One of: {', '.join(names)}.".strip()
    return {**_type(schema, definitions), **({"description": text} if text else {})}


def _names(schema: Json, definitions: Json) -> list[str]:
    schema = _resolved(schema, definitions)
    return [str(name) for name in schema.get("enum", [])]


def _resolved(schema: Json, definitions: Json) -> Json:
    reference = str(schema.get("$ref", ""))
    found: Json = definitions[reference.removeprefix(DEFINITIONS)] if reference else schema
    return found


def _type(schema: Json, definitions: Json) -> Json:
    """Translate a type; null, which takes an inherited value away, is none of Pulumi's."""
    resolved = _resolved(schema, definitions)
    if "properties" in resolved:
        return {"$ref": _TYPE + schema["$ref"].removeprefix(DEFINITIONS), "plain": True}
    choices = [each for each in resolved.get("anyOf", []) if each.get("type") != "null"]
    if len(choices) == 1:
        return _type(choices[0], definitions)
    if choices:
        return {"oneOf": [_type(each, definitions) for each in choices], "plain": True}
    kind = resolved.get("type")
    if kind == "array":
        return {"type": kind, "items": _type(resolved["items"], definitions), "plain": True}
    if kind == "object":
        values = resolved.get("additionalProperties")
        inner = _type(values, definitions) if isinstance(values, dict) else _ANY
        return {"type": kind, "additionalProperties": inner, "plain": True}
    return {"type": kind, "plain": True} if kind else {**_ANY, "plain": True}
