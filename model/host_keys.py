"""The public key that a host proves itself with."""

from __future__ import annotations

import base64
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

# Key types whose host keys the command plugin checks against the strong form; RSA keys are only
# offered to it with SHA-1 signatures, which current servers refuse.
HOST_KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384")


def check_host_key(value: str) -> str:
    """Return one public key in authorized_keys format without its comment.

    Raises:
        ValueError: it is none, or one of a type that can't be checked.
    """
    if "PRIVATE KEY" in value:
        raise ValueError("!is a private key; give the public one, and make the host a new key")
    parts = value.split()
    if len(parts) > 2 and parts[1] in (*HOST_KEY_TYPES, "ssh-rsa"):
        raise ValueError("is a line of known_hosts; remove what stands before the key's type")
    if len(parts) < 2:
        raise ValueError("is not a host key; give a line such as 'ssh-ed25519 AAAA…'")
    kind, blob = parts[:2]
    if kind not in HOST_KEY_TYPES:
        raise ValueError(f"has an unusable key type; use one of {', '.join(HOST_KEY_TYPES)}")
    try:
        load_ssh_public_key(f"{kind} {blob}".encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"has a damaged key; copy the whole {kind} line of the host") from None
    return f"{kind} {blob}"


def fingerprint(host_key: str) -> str:
    """Return a key's fingerprint as `ssh-keygen -l` shows it."""
    digest = hashlib.sha256(base64.b64decode(host_key.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"
