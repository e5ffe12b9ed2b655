"""The static token: the API server's file, and who may ask for a node's certificate with it.

A static token never expires, is the same on every node, and the API server reads its file only at
its start: bootstrap tokens are better in all three. It is here for clusters that have nothing else.
Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file
"""

from __future__ import annotations

import csv
import io
import re
from typing import Literal

from kube_nodes.render.documents import render_yaml

STATIC_USER = "kubelet-bootstrap"
STATIC_USER_UID = "10001"
# The group of every bootstrap token too: a binding to it reaches all of them.
STATIC_GROUP = "system:bootstrappers"
# 16 random bytes.
_TOKEN = re.compile(r"[0-9a-f]{32}")
_API_GROUP = "rbac.authorization.k8s.io"


def render_token_csv(token: str) -> str:
    """Render the API server's --token-auth-file: secret, for mode 0600.

    Raises:
        ValueError: the token is none; the message does not show it.
    """
    if not _TOKEN.fullmatch(token):
        raise ValueError("the static token is not 32 lower-case hexadecimal digits")
    text = io.StringIO()
    line = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    line.writerow([token, STATIC_USER, STATIC_USER_UID, STATIC_GROUP])
    return text.getvalue()


def render_bootstrap_binding(subject: Literal["User", "Group"] = "User") -> str:
    """Render the ClusterRoleBinding that lets the token's holder ask for a node's certificate.

    Bound is the one user by default; by group, every bootstrap token's holder may too.
    """
    return render_yaml(
        {
            "apiVersion": f"{_API_GROUP}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "kubelet-bootstrap"},
            "roleRef": {
                "apiGroup": _API_GROUP,
                "kind": "ClusterRole",
                "name": "system:node-bootstrapper",
            },
            "subjects": [
                {
                    "apiGroup": _API_GROUP,
                    "kind": subject,
                    "name": STATIC_USER if subject == "User" else STATIC_GROUP,
                }
            ],
        }
    )
