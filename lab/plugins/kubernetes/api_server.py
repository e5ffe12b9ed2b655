"""Talk to one API server about objects of any kind.

The `kubernetes` package does the talking; its dynamic client is not used, because it keeps its
discovery in a file of a guessable name in the temporary folder. It is imported only here and
only when first needed: that takes 0.3 s.
"""

from __future__ import annotations

import json
import ssl
import threading
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from lab.plugins.kubernetes.configuration import KubeconfigError, Settings
from lab.plugins.kubernetes.objects import Object

# A cluster that drops packets must cost a preview less than ten seconds.
CONNECT_SECONDS = 4.0
PROBE_READ_SECONDS = 4.0
READ_SECONDS = 60.0
POOL_SIZE = 64

Verb = Literal["GET", "POST", "PATCH", "DELETE"]
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"


class ApiError(Exception):
    """What the API server, or the way to it, answered instead of a result."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


class NoSuchKindError(Exception):
    """The API server does not serve this kind."""


@dataclass(frozen=True)
class Resource:
    """Where the API server keeps the objects of one kind."""

    base: str
    plural: str
    namespaced: bool

    def path(self, namespace: str, name: str = "") -> str:
        """Return the path of one object, or of its collection."""
        parts = [self.base]
        if self.namespaced:
            parts += ["namespaces", quote(namespace or "default", safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        return "/".join(parts)


class ApiServer:
    """One API server, for many threads at a time; discovery is kept for the process's life."""

    def __init__(self, settings: Settings) -> None:
        """Prepare a connection; nothing is sent yet.

        Raises:
            KubeconfigError: the kubeconfig is of no use.
        """
        self._client = _connect(settings)
        self._resources: dict[tuple[str, str], Resource] = {}
        self._discovered: set[str] = set()
        self._discovering = threading.Lock()

    def probe(self) -> None:
        """Fetch the core kinds, to learn whether the API server answers and knows us."""
        self._discover("v1", (CONNECT_SECONDS, PROBE_READ_SECONDS))

    def resource(self, api_version: str, kind: str) -> Resource:
        """Return where a kind's objects are.

        Raises:
            NoSuchKindError: the API server does not serve it (now: it is asked again each time).
        """
        found = self._resources.get((api_version, kind))
        if found is None:
            with self._discovering:
                if (api_version, kind) not in self._resources:
                    self._discover(api_version, (CONNECT_SECONDS, READ_SECONDS))
            found = self._resources.get((api_version, kind))
        if found is None:
            raise NoSuchKindError(f'the API server has no kind "{kind}" in version "{api_version}"')
        return found

    def _discover(self, api_version: str, timeout: tuple[float, float]) -> None:
        base = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            listed = self._send("GET", base, timeout=timeout)
        except ApiError as error:
            if error.status == 404:
                return
            raise
        for item in listed.get("resources") or ():
            if "/" not in item["name"]:
                where = Resource(base, item["name"], bool(item["namespaced"]))
                self._resources[api_version, item["kind"]] = where

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """Return one object."""
        return self._send("GET", resource.path(namespace, name))

    def create(self, resource: Resource, obj: Object, *, manager: str, dry_run: bool) -> Object:
        """Make an object; an existing one of the name is an error."""
        path = resource.path(_namespace(obj))
        return self._send("POST", path, obj, query=_query(manager, dry_run))

    def apply(
        self, resource: Resource, obj: Object, *, manager: str, force: bool, dry_run: bool = False
    ) -> Object:
        """Apply an object server-side under a field manager's name."""
        path = resource.path(_namespace(obj), obj["metadata"]["name"])
        query = [*_query(manager, dry_run), ("force", "true" if force else "false")]
        return self._send("PATCH", path, obj, query=query, content_type=APPLY)

    def patch(self, resource: Resource, namespace: str, name: str, steps: list[Object]) -> Object:
        """Change an object by the steps of a JSON patch."""
        path = resource.path(namespace, name)
        return self._send("PATCH", path, steps, content_type=JSON_PATCH)

    def delete(self, resource: Resource, namespace: str, name: str, propagation: str) -> str:
        """Ask for an object's deletion, which may take longer than this call; return its uid."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        answer = self._send("DELETE", resource.path(namespace, name), body)
        # The API server answers with the object while it lingers, and with a Status if it is gone.
        where = answer.get("details") if answer.get("kind") == "Status" else answer.get("metadata")
        return str((where or {}).get("uid", ""))

    def _send(
        self,
        verb: Verb,
        path: str,
        body: Any = None,
        *,
        query: list[tuple[str, str]] | None = None,
        content_type: str = "application/json",
        timeout: tuple[float, float] = (CONNECT_SECONDS, READ_SECONDS),
    ) -> Object:
        import urllib3
        from kubernetes.client.exceptions import ApiException

        headers = {"Accept": "application/json", "Content-Type": content_type}
        request = self._client.param_serialize(
            verb,
            path,
            query_params=query or [],
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            answer = self._client.call_api(*request, _request_timeout=timeout)
            text = answer.read()
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiError(0, "Unreachable", _plain_reason(error)) from None
        if 200 <= answer.status <= 299:
            parsed: Object = json.loads(text)
            return parsed
        raise _refusal(answer.status, text)


def _namespace(obj: Object) -> str:
    return str(obj["metadata"].get("namespace") or "")


def _query(manager: str, dry_run: bool) -> list[tuple[str, str]]:
    return [("fieldManager", manager), *([("dryRun", "All")] if dry_run else [])]


def _plain_reason(error: Exception) -> str:
    text = str(getattr(error, "reason", None) or error) or type(error).__name__
    # urllib3 puts the object's address first.
    return text.rsplit(">: ", 1)[-1]


def _refusal(status: int, text: bytes) -> ApiError:
    try:
        body = json.loads(text)
        return ApiError(status, str(body.get("reason", "")), str(body.get("message", "")))
    except (ValueError, AttributeError):
        return ApiError(status, "", f"HTTP status {status}")


def _connect(settings: Settings) -> Any:
    from kubernetes.client.api_client import ApiClient
    from kubernetes.client.configuration import Configuration
    from kubernetes.config import ConfigException, kube_config

    if settings.kubeconfig is None:
        raise KubeconfigError(settings.problem)
    content = dict(settings.kubeconfig.content)
    cluster = settings.overrides.get("cluster")
    active = settings.kubeconfig.active_context(settings.overrides)
    if cluster and active is not None:
        content["contexts"] = [{"name": "override", "context": {**active, "cluster": cluster}}]
        content["current-context"] = "override"
    configuration = Configuration()
    configuration.retries = False
    configuration.connection_pool_maxsize = POOL_SIZE
    try:
        loader = kube_config.KubeConfigLoader(
            content,
            active_context=None if cluster else settings.overrides.get("context"),
            config_base_path=settings.kubeconfig.folder,
        )
        loader.load_and_set(configuration)
        client = ApiClient(configuration)
        _take_certificates(client, configuration)
    except (ConfigException, OSError, ValueError) as error:
        raise KubeconfigError(f"kubeconfig: {error}") from None
    finally:
        # Inline keys were written to files for urllib3; none must stay when we are killed.
        kube_config._cleanup_temp_files()
    return client


def _take_certificates(client: Any, configuration: Any) -> None:
    """Load keys and certificates now, so that their files are needed no longer."""
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if not configuration.verify_ssl:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    options = client.rest_client.pool_manager.connection_pool_kw
    for name in ("ca_certs", "ca_cert_data", "cert_file", "key_file"):
        options.pop(name, None)
    options["ssl_context"] = context
