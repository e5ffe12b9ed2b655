"""Check the inputs of a resource: known fields, their types, defaults, secrets.

As infer's check does from the Go types of the official plugin (pulumi-go-provider
infer/resource.go `Check`, infer/apply_secrets.go; pulumi-command common/inputs.go,
local/base.go, remote/command.go, remote/copy.go, remote/connection.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lab.plugins.plugin import CheckError
from lab.plugins.values import UNKNOWN, Asset, Properties, Secret, secret

LOCAL = "command:local:Command"
REMOTE = "command:remote:Command"
COPY = "command:remote:CopyToRemote"

_STRINGS = (list, str)
_COMMON: dict[str, Any] = {
    "triggers": list,
    "create": str,
    "update": str,
    "delete": str,
    "stdin": str,
    "logging": str,
    "addPreviousOutputInEnv": bool,
}
_ENDPOINT: dict[str, Any] = {
    "user": str,
    "password": str,
    "host": str,
    "port": float,
    "privateKey": str,
    "privateKeyPassword": str,
    "agentSocketPath": str,
    "dialErrorLimit": float,
    "perDialTimeout": float,
    "hostKey": str,
}
_CONNECTION: dict[str, Any] = {**_ENDPOINT, "proxy": _ENDPOINT}
FIELDS: dict[str, dict[str, Any]] = {
    LOCAL: {**_COMMON, "interpreter": _STRINGS, "dir": str, "environment": (dict, str)},
    REMOTE: {**_COMMON, "connection": _CONNECTION},
    # An asset is a file here; the official plugin takes a text and an archive, too.
    COPY: {"connection": _CONNECTION, "triggers": list, "source": Asset, "remotePath": str},
}
# What the official plugin has and this one does not; refused, not ignored.
_LEFT_OUT = {
    LOCAL: ("assetPaths", "archivePaths"),
    # sshd refuses what its AcceptEnv does not name, which fails the official command.
    REMOTE: ("environment",),
    COPY: (),
}
_REQUIRED = {LOCAL: (), REMOTE: ("connection",), COPY: ("connection", "source", "remotePath")}
_ENDPOINT_DEFAULTS = {"user": "root", "port": 22, "dialErrorLimit": 10, "perDialTimeout": 15}
_ENDPOINT_SECRETS = ("password", "privateKey", "privateKeyPassword")


def check(type_token: str, inputs: Properties) -> Properties:
    """Return the inputs with defaults filled in and secrets marked.

    Raises:
        CheckError: naming each field that is unknown, missing or of a wrong type.
    """
    if type_token not in FIELDS:
        raise CheckError([("", f"{type_token} is not a resource of the command stand-in")])
    known = {key: value for key, value in inputs.items() if value is not None}
    failures = list(_failures("", FIELDS[type_token], known, _LEFT_OUT[type_token]))
    failures += [
        (field, f"Missing required field '{field}' on '{type_token}'")
        for field in _REQUIRED[type_token]
        if field not in known
    ]
    if failures:
        raise CheckError(failures)
    if "connection" in known:
        known["connection"] = secret(_with_defaults(known["connection"]))
    return known


def _failures(
    prefix: str, fields: dict[str, Any], values: Mapping[str, Any], left_out: tuple[str, ...] = ()
) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        path = prefix + key
        if key in left_out:
            yield path, f"'{path}' is not supported by the command stand-in of the lab"
        elif key not in fields:
            yield path, f"Unrecognized field '{path}'"
        else:
            yield from _type_failures(path, fields[key], value)
    if (fields is _ENDPOINT or fields is _CONNECTION) and values.get("host") is None:
        yield prefix + "host", f"Missing required field '{prefix}host'"


def _type_failures(path: str, expected: Any, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Secret):
        value = value.value
    if value is UNKNOWN or value is None:
        return
    if isinstance(expected, dict):
        if isinstance(value, Mapping):
            yield from _failures(f"{path}.", expected, value)
        else:
            yield path, f"Field '{path}' must be an object"
    elif isinstance(expected, tuple):
        yield from _collection_failures(path, expected, value)
    elif not _is_a(value, expected):
        yield path, f"Field '{path}' must be a {expected.__name__}, not {type(value).__name__}"


def _collection_failures(
    path: str, expected: tuple[type, type], value: Any
) -> Iterator[tuple[str, str]]:
    collection: Any
    collection, element = expected
    if not isinstance(value, collection):
        yield path, f"Field '{path}' must be a {collection.__name__}, not {type(value).__name__}"
        return
    keys = value if isinstance(value, Mapping) else range(len(value))
    for key in keys:
        yield from _type_failures(f"{path}[{key}]", element, value[key])


def _is_a(value: Any, expected: type) -> bool:
    if expected is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, expected)


def _with_defaults(endpoint: Any) -> Any:
    if isinstance(endpoint, Secret):
        return Secret(_with_defaults(endpoint.value))
    if not isinstance(endpoint, Mapping):
        return endpoint
    given = {key: value for key, value in endpoint.items() if value is not None}
    for key in _ENDPOINT_SECRETS:
        if key in given:
            given[key] = secret(given[key])
    if "proxy" in given:
        given["proxy"] = _with_defaults(given["proxy"])
    return {**_ENDPOINT_DEFAULTS, **given}
