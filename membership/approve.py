"""Tidy up for all declared nodes: approve requests, close tokens, undo cordons; report the rest."""

from __future__ import annotations

from kube_nodes.membership import nodes, tokens
from kube_nodes.membership.api import Api, Object
from kube_nodes.membership.approval import REQUESTS, approve, oldest_first
from kube_nodes.membership.cluster import reach
from kube_nodes.membership.progress import Progress
from kube_nodes.membership.standing import standing_of
from kube_nodes.model.certificate_requests import (
    CLIENT_SIGNER,
    SERVING_SIGNER,
    Standing,
    find_node,
    index_by_name,
    is_pending,
    judge,
    read_certificate_request,
)
from kube_nodes.model.host_output import plain
from kube_nodes.model.requests import ApproveRequest, DeclaredNode


def approve_all(request: ApproveRequest, progress: Progress) -> str:
    """Go once over pending requests, tokens and cordons left behind; return a line for each."""
    api = reach(request.cluster, progress)
    lines = [*_requests(api, request), *_tokens(api, request), *_cordons(api, request)]
    return "\n".join(map(plain, lines)) or "nothing is pending"


def _requests(api: Api, request: ApproveRequest) -> list[str]:
    inventory = index_by_name(request.nodes)
    listed = oldest_first(api.get(REQUESTS)["items"])
    known = {manifest["metadata"]["name"]: manifest for manifest in listed}
    unsettled: set[str] = set()
    lines = []
    for name, manifest in list(known.items()):
        spec = manifest["spec"]
        if not is_pending(manifest) or spec["signerName"] not in (CLIENT_SIGNER, SERVING_SIGNER):
            continue
        asked = read_certificate_request(manifest)
        standings = {
            node.name: _standing(api, node, list(known.values()))
            for node in [find_node(asked, inventory)]
            if node is not None and asked.username == node.requester
        }
        verdict = judge(asked, inventory, standings)
        subject = f"{verdict.node.id if verdict.node else '-'}: {name}"
        if verdict.approve and verdict.node and verdict.node.name in unsettled:
            lines.append(f"{subject} left pending: an older one changed meanwhile; run again")
        elif not verdict.approve:
            lines.append(f"{subject} left pending ({asked.username}): {verdict.text}")
        elif approved := approve(api, manifest, f"kube-nodes: {verdict.text}"):
            # What comes next is held against it, too.
            known[name] = approved
            lines.append(f"{subject} approved: {verdict.reason} certificate")
        else:
            # Perhaps somebody else approved it, and then a younger one of its node is a rival.
            unsettled |= {verdict.node.name} if verdict.node else set()
            lines.append(f"{subject} changed meanwhile; run again")
    return lines


def _standing(api: Api, node: DeclaredNode, requests: list[Object]) -> Standing:
    return standing_of(node, api.find(nodes.node_path(node.name)), requests, api.now())


def _tokens(api: Api, request: ApproveRequest) -> list[str]:
    lines = []
    for node in request.nodes:
        if node.token_id is None:
            continue
        secret = api.find(f"{tokens.SECRETS}/{tokens.secret_name(node.token_id)}")
        if secret is None or not tokens.is_open(secret):
            continue
        if not tokens.is_in_use(secret, api.now()) or _is_member(api, node):
            tokens.close_token(api, node.token_id)
            lines.append(f"{node.id}: closed the token {node.token_id}")
        else:
            lines.append(f"{node.id}: its token {node.token_id} is open while it joins")
    return lines


def _cordons(api: Api, request: ApproveRequest) -> list[str]:
    """Undo our cordon where nothing is left to be done: a drain that was killed left it."""
    lines = []
    for declared in request.nodes:
        node = api.find(nodes.node_path(declared.name))
        if (
            node is not None
            and nodes.is_member(node, declared)
            and nodes.annotation(node, nodes.CORDONED) is not None
            and nodes.kubelet_version(node) == declared.version
            and nodes.is_ready(node)
            and nodes.uncordon(api, declared.name)
        ):
            lines.append(f"{declared.id}: undid the cordon that an earlier run left")
    return lines


def _is_member(api: Api, node: DeclaredNode) -> bool:
    return nodes.is_member(api.find(nodes.node_path(node.name)), node)
