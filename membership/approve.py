"""Tidy up for all declared nodes: approve requests, close tokens, undo cordons; report the rest."""

from __future__ import annotations

from kube_nodes.membership import nodes, tokens
from kube_nodes.membership.api import Api
from kube_nodes.membership.approval import REQUESTS, approve, judge_manifest, refuse_second_life
from kube_nodes.membership.cluster import reach
from kube_nodes.model.certificate_requests import (
    CLIENT_SIGNER,
    SERVING_SIGNER,
    index_by_name,
    is_pending,
)
from kube_nodes.model.requests import ApproveRequest, DeclaredNode


def approve_all(request: ApproveRequest) -> str:
    """Go once over pending requests, tokens and cordons left behind; return a line for each."""
    api = reach(request.cluster)
    lines = [*_requests(api, request), *_tokens(api, request), *_cordons(api, request)]
    return "\n".join(lines) or "nothing is pending"


def _requests(api: Api, request: ApproveRequest) -> list[str]:
    inventory = index_by_name(request.nodes)
    lines = []
    for manifest in api.get(REQUESTS)["items"]:
        spec, name = manifest["spec"], manifest["metadata"]["name"]
        if not is_pending(manifest) or spec["signerName"] not in (CLIENT_SIGNER, SERVING_SIGNER):
            continue
        verdict = judge_manifest(manifest, inventory)
        if verdict.approve and verdict.node and verdict.node.bootstrap_user:
            member = _is_member(api, verdict.node)
            verdict = refuse_second_life(verdict, manifest, member=member)
        subject = f"{verdict.node.id if verdict.node else '-'}: {name}"
        if not verdict.approve:
            lines.append(f"{subject} left pending ({spec['username']}): {verdict.text}")
        elif approve(api, manifest, f"kube-nodes: {verdict.text}"):
            lines.append(f"{subject} approved: {verdict.reason} certificate")
        else:
            lines.append(f"{subject} changed meanwhile; run again")
    return lines


def _tokens(api: Api, request: ApproveRequest) -> list[str]:
    lines = []
    for node in request.nodes:
        if node.token_id is None:
            continue
        secret = api.find(f"{tokens.SECRETS}/{tokens.secret_name(node.token_id)}")
        if secret is None or not tokens.is_open(secret):
            continue
        if tokens.is_expired(secret) or _is_member(api, node):
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
