"""The static token: the API server's file, and the script that puts our line into it.

A static token never expires, is the same on every node, and the API server reads its file only at
its start: bootstrap tokens are better in all three. It is here for clusters that have nothing else.
Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file
"""

from __future__ import annotations

import re

from kube_nodes.model.static_token import StaticTokenSettings
from kube_nodes.render.host_script import render_token_file_script

# 16 random bytes.
_TOKEN = re.compile(r"[0-9a-f]{32}")


def render_token_csv(token: str, declared: StaticTokenSettings) -> str:
    """Render the token's line in the API server's --token-auth-file: secret, for mode 0600.

    Raises:
        ValueError: the token is none; the message does not show it.
    """
    if not _TOKEN.fullmatch(token):
        raise ValueError("the static token is not 32 lower-case hexadecimal digits")
    # The settings let no character through that a field without quotes could not hold.
    return f'{token},{declared.user},{declared.uid},"{declared.group}"\n'


def render_token_file(host_id: str, owner: str, token: str, declared: StaticTokenSettings) -> str:
    """Render the script that puts the line into the file of a control-plane host; secret.

    Args:
        host_id: the host, as errors name it.
        owner: whose line it is; only it takes the line away again.
        token: the token.
        declared: what stands beside it in the line, and which file it is.
    """
    return render_token_file_script(
        host_id=host_id,
        owner=f"{owner}.{host_id}",
        file=declared.file,
        user=declared.user,
        line=render_token_csv(token, declared),
    )
