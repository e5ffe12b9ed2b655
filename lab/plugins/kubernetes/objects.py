"""Read and reshape Kubernetes objects as plain maps.

Everything here is pure. The rules are those of pulumi/pulumi-kubernetes:
provider/pkg/provider/util.go (pruneMap), provider.go (normalizeInputs),
clients/unstructured.go (normalizeSecret), metadata/naming.go and metadata/annotations.go.
"""

from __future__ import annotations

import base64
import binascii
import random
import secrets
from copy import deepcopy
from typing import Any

from lab.plugins.values import UNKNOWN, contains_unknown

Object = dict[str, Any]

AUTONAMED = "pulumi.com/autonamed"
SKIP_AWAIT = "pulumi.com/skipAwait"
TIMEOUT_SECONDS = "pulumi.com/timeoutSeconds"
PATCH_FORCE = "pulumi.com/patchForce"
PATCH_FIELD_MANAGER = "pulumi.com/patchFieldManager"
DELETION_PROPAGATION = "pulumi.com/deletionPropagationPolicy"

READ_ONLY_METADATA = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
)

# Built-in kinds without a namespace; a table, because a preview without a cluster asks too.
CLUSTER_SCOPED = frozenset(
    {
        "APIService",
        "CSIDriver",
        "CSINode",
        "CertificateSigningRequest",
        "ClusterRole",
        "ClusterRoleBinding",
        "ClusterTrustBundle",
        "ComponentStatus",
        "CustomResourceDefinition",
        "FlowSchema",
        "IngressClass",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "RuntimeClass",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
    }
)


def metadata(obj: Object) -> Object:
    """Return an object's metadata, or an empty map where it is missing or unknown."""
    found = obj.get("metadata")
    return found if isinstance(found, dict) else {}


def name_of(obj: Object) -> str:
    """Return an object's name, or "" where it is missing or unknown."""
    found = metadata(obj).get("name")
    return found if isinstance(found, str) else ""


def namespace_of(obj: Object) -> str:
    """Return an object's namespace, or "" where it is missing or unknown."""
    found = metadata(obj).get("namespace")
    return found if isinstance(found, str) else ""


def annotation(obj: Object, key: str) -> str:
    """Return the value of one annotation, or ""."""
    annotations = metadata(obj).get("annotations")
    found = annotations.get(key) if isinstance(annotations, dict) else None
    return found if isinstance(found, str) else ""


def has_name(obj: Object) -> bool:
    """Tell whether the object has a name, be it one that is not known yet."""
    return metadata(obj).get("name") is UNKNOWN or bool(name_of(obj))


def kind_of(obj: Object) -> tuple[str, str]:
    """Return apiVersion and kind."""
    return str(obj.get("apiVersion") or ""), str(obj.get("kind") or "")


def is_secret(obj: Object) -> bool:
    """Tell whether the object is a core Secret."""
    return kind_of(obj) in {("v1", "Secret"), ("core/v1", "Secret")}


def kind_of_token(token: str) -> tuple[str, str]:
    """Return apiVersion and kind of a type token like kubernetes:apps/v1:DaemonSet.

    Raises:
        ValueError: the token is of another form, or of a type that is no plain object.
    """
    parts = token.split(":")
    group, _, version = parts[1].partition("/") if len(parts) == 3 else ("", "", "")
    if not version or not parts[2] or group in {"helm.sh", "yaml", "kustomize"}:
        raise ValueError(
            f'resource type "{token}" is not known to the lab\'s stand-in for the kubernetes '
            "plugin; use kubernetes:<group>/<version>:<Kind>"
        )
    return (version if group == "core" else f"{group}/{version}"), parts[2]


def identity(obj: Object) -> str:
    """Return the resource ID: namespace/name, or the name alone."""
    namespace = namespace_of(obj)
    return f"{namespace}/{name_of(obj)}" if namespace else name_of(obj)


def split_identity(resource_id: str) -> tuple[str, str]:
    """Return namespace and name of a resource ID."""
    namespace, slash, name = resource_id.partition("/")
    return (namespace, name) if slash else ("", namespace)


def prune(live: Any, declared: Any) -> Any:
    """Return the live value with only what is declared, so that drift shows there alone.

    List elements are matched by position. A value of another type than declared stays whole.
    """
    if isinstance(live, dict) and isinstance(declared, dict):
        return {key: prune(item, declared[key]) for key, item in live.items() if key in declared}
    if isinstance(live, list) and isinstance(declared, list):
        return [prune(one, other) for one, other in zip(live, declared, strict=False)]
    return deepcopy(live)


def normalise(obj: Object) -> Object:
    """Return a copy of declared inputs in the one form that the API server would keep.

    The official plugin sends each known kind through its Go type. Of that, this does what the
    project needs: stringData becomes data, base64 is written anew, read-only metadata goes.
    Write quantities and the like in their canonical form ("100m", not "0.1").
    """
    copied = deepcopy(obj)
    if is_secret(copied) and not contains_unknown(copied):
        _normalise_secret(copied)
    if isinstance(copied.get("metadata"), dict):
        for field in READ_ONLY_METADATA:
            copied["metadata"].pop(field, None)
    return copied


def _normalise_secret(secret: Object) -> None:
    data = dict(secret.get("data") or {})
    for key, text in data.items():
        try:
            data[key] = base64.b64encode(base64.b64decode(text, validate=False)).decode()
        except (binascii.Error, TypeError, ValueError):
            continue  # the API server refuses it, and says why
    for key, text in (secret.pop("stringData", None) or {}).items():
        data[key] = base64.b64encode(str(text).encode()).decode()
    if data:
        secret["data"] = data


def without_read_only(live: Object) -> Object:
    """Return a live object as inputs that were never recorded: for an import."""
    kept = {key: deepcopy(item) for key, item in live.items() if key != "status"}
    return normalise(kept)


def is_namespaced(api_version: str, kind: str) -> bool | None:
    """Tell whether a built-in kind has a namespace; None for kinds that are not built in."""
    group = api_version.partition("/")[0] if "/" in api_version else ""
    if "." in group and not group.endswith(".k8s.io"):
        return None
    return kind not in CLUSTER_SCOPED


def canonical_namespace(obj: Object, namespaced: bool) -> Object:
    """Return a copy that names the default namespace, or none where the kind has none."""
    meta = dict(metadata(obj))
    if namespaced:
        meta["namespace"] = meta.get("namespace") or "default"
    else:
        meta.pop("namespace", None)
    return {**obj, "metadata": meta} if isinstance(obj.get("metadata", {}), dict) else obj


def unique_name(prefix: str, seed: bytes = b"") -> str:
    """Append eight hex digits to a prefix: the same ones for the same seed, if there is one."""
    if not seed:
        return prefix + secrets.token_hex(4)
    return prefix + "".join(random.Random(seed).choices("0123456789abcdef", k=8))  # noqa: S311


def set_autoname(obj: Object, name: str) -> None:
    """Give the object a name and mark it as not chosen by the user."""
    meta = obj.setdefault("metadata", {})
    if not isinstance(meta, dict):
        return
    meta["name"] = name
    annotations = meta.setdefault("annotations", {})
    if isinstance(annotations, dict):
        annotations[AUTONAMED] = "true"
