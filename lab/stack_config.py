"""What only a running lab knows, written into a stack's configuration.

The one place that knows both the lab and the keys of the product's settings. Only these values are
written; all others of the stack are its user's. A host is declared once: one that the user took
out of the configuration stays out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from lab import artifacts
from lab.commands import run
from lab.errors import LabError
from lab.files import write_atomically
from lab.spec import SERVICE_CIDR, LabSpec

POOL = "workers"
NAMESPACE = "kube-nodes"

# A place in the configuration, from its top key down.
Place = tuple[str | int, ...]


def values(
    spec: LabSpec,
    pools: Mapping[str, str],
    cluster_uid: str,
    digests: Mapping[str, Mapping[str, str]],
) -> dict[Place, str]:
    """Return the lab's values by place.

    Args:
        spec: the lab.
        pools: the pool of each host that is declared.
        cluster_uid: UID of the namespace kube-system.
        digests: the SHA-256 of kubelet and kube-proxy, by Kubernetes version and program.
    """
    found: dict[Place, str] = {
        ("server",): spec.server,
        ("caCertificate",): spec.path("pki", "ca.crt").read_text(encoding="utf-8").strip(),
        ("clusterUid",): cluster_uid,
        ("podCidrs", 0): spec.pod_cidr,
        ("serviceCidrs", 0): SERVICE_CIDR,
    }
    for version, programs in digests.items():
        for key, program in (("kubelet", "kubelet"), ("kubeProxy", "kube-proxy")):
            found["binaries", version, key, "url"] = artifacts.url(spec, version, program)
            found["binaries", version, key, "sha256"] = programs[program]
    hosts = {host.name: host for host in spec.hosts}
    for name in pools.keys() & hosts.keys():
        place: Place = ("pools", pools[name], "nodes", name)
        found[(*place, "address")] = hosts[name].address
        found[(*place, "hostKey")] = hosts[name].host_key
    return found


def configure(
    spec: LabSpec,
    project: Path,
    stack: str,
    hosts: Iterable[str],
    environment: Mapping[str, str],
    *,
    kubernetes: str | None = None,
) -> None:
    """Write the lab's values into the stack's configuration file; the stack must be there.

    Args:
        spec: the lab, up.
        project: the folder of Pulumi.yaml.
        stack: its name.
        hosts: the hosts that become nodes if they were never declared.
        environment: what `pulumi` runs under, with the lab's PATH and backend.
        kubernetes: the nodes' version, where one was asked for; else it stays as it is.
    """
    digests = {
        version: {name: artifacts.sha256(spec, version, name) for name in artifacts.PROGRAMS}
        for version in artifacts.versions(spec)
    }
    file = project / f"Pulumi.{stack}.yaml"
    present = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("config") or {}
    pools = _pools(spec, stack, present, hosts)
    wanted = values(spec, pools, cluster_uid(spec), digests)
    if kubernetes:
        wanted["options", "kubernetesVersion"] = kubernetes
    pairs = []
    for place, value in sorted(wanted.items(), key=str):
        if _value_at(present, place) != value:
            pairs += ["--plaintext", f"{_path(place)}={value}"]
    if pairs:
        command = ["pulumi", f"--cwd={project}", "--non-interactive", "config", "set-all"]
        run([*command, f"--stack={stack}", "--path", *pairs], environment=environment)


def cluster_uid(spec: LabSpec) -> str:
    """Ask the lab's cluster for the UID of its namespace kube-system."""
    namespace = ask(spec, lambda api: api.read_namespace("kube-system", _request_timeout=10))
    return str(namespace.metadata.uid)


def ask(spec: LabSpec, question: Callable[[Any], Any]) -> Any:
    """Ask the lab's cluster through its core/v1 API.

    Raises:
        LabError: it does not answer.
    """
    from kubernetes import client, config
    from urllib3.exceptions import HTTPError

    try:
        with config.new_client_from_config(str(spec.path("kubeconfig"))) as connection:
            connection.rest_client.pool_manager.connection_pool_kw["retries"] = False
            return question(client.CoreV1Api(connection))
    except (HTTPError, client.ApiException) as error:
        reason = type(error).__name__
        raise LabError(f"{spec.server}: no answer ({reason}); `make lab` starts it.") from None


def _pools(
    spec: LabSpec, stack: str, present: Mapping[str, Any], hosts: Iterable[str]
) -> dict[str, str]:
    """Return each declared node's pool; a host that was never declared joins POOL."""
    declared = {
        node: name
        for name, pool in (present.get(f"{NAMESPACE}:pools") or {}).items()
        for node in (pool or {}).get("nodes") or {}
    }
    record = spec.path(f"declared-{stack}.json")
    before = set(json.loads(record.read_text(encoding="utf-8"))) if record.exists() else set()
    new = [name for name in hosts if name not in before and name not in declared]
    write_atomically(record, json.dumps(sorted({*before, *new, *declared})) + "\n")
    return declared | dict.fromkeys(new, POOL)


def _path(place: Place) -> str:
    steps = "".join(f"[{json.dumps(step)}]" for step in place[1:])
    return f"{NAMESPACE}:{place[0]}{steps}"


def _value_at(config: Mapping[str, Any], place: Place) -> Any:
    value: Any = config.get(f"{NAMESPACE}:{place[0]}")
    for step in place[1:]:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value.strip() if isinstance(value, str) else value
