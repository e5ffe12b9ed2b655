"""The Kubernetes API as this program uses it: JSON objects by path, over the operator's connection.

Transient failures are retried by urllib3 for half a minute; every call here is safe to repeat
(creates are of named objects, changes carry a resourceVersion or are idempotent). Errors hold the
server's own message and never a request's body or headers: those can hold a token.
"""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import functools
import http
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self
from urllib.parse import quote, urlencode

import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError

from kube_nodes.membership.connection import (
    CONNECT_TIMEOUT_SECONDS,
    READ_TIMEOUT_SECONDS,
    Connection,
)

FIELD_MANAGER = "kube-nodes"
Object = dict[str, Any]


# Pauses of 0.2 s, 0.4 s, … 5 s: 26 s of patience with a server that restarts, and less than a
# minute with one that does not even refuse.
class _Patience(urllib3.Retry):
    """Retries that say so; those in a watch's thread are silent: its reader tells what lacks."""

    awaiting: Callable[[], None] = staticmethod(lambda: None)

    def new(self, **changes: Any) -> Self:
        retry = super().new(**changes)
        retry.awaiting = self.awaiting
        return retry

    def sleep(self, response: urllib3.BaseHTTPResponse | None = None) -> None:
        if threading.current_thread() is threading.main_thread():
            self.awaiting()
        super().sleep(response)


_RETRY = _Patience(
    total=9,
    connect=9,
    read=2,
    other=0,
    redirect=0,
    backoff_factor=0.2,
    backoff_max=5,
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods=None,
    raise_on_status=False,
)
_WATCH_SECONDS = 30


class ApiError(Exception):
    """The API server refused a request."""

    def __init__(self, status: int, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.details = details or {}

    @property
    def not_found(self) -> bool:
        """The object does not exist."""
        return self.status == http.HTTPStatus.NOT_FOUND

    @property
    def conflict(self) -> bool:
        """Somebody changed or made the object meanwhile, or it is another one of this name."""
        return self.status == http.HTTPStatus.CONFLICT


class UnreachableError(Exception):
    """The API server gave no answer, for all retries."""


class Api:
    """Calls to one API server. `private` keeps the server's message out of an error."""

    def __init__(
        self, connection: Connection, awaiting: Callable[[str], None] = lambda _: None
    ) -> None:
        """Take what is told, with what is awaited, each time that a request is tried again."""
        self._connection = connection
        self._retry = _RETRY.new()
        self._retry.awaiting = lambda: awaiting(f"the API server {connection.url} to answer")
        self._clock_ahead = datetime.timedelta()

    def now(self) -> datetime.datetime:
        """Tell the time of the API server's clock, as its last answer showed it.

        What expires does so by that clock; the operator's own may be wrong.
        """
        return datetime.datetime.now(datetime.UTC) + self._clock_ahead

    @functools.cached_property
    def minor(self) -> int:
        """Minor version of the API server; some report it as `27+`."""
        return int(re.sub(r"\D.*", "", self.get("/version")["minor"]) or 0)

    def get(self, path: str, **query: str) -> Object:
        """Read an object or a list. Raises ApiError, UnreachableError."""
        return self._call("GET", path, query=query)

    def find(self, path: str) -> Object | None:
        """Read an object; None if there is none."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.not_found:
                return None
            raise

    def create(self, path: str, body: Object, *, private: bool = False) -> Object:
        """Create an object in the collection at path."""
        query = {"fieldManager": FIELD_MANAGER}
        return self._call("POST", path, body, query=query, private=private)

    def evict(self, path: str, body: Object) -> None:
        """Ask for the eviction of a pod: ApiError 429 while a disruption budget forbids it.

        That answer is for the caller to wait with, not for a retry here.
        """
        self._call("POST", path, body, retries=self._retry.new(status_forcelist=(502, 503, 504)))

    def merge(self, path: str, body: Object, *, private: bool = False) -> Object:
        """Change the fields in body; None removes one (JSON merge patch)."""
        query = {"fieldManager": FIELD_MANAGER}
        kind = "application/merge-patch+json"
        return self._call("PATCH", path, body, query=query, kind=kind, private=private)

    def apply(self, path: str, body: Object) -> Object:
        """Own exactly the fields in body, whoever else claims them (server-side apply)."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        # JSON is YAML; the newer name of this content type is unknown to servers before 1.32.
        return self._call("PATCH", path, body, query=query, kind="application/apply-patch+yaml")

    def replace(self, path: str, body: Object) -> Object:
        """Replace an object, if it is still the one with the body's uid and resourceVersion."""
        return self._call("PUT", path, body, query={"fieldManager": FIELD_MANAGER})

    def delete(
        self,
        path: str,
        uid: str | None = None,
        *,
        grace_seconds: int | None = None,
        version: str | None = None,
    ) -> None:
        """Delete an object, if it still has this uid (and resourceVersion, where it is given).

        None, or another one, there is success.
        """
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid is not None:
            version_too = {"resourceVersion": version} if version is not None else {}
            body["preconditions"] = {"uid": uid, **version_too}
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds
        try:
            self._call("DELETE", path, body)
        except ApiError as error:
            if not (error.not_found or (uid is not None and error.conflict)):
                raise

    def watch(self, path: str, **query: str) -> Iterator[Object]:
        """Yield events from a resourceVersion on, until the server ends the watch (30 s)."""
        query = {"watch": "true", "timeoutSeconds": str(_WATCH_SECONDS), **query}
        response = self._send("GET", path, query, stream=True)
        try:
            if response.status != http.HTTPStatus.OK:
                raise _error(response.status, response.data, private=False)
            with contextlib.suppress(HTTPError):
                for line in response:
                    yield json.loads(line)
        finally:
            response.close()

    def answers_token(self, path: str, token: str) -> int:
        """Read a path with nothing but a bearer token; the HTTP status says who was let in."""
        response = self._request(
            self._connection.anonymous_pool,
            "GET",
            self._connection.url + path,
            headers={"authorization": f"Bearer {token}"},
            retries=self._retry,
        )
        return response.status

    def _call(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        query: Mapping[str, str] | None = None,
        kind: str = "application/json",
        private: bool = False,
        retries: urllib3.Retry | None = None,
    ) -> Object:
        response = self._send(method, path, query, body, kind=kind, retries=retries)
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            raise _error(response.status, response.data, private=private)
        answer: Object = json.loads(response.data)
        return answer

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Object | None = None,
        *,
        kind: str = "application/json",
        retries: urllib3.Retry | None = None,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        headers = {"accept": "application/json", **self._connection.headers()}
        if body is not None:
            headers["content-type"] = kind
        # A watch is silent while nothing changes; the server ends it after its own time.
        read_seconds = _WATCH_SECONDS + READ_TIMEOUT_SECONDS if stream else READ_TIMEOUT_SECONDS
        return self._request(
            self._connection.pool,
            method,
            f"{self._connection.url}{path}" + (f"?{urlencode(query)}" if query else ""),
            headers=headers,
            body=None if body is None else json.dumps(body).encode(),
            retries=retries or self._retry,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=read_seconds),
            preload_content=not stream,
        )

    def _request(
        self, pool: urllib3.PoolManager, method: str, url: str, **options: Any
    ) -> urllib3.BaseHTTPResponse:
        try:
            response = pool.request(method, url, **options)
        except HTTPError as error:
            cause = error.reason if isinstance(error, MaxRetryError) else error
            raise UnreachableError(
                f"the API server {self._connection.url} gives no answer: {_first_line(str(cause))}"
            ) from None
        self._read_clock(response.headers.get("date", ""))
        return response

    def _read_clock(self, date: str) -> None:
        """Compare the clocks, by a header of whole seconds that a proxy may have left out."""
        with contextlib.suppress(ValueError):
            there = email.utils.parsedate_to_datetime(date)
            self._clock_ahead = there - datetime.datetime.now(datetime.UTC)


def segment(name: str) -> str:
    """Write a name as one segment of a path: those of certificate requests may hold anything."""
    return quote(name, safe="")


def _error(status: int, data: bytes, *, private: bool) -> ApiError:
    """Make an error of a Status object, or of whatever else a proxy may have answered."""
    try:
        answer = json.loads(data)
        message, details = str(answer.get("message", "")), answer.get("details")
    except (ValueError, AttributeError):
        message, details = "", None
    if private or not message:
        phrase = http.HTTPStatus(status).phrase if status in set(http.HTTPStatus) else ""
        message = f"the API server answers {status} {phrase}".rstrip()
    return ApiError(status, _first_line(message), details)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:500]
