"""Open and close a node's bootstrap token.

Pulumi declares the Secret closed (`usage-bootstrap-authentication: "false"`, no secret, no
expiration), so that nothing secret or time-dependent is in its diff; it is open only while its
node joins. Opening and closing can be repeated, and cut, at any point: an open token ends by
itself after ten minutes.
"""

from __future__ import annotations

import base64
import datetime
import time

from kube_nodes.membership.api import Api, ApiError, Object
from kube_nodes.membership.errors import MembershipError
from kube_nodes.membership.progress import Progress
from kube_nodes.model.requests import TOKEN_GROUP, Token

SECRETS = "/api/v1/namespaces/kube-system/secrets"
LIFETIME = datetime.timedelta(minutes=10)
# Clocks of API servers behind one address, and an operator's whose proxy tells no time.
_CLOCKS_APART = datetime.timedelta(minutes=1)
# The API server may know of a new Secret a little later, above all behind a load balancer.
_TRY_SECONDS = 10.0
_UNAUTHORIZED = 401


def open_token(api: Api, token: Token, node_name: str) -> int:
    """Let the token authenticate for ten minutes from now; make its Secret if it is missing.

    Returns:
        When it ends, in seconds since 1970.
    """
    end = api.now() + LIFETIME
    fields = _open_fields(token, node_name, expiration=end)
    data = {key: _encode(value) for key, value in fields.items()}
    for _ in range(3):
        try:
            api.merge(f"{SECRETS}/{secret_name(token.id)}", {"data": data}, private=True)
        except ApiError as error:
            if not error.not_found:
                raise
        else:
            return int(end.timestamp())
        try:
            api.create(SECRETS, _secret(token.id, data), private=True)
        except ApiError as error:
            # Made by somebody else meanwhile: change that one.
            if not error.conflict:
                raise
        else:
            return int(end.timestamp())
    raise MembershipError(f"the Secret {secret_name(token.id)} comes and goes; try again")


def close_token(api: Api, token_id: str) -> bool:
    """Take secret and expiration out of the token's Secret; False if it was closed, or not there.

    The API server's cache lets a closed token in for up to ten more seconds.
    """
    path = f"{SECRETS}/{secret_name(token_id)}"
    secret = api.find(path)
    if secret is None or not (is_open(secret) or "token-secret" in (secret.get("data") or {})):
        return False
    closed = {
        "token-secret": None,
        "expiration": None,
        "auth-extra-groups": None,
        "description": None,
        "usage-bootstrap-authentication": _encode("false"),
    }
    try:
        api.merge(path, {"data": closed}, private=True)
    except ApiError as error:
        if not error.not_found:
            raise
        return False
    return True


def is_open(secret: Object) -> bool:
    """Tell whether a token's Secret allows authentication, expired or not."""
    usage = (secret.get("data") or {}).get("usage-bootstrap-authentication", "")
    return bool(usage == _encode("true"))


def is_in_use(secret: Object, now: datetime.datetime) -> bool:
    """Tell whether an open token may be a join's: it ends, and within ten minutes from now.

    One without an end, or with a later one, was not opened here.
    """
    encoded = (secret.get("data") or {}).get("expiration", "")
    try:
        end = datetime.datetime.fromisoformat(base64.b64decode(encoded).decode())
        return now < end <= now + LIFETIME + _CLOCKS_APART
    except (ValueError, TypeError):
        return False


def try_token(api: Api, token: Token, progress: Progress) -> None:
    """Make sure that the API server lets the opened token in.

    Raises:
        MembershipError: it does not, for ten seconds.
    """
    end = time.monotonic() + _TRY_SECONDS
    while api.answers_token("/version", f"{token.id}.{token.secret}") == _UNAUTHORIZED:
        if time.monotonic() > end:
            raise MembershipError(
                f"the API server refuses the opened bootstrap token {token.id} (401): bootstrap"
                " token authentication is off; start kube-apiserver with"
                " --enable-bootstrap-token-auth"
            )
        progress.awaiting("the API server to let the opened token in")
        time.sleep(0.1)


def try_static_token(api: Api, token: str, user: str) -> None:
    """Make sure that the API server knows the static token, with nothing but the token itself.

    It reads its file when it starts and never again: waiting would not help.

    Raises:
        MembershipError: it does not know it.
    """
    if api.answers_token("/version", token) == _UNAUTHORIZED:
        raise MembershipError(
            f"the API server does not know the static token of the user {user} (401): see that its"
            " line is in the file that kube-apiserver's --token-auth-file names, restart"
            " kube-apiserver, which reads that file only when it starts, and run again."
            " Nothing was changed on the host"
        )


def secret_name(token_id: str) -> str:
    """Name of the token's Secret; the API server finds it by this name."""
    return f"bootstrap-token-{token_id}"


def _open_fields(token: Token, node_name: str, expiration: datetime.datetime) -> dict[str, str]:
    return {
        "token-id": token.id,
        "token-secret": token.secret,
        "expiration": expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "auth-extra-groups": TOKEN_GROUP,
        "description": f"kube-nodes: node {node_name} is joining",
        "usage-bootstrap-authentication": "true",
    }


def _secret(token_id: str, data: dict[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret_name(token_id),
            # As Pulumi declares it: the next refresh takes it over without a conflict.
            "annotations": {"pulumi.com/patchForce": "true"},
        },
        "type": "bootstrap.kubernetes.io/token",
        "data": data,
    }


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
