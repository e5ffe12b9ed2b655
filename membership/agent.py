"""Whether there is an SSH agent that holds a key: without one no host lets us in."""

from __future__ import annotations

import os
import socket
import struct

_REQUEST_IDENTITIES, _IDENTITIES = 11, 12
_SECONDS = 5.0


def agent_fault() -> str:
    """Say what is wrong with the SSH agent, with a remedy; empty when it holds a key."""
    path = os.environ.get("SSH_AUTH_SOCK", "")
    if not path:
        return "no SSH agent: SSH_AUTH_SOCK is not set; start one, and load your key with `ssh-add`"
    try:
        count = _count_keys(path)
    except (OSError, ValueError, struct.error):
        return f"no SSH agent answers at SSH_AUTH_SOCK={path}; start one, and load your key into it"
    return "" if count else "the SSH agent holds no key; load yours with `ssh-add`"


def _count_keys(path: str) -> int:
    """Ask the agent how many keys it holds, by its own protocol (RFC 9987)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
        agent.settimeout(_SECONDS)
        agent.connect(path)
        agent.sendall(struct.pack(">IB", 1, _REQUEST_IDENTITIES))
        head = b""
        while len(head) < 9:
            part = agent.recv(9 - len(head))
            if not part:
                raise ValueError("the agent hung up")
            head += part
    _, kind, count = struct.unpack(">IBI", head)
    if kind != _IDENTITIES:
        raise ValueError("no answer to the question for keys")
    return int(count)
