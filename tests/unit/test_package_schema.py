"""The component package's schema: which inputs there are, and which of them are required."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kube_nodes.provider.schema import build_schema
from kube_nodes.settings import SECRET_KEYS, Settings

_SCHEMA = build_schema()
_NODES = _SCHEMA["resources"]["kube-nodes:index:Nodes"]
_KEYS = {str(field.alias) for field in Settings.model_fields.values()}


def test_the_components_and_their_required_inputs_are_these() -> None:
    found = {name: each["requiredInputs"] for name, each in _SCHEMA["resources"].items()}
    assert found == {
        "kube-nodes:index:Nodes": [
            "caCertificate",
            "clusterUid",
            "podCidrs",
            "pools",
            "server",
            "serviceCidrs",
        ],
        "kube-nodes:index:ConfiguredNodes": [],
    }


def test_every_key_of_a_stack_is_an_input() -> None:
    assert set(_NODES["inputProperties"]) == {*_KEYS, *SECRET_KEYS, "localCommand"}


def test_the_secrets_alone_are_secret_and_may_be_outputs() -> None:
    inputs = _NODES["inputProperties"]
    assert {key for key, each in inputs.items() if each.get("secret")} == set(SECRET_KEYS)
    assert {key for key, each in inputs.items() if not each.get("plain")} == set(SECRET_KEYS)


@pytest.mark.parametrize(
    ("model", "key", "expected"),
    [
        ("NodeDeclaration", "address", {"type": "string"}),
        ("NodeDeclaration", "held", {"type": "boolean"}),
        ("NodeOptions", "maxPods", {"type": "integer"}),
        ("NodeOptions", "containerd", {"$ref": "#/types/kube-nodes:index:ContainerdOptions"}),
        ("NodeOptions", "kubernetesVersion", {"type": "string"}),
        ("NodeOptions", "taints", {"type": "array", "items": {"type": "string", "plain": True}}),
        (
            "NodeOptions",
            "labels",
            {"type": "object", "additionalProperties": {"type": "string", "plain": True}},
        ),
        (
            "NodeOptions",
            "kubeletConfiguration",
            {
                "type": "object",
                "additionalProperties": {"$ref": "pulumi.json#/Any", "plain": True},
            },
        ),
        (
            "PoolDeclaration",
            "batch",
            {"oneOf": [{"type": "integer", "plain": True}, {"type": "string", "plain": True}]},
        ),
    ],
)
def test_an_input_has_the_type_of_its_key(model: str, key: str, expected: dict[str, Any]) -> None:
    found = dict(_SCHEMA["types"][f"kube-nodes:index:{model}"]["properties"][key])
    assert found.pop("description")
    assert found == expected | {"plain": True}


def test_names_that_a_text_may_be_are_told() -> None:
    options = _SCHEMA["types"]["kube-nodes:index:NodeOptions"]["properties"]
    assert options["role"]["description"].endswith("One of: worker, proxy-only.")


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


def test_every_type_that_is_named_is_there() -> None:
    named = set(_references(_SCHEMA)) - {"pulumi.json#/Any"}
    assert {name.removeprefix("#/types/") for name in named} <= set(_SCHEMA["types"])


def test_no_default_is_written_down() -> None:
    """One of a pool would win over the stack's own value."""
    assert '"default"' not in str(_SCHEMA).replace("'", '"')
