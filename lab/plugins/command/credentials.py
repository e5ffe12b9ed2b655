"""What a connection is proved with: host key, private key, password, SSH agent.

The rules are those of `SSHConfig` in pulumi-command remote/connection.go and of
`clientAuthenticate` in golang.org/x/crypto/ssh/client_auth.go.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncssh

from lab.plugins.plugin import PluginError


@dataclass(frozen=True)
class Credentials:
    """What the two sides show each other."""

    keys: list[Any] = field(repr=False)
    methods: tuple[str, ...]
    """Authentication methods that there is anything for, in the order of trying."""
    known_hosts: Any = None
    """None trusts any host."""
    host_key_algorithms: Any = ()


@asynccontextmanager
async def load_credentials(endpoint: Mapping[str, Any]) -> AsyncIterator[Credentials]:
    """Read what an endpoint of a connection says; an agent is at hand until the end.

    A private key hides the agent's keys: the library takes one source of public keys. But
    the agent must be there all the same when SSH_AUTH_SOCK, or the input, names one.

    Raises:
        PluginError: at once, without another attempt, as in the official plugin.
    """
    known_hosts, algorithms = _host_key(endpoint.get("hostKey"))
    private = _private_key(endpoint)
    agent = await _agent(endpoint.get("agentSocketPath") or os.environ.get("SSH_AUTH_SOCK"))
    try:
        keys = [private] if private is not None else await _agent_keys(agent)
        methods = ["publickey"] if private is not None or agent is not None else []
        if endpoint.get("password") is not None:
            methods += ["password", "keyboard-interactive"]
        yield Credentials(keys, tuple(methods), known_hosts, algorithms)
    finally:
        if agent is not None:
            agent.close()


def _host_key(line: str | None) -> tuple[Any, Any]:
    """Return what to trust, and the algorithms to ask for: those of that key alone."""
    if line is None:
        return None, ()
    try:
        key = asyncssh.import_public_key(line)
    except (asyncssh.KeyImportError, ValueError):
        raise PluginError("failed to parse host key: ssh: no key found") from None
    return ([key], [], []), [key.get_algorithm()]


def _private_key(endpoint: Mapping[str, Any]) -> Any:
    text = endpoint.get("privateKey")
    if text is None:
        return None
    try:
        return asyncssh.import_private_key(text, endpoint.get("privateKeyPassword"))
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError) as failed:
        # Not the library's text: it may quote the key.
        raise PluginError(f"ssh: cannot read the private key: {type(failed).__name__}") from None


async def _agent_keys(agent: asyncssh.SSHAgentClient | None) -> list[Any]:
    if agent is None:
        return []
    try:
        return list(await agent.get_keys())
    except (OSError, ValueError, asyncssh.Error):
        raise PluginError("ssh: the agent does not answer") from None


async def _agent(path: str | None) -> asyncssh.SSHAgentClient | None:
    if not path:
        return None
    try:
        return await asyncssh.connect_agent(path)
    except OSError as failed:
        said = (failed.strerror or type(failed).__name__).lower()
        raise PluginError(f"dial unix {path}: connect: {said}") from None
