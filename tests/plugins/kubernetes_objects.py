"""Objects for the tests of the kubernetes stand-in, and what they do with them."""

from __future__ import annotations

import base64
from typing import Any

from pulumi.runtime.proto import provider_pb2

from tests.plugins.driver import Driver

MODULE = "lab.plugins.kubernetes"
DIFF_NONE = provider_pb2.DiffResponse.DIFF_NONE
DIFF_SOME = provider_pb2.DiffResponse.DIFF_SOME


def urn(token: str, name: str = "thing") -> str:
    return f"urn:pulumi:dev::project::{token}::{name}"


SECRET = urn("kubernetes:core/v1:Secret")
CONFIG_MAP = urn("kubernetes:core/v1:ConfigMap")
BINDING = urn("kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding")
DAEMON_SET = urn("kubernetes:apps/v1:DaemonSet")
SERVICE = urn("kubernetes:core/v1:Service")
RUNTIME_CLASS = urn("kubernetes:node.k8s.io/v1:RuntimeClass")

_counter = iter(range(10_000))


def fresh(prefix: str = "test") -> str:
    """Return a name that no other test has."""
    return f"{prefix}-{next(_counter)}"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def token_secret(
    name: str, more: dict[str, str] | None = None, *, forced: bool = True
) -> dict[str, Any]:
    """Return the inputs of a closed bootstrap token."""
    annotations = {"annotations": {"pulumi.com/patchForce": "true"}} if forced else {}
    return {
        "metadata": {"name": name, "namespace": "kube-system", **annotations},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "token-id": "abcdef",
            "usage-bootstrap-authentication": "false",
            **(more or {}),
        },
    }


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": dict(data)}


def binding(name: str, role: str = "view", user: str = "jane") -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }


class Made:
    """An object that was made through the plugin."""

    def __init__(self, driver: Driver, urn: str, inputs: dict[str, Any]) -> None:
        self.driver, self.urn = driver, urn
        self.inputs = driver.check(urn, inputs)
        self.id, self.state = driver.create(urn, self.inputs)

    def diff(self, inputs: dict[str, Any]) -> Any:
        news = self.driver.check(self.urn, inputs, self.inputs)
        return self.driver.diff(self.urn, self.state, self.inputs, news)

    def update(self, inputs: dict[str, Any], *, preview: bool = False) -> dict[str, Any]:
        news = self.driver.check(self.urn, inputs, self.inputs)
        state = self.driver.update(
            self.urn, self.id, self.state, self.inputs, news, preview=preview
        )
        if not preview:
            self.inputs, self.state = news, state
        return state

    def refresh(self) -> bool:
        """Read the object; tell whether it is still there."""
        found, state, inputs = self.driver.read(self.urn, self.id, self.state, self.inputs)
        if found:
            self.state, self.inputs = state, inputs
        return bool(found)


def kinds(answer: Any) -> dict[str, str]:
    """Return a DiffResponse's detailed diff by the names of its kinds."""
    kind = provider_pb2.PropertyDiff.Kind
    return {path: kind.Name(one.kind) for path, one in answer.detailedDiff.items()}


def managers_of(obj: dict[str, Any]) -> set[tuple[str, str]]:
    return {(one["manager"], one["operation"]) for one in obj["metadata"]["managedFields"]}
