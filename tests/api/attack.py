"""A cluster under attack: declared nodes, and every credential that a stranger may have stolen."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.x509.oid import NameOID

from kube_nodes.membership import tokens
from kube_nodes.membership.api import Api
from kube_nodes.membership.approval import outcome
from kube_nodes.membership.approve import approve_all
from kube_nodes.membership.connection import connect
from kube_nodes.membership.progress import Progress
from kube_nodes.model.certificate_requests import index_by_name
from kube_nodes.model.requests import ApproveRequest, Cluster, DeclaredNode, Token
from tests.api.conftest import STATIC_TOKEN, run_cluster
from tests.api.kubelet import REQUESTS, Kubelet
from tests.plugins.control_plane import ADMIN_TOKEN, Answer, ControlPlane
from tests.unit.certificate_requests import CLIENT, NODE, OTHER, STATIC, Recipe, make_pem

MEMBER = replace(OTHER, id="web-4", name="n4", addresses=("10.0.0.14",), token_id="ghi789")
DECLARED = index_by_name([NODE, OTHER, STATIC, MEMBER])
TOKENS = {
    node.name: Token(id=node.token_id, secret="0123456789abcdef")
    for node in DECLARED.values()
    if node.token_id
}
HONEST_SECONDS = 2.0


@dataclass(frozen=True)
class Attack:
    """The cluster, and who may be played."""

    plane: ControlPlane
    request: ApproveRequest
    credentials: dict[str, tuple[Kubelet, str]]
    """By user name: whose certificate, and which token; with neither it is an anonymous one."""

    def send(self, recipe: Recipe, name: str = "") -> Answer:
        """Ask for a certificate as the recipe's user."""
        return self.send_as(recipe.username, manifest_of(recipe, name))

    def send_as(self, username: str, manifest: Any) -> Answer:
        """Send any request as one user."""
        return self.call(username, "POST", REQUESTS, manifest)

    def call(self, username: str, method: str, path: str, body: Any = None) -> Answer:
        """Call the API as one user."""
        kubelet, token = self.credentials[username]
        return kubelet.call(method, path, body, token)

    def approve(self) -> str:
        """Do what `make approve` does; return what it tells."""
        return approve_all(self.request, Progress("approve"))

    def read(self, name: str) -> dict[str, Any]:
        """Return a request as the API server holds it."""
        return self.plane.get(f"{REQUESTS}/{name}")

    def clear(self) -> None:
        """Delete all requests: what was approved moments ago counts for the next one."""
        assert self.plane.call("DELETE", REQUESTS).status == 200

    def approved(self) -> list[str]:
        """Name the requests that somebody approved."""
        listed = self.plane.get(REQUESTS)["items"]
        return [r["metadata"]["name"] for r in listed if outcome(r) != "pending"]


def manifest_of(recipe: Recipe, name: str = "") -> dict[str, Any]:
    """Make the API object for a recipe, with a name of the API server's choice or this one."""
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name} if name else {"generateName": "csr-"},
        "spec": {
            "request": base64.b64encode(make_pem(recipe)).decode(),
            "signerName": recipe.signer,
            "usages": list(recipe.usages),
        },
    }


@contextmanager
def run_attack(directory: Path) -> Iterator[Attack]:
    """Start the cluster. n1 and n2 wait for their Nodes, n3 has the static user, n4 is a member."""
    with run_cluster(directory) as plane:
        uid = plane.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
        request = ApproveRequest(cluster=Cluster(uid=uid), nodes=tuple(DECLARED.values()))
        kubelets = {
            name: Kubelet(plane, name, address=node.addresses[0]) for name, node in DECLARED.items()
        }
        stranger = Kubelet(plane, "stranger")
        credentials = {
            "admin": (stranger, ADMIN_TOKEN),
            "kubelet-bootstrap": (stranger, STATIC_TOKEN),
            "system:anonymous": (stranger, ""),
            **{
                f"system:bootstrap:{token.id}": (stranger, f"{token.id}.{token.secret}")
                for token in TOKENS.values()
            },
            **{f"system:node:{name}": (kubelet, "") for name, kubelet in kubelets.items()},
        }
        yield Attack(plane, request, credentials)


def open_tokens() -> None:
    """Open all tokens, as joins do: `make approve` closes a member's."""
    api = Api(connect())
    for name, token in TOKENS.items():
        tokens.open_token(api, token, name)


def give_identities(attack: Attack) -> None:
    """Let all nodes with a token have their client certificates, and n4 be a member."""
    for name, token in TOKENS.items():
        kubelet, _ = attack.credentials[f"system:node:{name}"]
        kubelet.bootstrap(f"{token.id}.{token.secret}", meanwhile=attack.approve)
    member, _ = attack.credentials[f"system:node:{MEMBER.name}"]
    member.register()
    annotations = {"metadata": {"annotations": {"kube-nodes/generation": "1"}}}
    attack.plane.merge(f"/api/v1/nodes/{MEMBER.name}", annotations)
    attack.clear()


def client_for(node: DeclaredNode, key: str = "p256") -> Recipe:
    """Give the honest first request of one node, by its own requester."""
    subject = (CLIENT.subject[0], (NameOID.COMMON_NAME, node.user))
    return replace(CLIENT, username=str(node.requester), subject=subject, key=key)


def wait_until_approved(attack: Attack, name: str, since: float) -> float:
    """Return how many seconds after `since` (monotonic) the request was approved."""
    while outcome(attack.read(name)) == "pending":
        assert time.monotonic() < since + 5 * HONEST_SECONDS, f"{name} is not approved"
        time.sleep(0.02)
    return time.monotonic() - since
