"""Write and read what the stack's state holds of an object.

The rules are those of pulumi/pulumi-kubernetes provider/pkg/provider/provider.go
(checkpointObject, parseCheckpointObject, annotateSecrets, fieldManagerName): the state is the
live object, with the inputs and the field manager's name beside it under keys of their own.
"""

from __future__ import annotations

from typing import Any

from lab.plugins.kubernetes.objects import (
    PATCH_FIELD_MANAGER,
    Object,
    annotation,
    unique_name,
)
from lab.plugins.values import Properties, Secret, contains_secret, reveal, secret

INPUTS = "__inputs"
INITIAL_API_VERSION = "__initialApiVersion"
FIELD_MANAGER = "__fieldManager"


def checkpoint(
    inputs: Object, live: Object, declared: Properties, api_version: str, field_manager: str
) -> Properties:
    """Return the state of an object.

    Args:
        inputs: the inputs, plain.
        live: the object as the API server returned it.
        declared: the inputs with their secrets marked; what is secret there is secret here.
        api_version: the apiVersion that the object was made with.
        field_manager: the name under which this resource applies its fields.
    """
    state = mark_secrets(live, declared)
    return {
        **state,
        INPUTS: mark_secrets(inputs, declared),
        INITIAL_API_VERSION: api_version,
        FIELD_MANAGER: field_manager,
    }


def read_checkpoint(state: Properties) -> tuple[Object, Object]:
    """Return the inputs and the live object of a state, plain."""
    plain = reveal(state)
    inputs = plain.pop(INPUTS, None) or {}
    for key in (INITIAL_API_VERSION, FIELD_MANAGER):
        plain.pop(key, None)
    return inputs, plain


def initial_api_version(state: Properties, inputs: Object) -> str:
    """Return the apiVersion that the object was made with."""
    return str(reveal(state.get(INITIAL_API_VERSION)) or inputs.get("apiVersion") or "")


def field_manager(state: Properties, inputs: Object) -> str:
    """Return the field manager: the inputs' annotation, else the state's, else a new one."""
    named = annotation(inputs, PATCH_FIELD_MANAGER) or reveal(state.get(FIELD_MANAGER))
    return str(named or unique_name("pulumi-kubernetes-"))


def mark_secrets(plain: Object, declared: Properties) -> Properties:
    """Return the object with secrets marked: data of a Secret always, else as declared.

    A map is marked by key, so that a single secret does not hide the whole object; a list with
    a secret in it is one secret. Of a Secret, data and stringData are secret, nothing else.
    """
    if plain.get("kind") == "Secret":
        hidden: Properties = {
            key: secret(plain[key]) for key in ("data", "stringData") if key in plain
        }
        return {**plain, **hidden}
    return {key: _mark(item, declared.get(key)) for key, item in plain.items()}


def _mark(plain: Any, declared: Any) -> Any:
    if isinstance(plain, dict) and isinstance(declared, dict):
        return mark_secrets(plain, declared)
    if isinstance(declared, Secret) or contains_secret(declared):
        return secret(plain)
    return plain
