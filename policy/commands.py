"""Rules for commands: whom they connect to, and what they write onto a host."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from kube_nodes.render.script_reading import Script, parse_units_script
from policy.declared import Declared, open_value

_ANONYMOUS = re.compile(r"--anonymous-auth(?:=(\S+))?")


def host_keys(resource: Declared) -> Iterator[str]:
    """Every host on the way must show its declared key: without one any host is trusted."""
    if not resource.type.startswith("command:remote:"):
        return
    connection = resource.get("connection")
    for path, endpoint in (("connection", connection), ("connection.proxy", _proxy(connection))):
        if isinstance(endpoint, Mapping) and not open_value(endpoint.get("hostKey")):
            yield f"{path}.hostKey: is missing, so any host would be trusted; give the host's key"


def _proxy(connection: Any) -> Any:
    return open_value(connection.get("proxy")) if isinstance(connection, Mapping) else None


def anonymous_auth(resource: Declared) -> Iterator[str]:
    """A kubelet must refuse who does not say who he is; by default it lets him in."""
    script = _units_script(resource)
    if script is None or "kubelet" not in script.units:
        return
    for file in script.files:
        if file.path.endswith("/kubelet.service") and (flag := _ANONYMOUS.search(file.content)):
            # A flag wins over the file.
            if (flag[1] or "true").strip("\"'") != "false":
                yield f"{file.path}: --anonymous-auth is not false; leave it out, or set it so"
            return
    configurations = [each for each in map(_kubelet_configuration, script.files) if each]
    allowed = [each for each in configurations if _allows_anonymous(each)]
    if allowed or not configurations:
        yield "authentication.anonymous.enabled of the kubelet is not false; set it so"


def _units_script(resource: Declared) -> Script | None:
    stdin = resource.get("stdin")
    if resource.type != "command:remote:Command" or not isinstance(stdin, str):
        return None
    try:
        script = parse_units_script(stdin)
    except ValueError:
        return None
    return script if script.settings.get("part") == "units" else None


def _kubelet_configuration(file: Any) -> Mapping[str, Any] | None:
    if "kind: KubeletConfiguration" not in file.content:
        return None
    document = yaml.safe_load(file.content)
    return document if isinstance(document, Mapping) else None


def _allows_anonymous(configuration: Mapping[str, Any]) -> bool:
    authentication = configuration.get("authentication") or {}
    return (authentication.get("anonymous") or {}).get("enabled", True) is not False
