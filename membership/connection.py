"""How to reach the cluster: the operator's own kubeconfig, read by the official client.

Only its loader is used (several files in KUBECONFIG, exec plugins, OIDC, tls-server-name); the
typed API classes cost 0.65 s more to import in each of two processes a node
(docs/adr/0004-kubernetes-client.md).
"""

from __future__ import annotations

import logging
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3
import yaml
from kubernetes.client import Configuration
from kubernetes.client.rest import RESTClientObject
from kubernetes.config import ConfigException, load_kube_config

CONNECT_TIMEOUT_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 15.0

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
    configuration: Any = field(repr=False)

    def headers(self) -> dict[str, str]:
        """Return the operator's own authorization, renewed when it has expired."""
        token = self.configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        return {"authorization": token} if token else {}


def connect() -> Connection:
    """Read the operator's kubeconfig (KUBECONFIG or ~/.kube/config), its current context.

    Contacts nothing.

    Raises:
        ConnectionConfigError: no such file or context, or a credential that cannot be had.
    """
    config = Configuration()
    # The loader writes keys of the kubeconfig to files: in memory, and gone before anything waits.
    folders = (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm")  # noqa: S108 (a fresh 0700 folder)
    memory = next(filter(_usable, folders), None)
    try:
        with tempfile.TemporaryDirectory(prefix="kube-nodes-", dir=memory) as folder:
            load_kube_config(client_configuration=config, temp_file_path=folder)
            with_identity = _tls(config, client_certificate=True)
            without = _tls(config, client_certificate=False)
    except (ConfigException, OSError, ValueError, yaml.YAMLError) as error:
        # A parser's message may quote lines of the file, keys included.
        text = str(error) if isinstance(error, ConfigException | OSError) else "is not valid"
        raise ConnectionConfigError(
            f"kubeconfig: {text}; see that KUBECONFIG names the right file, and its current"
            " context one that is in it"
        ) from None
    return Connection(
        url=config.host.rstrip("/"),
        pool=_pool(config, with_identity),
        anonymous_pool=_pool(config, without),
        configuration=config,
    )


def _usable(folder: str | None) -> bool:
    return bool(folder) and os.access(Path(folder or ""), os.W_OK | os.X_OK)


def _tls(config: Configuration, *, client_certificate: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=config.ssl_ca_cert, cadata=config.ca_cert_data)
    # Newer Pythons refuse CAs without an authority key id, which older clusters have.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not config.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if client_certificate and config.cert_file:
        context.load_cert_chain(config.cert_file, config.key_file)
    return context


def _pool(config: Configuration, context: ssl.SSLContext) -> urllib3.PoolManager:
    """Build the official client's pool (it knows the proxies), with our TLS context."""
    pool: urllib3.PoolManager = RESTClientObject(config).pool_manager
    replaced: Mapping[str, Any] = {
        "ssl_context": context,
        "cert_file": None,
        "key_file": None,
        "ca_certs": None,
        "ca_cert_data": None,
        "maxsize": 8,
        "retries": False,
        "timeout": urllib3.Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=READ_TIMEOUT_SECONDS),
    }
    pool.connection_pool_kw.update(replaced)
    return pool
