"""How to reach the cluster: the operator's own kubeconfig.

One of the commonest kind is read here; any other by the official client's loader (several files in
KUBECONFIG, exec plugins, OIDC, tls-server-name), whose import would cost 0.2 s in each of two
processes a node (docs/adr/0004-kubernetes-client.md).
"""

from __future__ import annotations

import logging
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from kube_nodes.membership.plain_kubeconfig import PlainKubeconfig, read_plain_kubeconfig

CONNECT_TIMEOUT_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 15.0
POOL: Mapping[str, Any] = {
    "maxsize": 8,
    "retries": False,
    "timeout": urllib3.Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=READ_TIMEOUT_SECONDS),
}
"""Of every pool of connections."""

# Retries end in errors of our own; urllib3's warnings would only repeat them.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)


class ConnectionConfigError(Exception):
    """The kubeconfig cannot be used; the text says why, and shows no credential."""


@dataclass(frozen=True)
class Connection:
    """An API server, and the pools of connections to it."""

    url: str
    pool: urllib3.PoolManager
    """With the operator's identity."""
    anonymous_pool: urllib3.PoolManager = field(repr=False)
    """Without a client certificate, for trying a bootstrap token."""
    authorization: Callable[[], str | None] = field(default=lambda: None, repr=False)
    """Gives the operator's own authorization, renewed when it has expired."""

    def headers(self) -> dict[str, str]:
        """Return the headers of a request."""
        text = self.authorization()
        return {"authorization": text} if text else {}


def connect() -> Connection:
    """Read the operator's kubeconfig (KUBECONFIG or ~/.kube/config), its current context.

    Contacts nothing.

    Raises:
        ConnectionConfigError: no such file or context, or a credential that cannot be had.
    """
    plain = read_plain_kubeconfig()
    if plain and (connection := _connect_plainly(plain)):
        return connection
    from kube_nodes.membership.any_kubeconfig import connect_by_official_loader

    return connect_by_official_loader()


def _connect_plainly(plain: PlainKubeconfig) -> Connection | None:
    """Make the connection; None where certificate or key is not one."""
    try:
        with_identity, without = (make_tls(data=plain.ca) for _ in range(2))
        if plain.certificate:
            _load_identity(with_identity, plain)
    except (OSError, ValueError):
        return None
    authorization = f"Bearer {plain.token}" if plain.token else None
    return Connection(
        url=plain.server,
        pool=urllib3.PoolManager(ssl_context=with_identity, **POOL),
        anonymous_pool=urllib3.PoolManager(ssl_context=without, **POOL),
        authorization=lambda: authorization,
    )


def _load_identity(context: ssl.SSLContext, plain: PlainKubeconfig) -> None:
    """Load it from a file, the only way that there is."""
    with memory_folder() as folder:
        file = Path(folder, "identity.pem")
        file.touch(mode=0o600)
        file.write_text(f"{plain.certificate}\n{plain.key}", encoding="ascii")
        context.load_cert_chain(file)


def make_tls(*, file: str | None = None, data: str | None = None) -> ssl.SSLContext:
    """Make a context that trusts this CA alone; with none, those of the system."""
    context = ssl.create_default_context(cafile=file, cadata=data)
    # Newer Pythons refuse CAs without an authority key id, which older clusters have.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


@contextmanager
def memory_folder() -> Iterator[str]:
    """Give a folder for keys: in memory, and gone before anything waits."""
    folders = (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm")  # noqa: S108 (a fresh 0700 folder)
    memory = next(filter(_usable, folders), None)
    with tempfile.TemporaryDirectory(prefix="kube-nodes-", dir=memory) as folder:
        yield folder


def _usable(folder: str | None) -> bool:
    return bool(folder) and os.access(Path(folder or ""), os.W_OK | os.X_OK)
