"""A stack's settings and outputs, read through the Pulumi CLI: nothing is run or changed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kube_nodes.fleet.errors import FleetError
from kube_nodes.settings import (
    NAMESPACE,
    SECRET_KEYS,
    Settings,
    parse_settings,
    parse_stored,
)

_PREFIX = f"{NAMESPACE}:"
_SSH_KEY = "sshPrivateKey"


@dataclass(frozen=True, kw_only=True)
class Stack:
    """One stack of the project in the working folder."""

    name: str
    settings: Settings
    ssh_private_key: str | None = field(default=None, repr=False)
    """None: the SSH agent."""

    def outputs(self, *, secrets: bool = True) -> Mapping[str, Any]:
        """Read the outputs of the last `up`, empty before the first; the secret ones by choice."""
        shown = ("--show-secrets",) if secrets else ()
        arguments = ("stack", "output", "--json", *shown, "--stack", self.name)
        outputs: Mapping[str, Any] = json.loads(run_pulumi(*arguments) or "{}")
        return outputs


def read_stack(name: str) -> Stack:
    """Read and check a stack's configuration.

    Of its secrets only the SSH key is read, and only where it is set.

    Raises:
        FleetError: the CLI can't tell.
        ConfigurationError: with every fault of the configuration.
    """
    stored = json.loads(run_pulumi("config", "--json", "--stack", name))
    texts = {
        key.removeprefix(_PREFIX): entry.get("value", "")
        for key, entry in stored.items()
        if key.startswith(_PREFIX) and not entry["secret"]
    }
    is_set = {key for key in SECRET_KEYS if stored.get(f"{_PREFIX}{key}", {}).get("secret")}
    secrets = {}
    if _SSH_KEY in is_set:
        secrets[_SSH_KEY] = run_pulumi("config", "get", f"{_PREFIX}{_SSH_KEY}", "--stack", name)
    return Stack(
        name=name,
        settings=parse_stored(texts, secrets, unread=is_set - secrets.keys()),
        ssh_private_key=secrets.get(_SSH_KEY),
    )


def read_stack_file(path: Path) -> Settings:
    """Read and check a stack's file as it stands: without the CLI, the state or a passphrase.

    Raises:
        FleetError: there is no such file, or it is none.
        ConfigurationError: with every fault of the configuration.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FleetError(f"{path}: {error.strerror}; STACK= names the stack") from None
    except (UnicodeDecodeError, yaml.YAMLError):
        # A parser's message would quote what stands there.
        raise FleetError(f"{path} is not YAML; correct it") from None
    config = document.get("config") if isinstance(document, Mapping) else None
    values = {
        str(key).removeprefix(_PREFIX): value
        for key, value in (config if isinstance(config, Mapping) else {}).items()
        if str(key).startswith(_PREFIX)
    }
    secret = SECRET_KEYS.keys() & values.keys()
    return parse_settings({key: values[key] for key in values.keys() - secret}, unread=secret)


def place_of(pool: str, node: str) -> str:
    """Name a node's place in the configuration, for `pulumi config` with `--path`."""
    return f"{_PREFIX}pools[{json.dumps(pool)}].nodes[{json.dumps(node)}]"


def set_values(stack: str, values: Mapping[str, str]) -> None:
    """Write values, none of them secret, into the stack's configuration file."""
    pairs = [
        word for place, value in values.items() for word in ("--plaintext", f"{place}={value}")
    ]
    run_pulumi("config", "set-all", "--path", *pairs, "--stack", stack)


def run_pulumi(*arguments: str) -> str:
    """Run the Pulumi CLI in the working folder and return what it prints.

    Raises:
        FleetError: it is missing, or it failed.
    """
    try:
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise FleetError("pulumi is not on PATH; install it, or use `make env`") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it says nothing"]
        raise FleetError(f"pulumi {' '.join(arguments[:2])}: {said[0].removeprefix('error: ')}")
    return done.stdout
