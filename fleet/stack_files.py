"""The stacks' files of a fleet: written from the fleet's file, and never over somebody's change.

A file keeps what Pulumi itself writes into it (the salt of a passphrase, `secure:` values). Its
first line tells what it was written from, with a digest of the rest: what was changed by hand, or
by `make drift REPAIR=1`, is found by it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kube_nodes.fleet.errors import FleetError
from kube_nodes.fleet.fleet_file import Fleet, FleetStack

_HEADER = re.compile(r"^# Written from .*; change that file\. ([0-9a-f]{16})$", re.M)


def stack_file(stack: FleetStack) -> Path:
    """Name a stack's file, in the working folder."""
    return Path(f"Pulumi.{stack.name}.yaml")


def write_stack_files(fleet: Fleet, *, overwrite: bool = False) -> list[Path]:
    """Write every stack's file; return those that changed.

    Raises:
        FleetError: files were changed by hand; none was written.
    """
    texts = {}
    changed_by_hand = []
    for stack in fleet.stacks:
        path = stack_file(stack)
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        document = _parse(path, before)
        if not overwrite:
            changed_by_hand += [f"{path}: {key}" for key in _changed(before, document, stack)]
        texts[path] = before, render(fleet.path.name, stack, document)
    if changed_by_hand:
        raise FleetError(
            f"changed by hand since it was written: {', '.join(changed_by_hand)}. Write the same"
            f" into {fleet.path.name}, or run again with OVERWRITE=1; nothing was changed"
        )
    written = []
    for path, (before, text) in texts.items():
        if not _is_same(text, before):
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written


def render(source: str, stack: FleetStack, present: Mapping[str, Any]) -> str:
    """Make a stack's file from its configuration, and what Pulumi has written into the old one."""
    config = {**stack.config, **_secure(present)}
    body = yaml.safe_dump({**present, "config": config}, sort_keys=False, allow_unicode=True)
    header = f"# Written from {source}; change that file. {_digest(stack.config)}\n"
    return header + body


def _is_same(text: str, before: str) -> bool:
    """Whether both say the same: Pulumi writes YAML in a form of its own."""
    headers = [found and found[0] for found in map(_HEADER.search, (text, before))]
    return headers[0] == headers[1] and yaml.safe_load(text) == yaml.safe_load(before)


def _parse(path: Path, text: str) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(text) or {}
    except yaml.YAMLError:
        document = None
    if not isinstance(document, Mapping):
        raise FleetError(f"{path} is not a stack's file; correct it, or remove it")
    return document


def _changed(text: str, document: Mapping[str, Any], stack: FleetStack) -> list[str]:
    """Name the keys that somebody changed, and the fleet's file does not have so."""
    plain = {
        key: value
        for key, value in (document.get("config") or {}).items()
        if key not in _secure(document)
    }
    header = _HEADER.search(text)
    if not plain or (header and header[1] == _digest(plain)):
        return []
    keys = sorted(plain.keys() | stack.config.keys())
    return [key for key in keys if plain.get(key) != stack.config.get(key)]


def _secure(document: Mapping[str, Any]) -> dict[str, Any]:
    """Take the values that `pulumi config set --secret` wrote."""
    config = document.get("config") or {}
    return {
        key: value
        for key, value in config.items()
        if isinstance(value, Mapping) and value.keys() == {"secure"}
    }


def _digest(config: Mapping[str, Any]) -> str:
    text = json.dumps(config, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
