"""The fields of the operator's Stack that our manifests use, as CustomResourceDefinitions.

Written by hand from the operator's API, and no copy of its CRD, which no package registry has: a
strict schema of what we send. That the published one has the same fields is tested where it is at
hand (see test_operator.py).
"""

from __future__ import annotations

from typing import Any

# A type, a list of one, a map of the key "*", or fields. FREE: anything.
FREE = "free"
_FROM = {
    "type": str,
    "secret": {"name": str, "key": str},
    "literal": {"value": str},
}
_MOUNT = {"name": str, "mountPath": str, "readOnly": bool}
_ITEM = {"key": str, "path": str}
_POD = {
    "terminationGracePeriodSeconds": int,
    "containers": [{"name": str, "volumeMounts": [_MOUNT]}],
    "volumes": [{"name": str, "secret": {"secretName": str, "items": [_ITEM]}}],
}
_WORKSPACE = {
    "image": str,
    "resources": {"requests": {"*": str}, "limits": {"*": str}},
    "podTemplate": {"spec": _POD},
}
STACK: dict[str, Any] = {
    "stack": str,
    "serviceAccountName": str,
    "projectRepo": str,
    "branch": str,
    "commit": str,
    "shallow": bool,
    "repoDir": str,
    "backend": str,
    "secretsProvider": str,
    "envRefs": {"*": _FROM},
    "config": {"*": FREE},
    "secretsRef": {"*": _FROM},
    "prerequisites": [{"name": str}],
    "continueResyncOnCommitMatch": bool,
    "resyncFrequencySeconds": int,
    "workspaceReclaimPolicy": str,
    "destroyOnFinalize": bool,
    "retryMaxBackoffDurationSeconds": int,
    "workspaceTemplate": {"spec": _WORKSPACE},
}
_TYPES = {str: "string", bool: "boolean", int: "integer"}


def schema(fields: Any) -> dict[str, Any]:
    """Write fields as an OpenAPI schema."""
    if fields is FREE:
        return {"x-kubernetes-preserve-unknown-fields": True}
    if isinstance(fields, type):
        return {"type": _TYPES[fields]}
    if isinstance(fields, list):
        return {"type": "array", "items": schema(fields[0])}
    if "*" in fields:
        return {"type": "object", "additionalProperties": schema(fields["*"])}
    return {"type": "object", "properties": {key: schema(each) for key, each in fields.items()}}


def definition() -> dict[str, Any]:
    """Make the CustomResourceDefinition."""
    names = {"kind": "Stack", "listKind": "StackList", "plural": "stacks", "singular": "stack"}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {
            "openAPIV3Schema": {"type": "object", "properties": {"spec": schema(STACK)}}
        },
    }  # fmt: skip
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "stacks.pulumi.com"},
        "spec": {
            "group": "pulumi.com", "names": names, "scope": "Namespaced", "versions": [version]
        },
    }  # fmt: skip
