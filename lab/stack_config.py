"""What only a running lab knows, as values of a stack's configuration.

The one place that knows both the lab and the keys of the product's settings.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from lab import artifacts
from lab.commands import run
from lab.env import lab_variables
from lab.spec import SERVICE_CIDR, LabSpec
from lab.tools import ensure as ensure_tools

POOL = "workers"


def values(
    spec: LabSpec, hosts: Iterable[str], cluster_uid: str, digests: dict[str, dict[str, str]]
) -> dict[str, str]:
    """Return the configuration by path, as `pulumi config set-all --path` takes it.

    Args:
        spec: the lab.
        hosts: the hosts that become nodes of the pool `workers`.
        cluster_uid: UID of the namespace kube-system.
        digests: the SHA-256 of kubelet and kube-proxy, by Kubernetes version and program.
    """
    found = {
        "server": spec.server,
        "caCertificate": spec.path("pki", "ca.crt").read_text(encoding="utf-8"),
        "clusterUid": cluster_uid,
        "podCidrs[0]": spec.pod_cidr,
        "serviceCidrs[0]": SERVICE_CIDR,
    }
    for version, programs in digests.items():
        for key, program in (("kubelet", "kubelet"), ("kubeProxy", "kube-proxy")):
            path = f'binaries["{version}"].{key}'
            found[f"{path}.url"] = artifacts.url(spec, version, program)
            found[f"{path}.sha256"] = programs[program]
    for name in hosts:
        host = spec.host(name)
        path = f'pools.{POOL}.nodes["{name}"]'
        found[f"{path}.address"] = host.address
        found[f"{path}.hostKey"] = host.host_key
    return {f"kube-nodes:{path}": value for path, value in found.items()}


def cluster_uid(spec: LabSpec) -> str:
    """Ask the lab's cluster for the UID of its namespace kube-system."""
    from kubernetes import client, config

    with config.new_client_from_config(str(spec.path("kubeconfig"))) as connection:
        namespace = client.CoreV1Api(connection).read_namespace("kube-system", _request_timeout=10)
    return str(namespace.metadata.uid)


def configure(
    spec: LabSpec, project: Path, stack: str, hosts: Iterable[str], versions: Iterable[str]
) -> None:
    """Write the lab's values into the stack's configuration file; make the stack if it is new."""
    digests = {
        version: {name: artifacts.sha256(spec, version, name) for name in artifacts.PROGRAMS}
        for version in versions
    }
    pulumi = ensure_tools(["pulumi"])["pulumi"]
    environment = os.environ | lab_variables(
        spec.directory,
        venv=project / ".venv",
        tool_directories=[pulumi.parent],
        path=os.environ.get("PATH", ""),
    )
    base = [str(pulumi), f"--cwd={project}", "--non-interactive"]
    known = json.loads(run([*base, "stack", "ls", "--json"], environment=environment))
    if stack not in {entry["name"] for entry in known}:
        run([*base, "stack", "init", stack], environment=environment)
    pairs = []
    for path, value in values(spec, hosts, cluster_uid(spec), digests).items():
        pairs += ["--plaintext", f"{path}={value}"]
    run([*base, "config", "set-all", f"--stack={stack}", "--path", *pairs], environment=environment)
