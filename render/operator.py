"""Manifests for the Pulumi Kubernetes Operator 2: each stack of a fleet as a custom resource.

Names and meanings of the fields: the operator's `Stack` (pulumi.com/v1) and the `Workspace` that it
makes for one (auto.pulumi.com/v1alpha1), as of 2.9.
Source: https://github.com/pulumi/pulumi-kubernetes-operator (operator/api)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

_FOLDER = "/etc/kube-nodes"
_KUBECONFIG = "kubeconfig"
# The host script may take 600 s, and Ctrl-C waits for its end.
_GRACE_SECONDS = 660

Object = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class OperatorStack:
    """One stack, as the operator is to run it."""

    name: str
    """Name of the object, and of the stack."""
    full_name: str
    """The stack's name for the backend, with an organization where it has them."""
    config: Mapping[str, Any]
    """Its configuration, nothing of it secret."""
    secret_keys: Mapping[str, str]
    """Secret keys of its configuration, and where each is in the Secret."""
    after: str = ""
    """The stack that must have succeeded before."""


@dataclass(frozen=True, kw_only=True)
class OperatorSource:
    """Where the program and its surroundings come from; see OperatorSettings."""

    repository: str
    branch: str
    commit: str
    directory: str
    image: str
    backend: str
    secrets_provider: str
    namespace: str
    service_account: str
    secret: str
    secret_variables: Iterable[str]
    resync_seconds: int
    memory: str
    cpu: str


def render_operator(source: OperatorSource, stacks: Iterable[OperatorStack]) -> str:
    """Render everything but the operator itself and the Secret, as YAML documents."""
    documents = [*_surroundings(source), *(_stack(source, each) for each in stacks)]
    return yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True)


def _surroundings(source: OperatorSource) -> Iterable[Object]:
    """A namespace, and an account that may ask who calls it: the operator logs in on workspaces."""
    name, namespace = source.service_account, source.namespace
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    account = {"name": name, "namespace": namespace}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}
    group = "rbac.authorization.k8s.io"
    yield {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"kube-nodes:{namespace}:{name}:auth-delegator"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "system:auth-delegator"},
        "subjects": [{"kind": "ServiceAccount", **account}],
    }


def _stack(source: OperatorSource, stack: OperatorStack) -> Object:
    spec: Object = {
        "stack": stack.full_name,
        "serviceAccountName": source.service_account,
        "projectRepo": source.repository,
        **({"branch": source.branch} if source.branch else {"commit": source.commit}),
        "shallow": True,
        **({"repoDir": source.directory} if source.directory else {}),
        "backend": source.backend,
        **({"secretsProvider": source.secrets_provider} if source.secrets_provider else {}),
        "envRefs": _variables(source),
        "config": dict(stack.config),
        "secretsRef": {
            key: _from_secret(source, place) for key, place in sorted(stack.secret_keys.items())
        },
        **({"prerequisites": [{"name": stack.after}]} if stack.after else {}),
        # A run that finds nothing to do still approves, renews and warns.
        "continueResyncOnCommitMatch": True,
        "resyncFrequencySeconds": source.resync_seconds,
        # A key that is no more in `config` is gone with the workspace.
        "workspaceReclaimPolicy": "Delete",
        # Deleting the object must not take nodes out of a cluster.
        "destroyOnFinalize": False,
        "retryMaxBackoffDurationSeconds": 600,
        "workspaceTemplate": {"spec": _workspace(source)},
    }
    metadata = {"name": stack.name, "namespace": source.namespace}
    return {"apiVersion": "pulumi.com/v1", "kind": "Stack", "metadata": metadata, "spec": spec}


def _variables(source: OperatorSource) -> Object:
    passphrase = {} if source.secrets_provider else {"PULUMI_CONFIG_PASSPHRASE": "passphrase"}
    from_secret = passphrase | {name: name for name in source.secret_variables}
    literals = {
        "KUBECONFIG": f"{_FOLDER}/{_KUBECONFIG}",
        # Without it the engine cancels every further step at the first error.
        "PULUMI_CONTINUE_ON_ERROR": "true",
        # The state goes over the network twice a step.
        "PULUMI_DIY_BACKEND_GZIP": "true",
    }
    return {
        **{name: _from_secret(source, key) for name, key in sorted(from_secret.items())},
        **{name: {"type": "Literal", "literal": {"value": value}}
           for name, value in literals.items()},
    }  # fmt: skip


def _from_secret(source: OperatorSource, key: str) -> Object:
    return {"type": "Secret", "secret": {"name": source.secret, "key": key}}


def _workspace(source: OperatorSource) -> Object:
    """One run's pod: the kubeconfig is a file there, the rest are variables."""
    items = [{"key": _KUBECONFIG, "path": _KUBECONFIG}]
    volume = {"name": "kubeconfig", "secret": {"secretName": source.secret, "items": items}}
    mount = {"name": "kubeconfig", "mountPath": _FOLDER, "readOnly": True}
    return {
        "image": source.image,
        "resources": {
            "requests": {"cpu": source.cpu, "memory": source.memory},
            "limits": {"memory": source.memory},
        },
        "podTemplate": {
            "spec": {
                "terminationGracePeriodSeconds": _GRACE_SECONDS,
                "containers": [{"name": "pulumi", "volumeMounts": [mount]}],
                "volumes": [volume],
            }
        },
    }
