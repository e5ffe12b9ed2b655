"""Rules for objects in the cluster: tokens, and who may do what."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policy.declared import Declared, open_value

_TOKEN_TYPE = "bootstrap.kubernetes.io/token"  # noqa: S105 (a type, no secret)
_TOKEN_NAME = "bootstrap-token-"  # noqa: S105 (the beginning of a name)
_OPEN_USAGES = ("usage-bootstrap-authentication", "usage-bootstrap-signing")
_REQUESTS = "system:certificates.k8s.io:certificatesigningrequests:"
_BINDINGS = ("RoleBinding", "RoleBindingPatch")
_ROLES = ("Role", "RolePatch")
# What a role must have for kube-controller-manager to approve the requests of who holds it.
# Source: kubernetes pkg/controller/certificates/approver/sarapprove.go.
_APPROVAL = ("nodeclient", "selfnodeclient")


def closed_tokens(resource: Declared) -> Iterator[str]:
    """A bootstrap token is declared closed; membership/ opens it for its join alone."""
    if not resource.type.startswith("kubernetes:core/v1:Secret") or not _is_token(resource):
        return
    for field in ("data", "stringData"):
        data = resource.get(field)
        values = data if isinstance(data, Mapping) else {}
        if "token-secret" in values:
            yield f"{field}.token-secret: is declared, so the token can be used; leave it out"
        for usage in _OPEN_USAGES:
            if _text(values.get(usage), encoded=field == "data") == "true":
                yield f'{field}.{usage}: is "true", so the token is open; declare it "false"'


def _is_token(resource: Declared) -> bool:
    name = resource.get("metadata", "name")
    named = isinstance(name, str) and name.startswith(_TOKEN_NAME)
    return resource.get("type") == _TOKEN_TYPE or named


def _text(value: Any, *, encoded: bool) -> str:
    text = open_value(value)
    if not isinstance(text, str):
        return ""
    try:
        return base64.b64decode(text).decode() if encoded else text
    except (binascii.Error, UnicodeDecodeError):
        return text


def auto_approval(resource: Declared) -> Iterator[str]:
    """No binding and no role lets the cluster approve a new node's request by itself.

    A kubelet may renew its own certificate: `selfnodeclient` for the group system:nodes.
    """
    kind = _rbac_kind(resource)
    if kind.endswith(_BINDINGS):
        role = resource.get("roleRef", "name")
        renews = role == f"{_REQUESTS}selfnodeclient"
        for name in _subjects(resource):
            if role == f"{_REQUESTS}nodeclient" or (renews and name != "system:nodes"):
                yield (
                    f"roleRef.name: {role} for {name} approves requests that nobody has compared"
                    " with the inventory; remove the binding"
                )
    elif kind.endswith(_ROLES):
        for rule in _list(resource.get("rules")):
            granted = {
                str(open_value(each)).rpartition("/")[2] for each in _list(_get(rule, "resources"))
            }
            if granted & {*_APPROVAL, "*"} and "certificates.k8s.io" in _groups(rule):
                yield (
                    "rules: certificatesigningrequests may be approved with this role without a"
                    " look at the inventory; remove the rule"
                )


def _groups(rule: Any) -> set[str]:
    groups = {str(open_value(each)) for each in _list(_get(rule, "apiGroups"))}
    return groups | ({"certificates.k8s.io"} if "*" in groups else set())


def cluster_admins(resource: Declared) -> Iterator[str]:
    """Nobody is made an administrator of the cluster."""
    if not _rbac_kind(resource).endswith(_BINDINGS):
        return
    if resource.get("roleRef", "name") == "cluster-admin":
        yield "roleRef.name: cluster-admin is every right there is; bind a role with what is needed"
    if "system:masters" in _subjects(resource):
        yield "subjects: system:masters is beyond RBAC and can't be taken back; use another group"


def _rbac_kind(resource: Declared) -> str:
    group, _, kind = resource.type.rpartition(":")
    return kind if group.startswith("kubernetes:rbac.authorization.k8s.io/") else ""


def _subjects(resource: Declared) -> list[str]:
    return [str(open_value(_get(each, "name"))) for each in _list(resource.get("subjects"))]


def _get(value: Any, key: str) -> Any:
    found = open_value(value)
    return open_value(found.get(key)) if isinstance(found, Mapping) else None


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []
