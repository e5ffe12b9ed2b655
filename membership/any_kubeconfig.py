"""A kubeconfig of any kind, read by the official client; its import takes long."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

import urllib3
import yaml
from kubernetes.client import Configuration
from kubernetes.client.rest import RESTClientObject
from kubernetes.config import ConfigException, load_kube_config

from kube_nodes.membership.connection import (
    POOL,
    Connection,
    ConnectionConfigError,
    make_tls,
    memory_folder,
)


def connect_by_official_loader() -> Connection:
    """Do what connect does, whatever the kubeconfig holds."""
    config = Configuration()
    try:
        # The loader writes keys of the kubeconfig to files.
        with memory_folder() as folder:
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

    def authorization() -> str | None:
        """Renew it when it has expired."""
        token: str | None = config.get_api_key_with_prefix("BearerToken", alias="authorization")
        return token

    return Connection(
        url=config.host.rstrip("/"),
        pool=_pool(config, with_identity),
        anonymous_pool=_pool(config, without),
        authorization=authorization,
    )


def _tls(config: Configuration, *, client_certificate: bool) -> ssl.SSLContext:
    context = make_tls(file=config.ssl_ca_cert, data=config.ca_cert_data)
    if not config.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if client_certificate and config.cert_file:
        context.load_cert_chain(config.cert_file, config.key_file)
    return context


def _pool(config: Configuration, context: ssl.SSLContext) -> urllib3.PoolManager:
    """Build the official client's pool (it knows the proxies), with our TLS context."""
    pool: urllib3.PoolManager = RESTClientObject(config).pool_manager
    own: Mapping[str, Any] = {
        "ssl_context": context,
        "cert_file": None,
        "key_file": None,
        "ca_certs": None,
        "ca_cert_data": None,
    }
    pool.connection_pool_kw.update({**own, **POOL})
    return pool
