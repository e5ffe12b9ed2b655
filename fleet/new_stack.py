"""Write a new stack's configuration: what the cluster tells, what a person answers, host keys.

It is checked as a whole before it is written, and written in one piece: a run that is refused or
cut leaves no file. Hosts are contacted for their keys alone: no login, no file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kube_nodes.components.files import write_atomically
from kube_nodes.fleet import host_keys
from kube_nodes.fleet.discovery import Discovered, discover
from kube_nodes.fleet.errors import FleetError
from kube_nodes.fleet.host_keys import Declared
from kube_nodes.fleet.stack import run_pulumi
from kube_nodes.membership.api import Api, ApiError, UnreachableError
from kube_nodes.membership.connection import ConnectionConfigError, connect
from kube_nodes.membership.progress import Progress
from kube_nodes.model.declaration import show
from kube_nodes.settings import NAMESPACE, ConfigurationError, parse_settings

DESCRIPTION = "write a new stack's configuration, from the cluster of KUBECONFIG and your answers"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_GIVEN_BY = {
    "server": "API=",
    "caCertificate": "CA=",
    "clusterUid": "CLUSTER_UID=",
    "podCidrs": "POD_CIDRS=",
    "serviceCidrs": "SERVICE_CIDRS=",
    "pools": "NODES=",
}
_SCHEMA = "# yaml-language-server: $schema=docs/stack.schema.json\n"


@dataclass
class Answers:
    """What is written, as far as it is known; a person is asked for the rest."""

    server: str
    ca_certificate: str
    cluster_uid: str
    pod_cidrs: tuple[str, ...]
    service_cidrs: tuple[str, ...]
    ssh_user: str
    nodes: Mapping[str, str]
    """Addresses by id."""
    faults: Sequence[str]
    """What of the answers cannot even be read, each with its key."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options; what is not given is asked for on a terminal."""
    parser.add_argument("--api", help="URL of the API server, as the hosts reach it")
    parser.add_argument("--ca", help="file with the cluster CA's certificate")
    parser.add_argument("--cluster-uid", help="UID of the namespace kube-system")
    parser.add_argument("--pod-cidrs", help="CIDRs of the pods, with commas between")
    parser.add_argument("--service-cidrs", help="CIDRs of the Services, with commas between")
    parser.add_argument("--ssh-user", help="who logs in on the hosts (default: root)")
    parser.add_argument("--nodes", help="the first hosts, such as w1=10.0.0.11,w2=10.0.0.12")
    parser.add_argument("--pool", default="workers", help="their pool (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="take the hosts' keys unasked")


def run(options: argparse.Namespace) -> int:
    """Read, ask, check, and write; 1 where a host that was named is not in it."""
    file = Path(f"Pulumi.{options.stack}.yaml")
    if not _NAME.fullmatch(options.stack):
        raise FleetError(f'"{options.stack}" is no name of a stack; give such as NAME=prod')
    before = _read_before(file)
    url, found = _read_cluster()
    answers = _ask(options, url, found)
    # What is wrong is told before a host is contacted: with keys that stand for those to come.
    placeholders = {name: _some_key() for name in answers.nodes}
    _check(render_values(answers, found, options.pool, placeholders), answers.faults)
    keys = _fetch_keys(answers, options)
    if not keys:
        raise FleetError("no host's key was confirmed; nothing was written")
    values = render_values(answers, found, options.pool, keys)
    _check(values)
    _init_stack(options.stack)
    before = _read_before(file)
    write_atomically(file, render_file(values, before))
    _tell(options.stack, file, answers, keys)
    return int(len(keys) < len(answers.nodes))


def _read_before(file: Path) -> str:
    """Read what `pulumi stack init` has written; a configuration is never written over."""
    try:
        text = file.read_text(encoding="utf-8")
        document = yaml.safe_load(text)
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise FleetError(f"{file} is there and cannot be read; choose another NAME") from None
    if document and set(document) - {"encryptionsalt", "encryptedkey", "secretsprovider"}:
        raise FleetError(f"{file} is there already; edit it, or choose another NAME")
    return text


def _read_cluster() -> tuple[str, Discovered]:
    """Ask the cluster of KUBECONFIG; without an answer everything is asked of the person."""
    try:
        connection = connect()
        print(f"reading from the cluster of KUBECONFIG, {connection.url}", file=sys.stderr)
        return connection.url, discover(Api(connection, Progress("cluster").awaiting))
    except (ApiError, UnreachableError, ConnectionConfigError) as error:
        print(f"nothing could be read from the cluster: {error}", file=sys.stderr)
        return "", Discovered()


def _ask(options: argparse.Namespace, url: str, found: Discovered) -> Answers:
    """Take what was given, what the cluster told, and what a person answers."""
    faults: list[str] = []
    ca, path = found.ca_certificate, options.ca
    if not (ca or path):
        path = _answer(None, "file with the cluster CA's certificate", "")
    if path:
        ca = _read_ca(path, faults)
    server = _answer(options.api, "URL of the API server, as the hosts reach it", url)
    uid = options.cluster_uid or found.uid
    return Answers(
        server=server,
        ca_certificate=ca,
        cluster_uid=uid or _answer(None, "UID of the namespace kube-system", ""),
        pod_cidrs=_cidrs(options.pod_cidrs, found.pod_cidrs, "CIDRs of the pods (--cluster-cidr)"),
        service_cidrs=_cidrs(
            options.service_cidrs,
            found.service_cidrs,
            "CIDRs of the Services (--service-cluster-ip-range)",
        ),
        ssh_user=_answer(options.ssh_user, "who logs in on the hosts", "root"),
        nodes=_parse_nodes(
            _answer(options.nodes, "first hosts (w1=10.0.0.11,w2=10.0.0.12)", ""), faults
        ),
        faults=faults,
    )


def _answer(given: str | None, what: str, default: str) -> str:
    if given or not sys.stdin.isatty():
        return given or default
    return input(f"{what}{f' [{default}]' if default else ''}: ").strip() or default


def _cidrs(given: str | None, found: Sequence[str], what: str) -> tuple[str, ...]:
    """Ask only for what nobody has told: what the cluster says of itself is right."""
    text = given or ",".join(found) or _answer(None, what, "")
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _read_ca(path: str, faults: list[str]) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "is no text"
        faults.append(f"caCertificate: {path}: {said}; give the file of the cluster's ca.crt")
        return ""


def _parse_nodes(text: str, faults: list[str]) -> dict[str, str]:
    nodes: dict[str, str] = {}
    for word in filter(None, re.split(r"[,\s]+", text)):
        name, _, address = word.partition("=")
        if not (name and address):
            faults.append(f"pools: {show(word)} is not a host; write such as w1=10.0.0.11")
        elif name in nodes:
            faults.append(f"pools: {show(name)} stands there twice; keep one of them")
        else:
            nodes[name] = address
    if not nodes and not any(fault.startswith("pools: ") for fault in faults):
        faults.append("pools: no host is named; give such as w1=10.0.0.11")
    return nodes


def render_values(
    answers: Answers, found: Discovered, pool: str, keys: Mapping[str, str]
) -> dict[str, Any]:
    """Make the configuration; what is not known is left out, and so told as missing."""
    known = {
        "server": answers.server,
        "caCertificate": answers.ca_certificate,
        "clusterUid": answers.cluster_uid,
        "podCidrs": list(answers.pod_cidrs),
        "serviceCidrs": list(answers.service_cidrs),
    }
    options: dict[str, Any] = {}
    if found.version:
        options["kubernetesVersion"] = found.version
    if found.cluster_dns:
        options["clusterDns"] = list(found.cluster_dns)
    options["ssh"] = {"user": answers.ssh_user}
    nodes = {
        name: {"address": address, "hostKey": keys[name]}
        for name, address in answers.nodes.items()
        if name in keys
    }
    return {
        **{key: value for key, value in known.items() if value},
        "options": options,
        "pools": {pool: {"nodes": nodes}},
    }


def _check(values: Mapping[str, Any], unread: Sequence[str] = ()) -> None:
    """Check all of it, together with what of the answers could not be read.

    Raises:
        ConfigurationError: with every fault, and the variable that gives each value.
    """
    found = [f"{NAMESPACE}:{fault}" for fault in unread]
    told = {_key(fault) for fault in found}
    try:
        parse_settings(values)
    except ConfigurationError as error:
        # A value that could not be read is missing, too: that is told once.
        found += [each for each in error.faults if _key(each) not in told]
    if found:
        raise ConfigurationError(
            [
                f"{each} ({_GIVEN_BY[_key(each)]})" if _key(each) in _GIVEN_BY else each
                for each in found
            ]
        )


def _key(fault: str) -> str:
    return re.split(r"[.:\[]", fault.removeprefix(f"{NAMESPACE}:"))[0]


def _some_key() -> str:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _fetch_keys(answers: Answers, options: argparse.Namespace) -> dict[str, str]:
    """Show what each host shows, and take what a person says yes to."""
    nodes = [
        Declared(pool=options.pool, id=name, address=address, ssh={"user": answers.ssh_user})
        for name, address in answers.nodes.items()
    ]
    seen = asyncio.run(host_keys.fetch(nodes))
    host_keys.show(seen)
    return {each.node.id: each.key for each in seen if host_keys.is_wanted(each, options.write)}


def _init_stack(name: str) -> None:
    known = json.loads(run_pulumi("stack", "ls", "--json") or "[]")
    if name not in {each["name"].rpartition("/")[2] for each in known}:
        run_pulumi("stack", "init", name, "--no-select")


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as one that can be read."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else "")


_Dumper.add_representer(str, _represent_text)


def render_file(values: Mapping[str, Any], before: str) -> str:
    """Render the stack's file, with what `pulumi stack init` has written into it."""
    config = {f"{NAMESPACE}:{key}": value for key, value in values.items()}
    text = yaml.dump({"config": config}, Dumper=_Dumper, sort_keys=False, width=200)
    return f"{_SCHEMA}{before}{text}"


def _tell(stack: str, file: Path, answers: Answers, keys: Mapping[str, str]) -> None:
    print(f"{file}: written, with {', '.join(keys)}")
    for name, address in answers.nodes.items():
        if name not in keys:
            print(
                f"{name} is not in it, since its key was not confirmed; later:"
                f" make host-keys STACK={stack} NAME={name} ADDRESS={address}"
            )
    print(
        "kubelet and kube-proxy are expected in /usr/local/bin of each host; `binaries` has them"
        f" fetched. Next: make preflight STACK={stack}, pulumi preview --stack {stack}"
    )
