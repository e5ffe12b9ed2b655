"""The provider's own settings, and what a change of them means for the objects.

The rules are those of pulumi/pulumi-kubernetes provider/pkg/provider/provider.go (DiffConfig,
Configure) and provider/util.go (parseKubeconfigString, getActiveClusterFromConfig).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.plugins.diffs import Change, Diff, compare, top_key
from lab.plugins.values import UNKNOWN, Properties, reveal

CLUSTER_IDENTIFIER = "clusterIdentifier"
# Which cluster a kubeconfig means depends on these three.
CLUSTER_KEYS = ("kubeconfig", "context", "cluster")


class KubeconfigError(Exception):
    """A kubeconfig that cannot be used; its text holds nothing of the content."""


@dataclass(frozen=True)
class Kubeconfig:
    """A parsed kubeconfig and the folder that relative paths in it start from."""

    content: Mapping[str, Any]
    folder: str = ""

    def entry(self, section: str, name: str) -> Mapping[str, Any] | None:
        """Return the body of a named cluster, context or user."""
        for item in self.content.get(section) or ():
            if isinstance(item, dict) and item.get("name") == name:
                body = item.get(section.rstrip("s"))
                return body if isinstance(body, dict) else None
        return None

    def active_context(self, overrides: Properties) -> Mapping[str, Any] | None:
        """Return the context in force."""
        name = overrides.get("context") or self.content.get("current-context") or ""
        return self.entry("contexts", str(name))

    def active_cluster(self, overrides: Properties) -> Mapping[str, Any] | None:
        """Return the cluster in force, or None where the kubeconfig does not say."""
        context = self.active_context(overrides)
        if context is None:
            return None
        return self.entry("clusters", str(overrides.get("cluster") or context.get("cluster")))


def parse_kubeconfig(path_or_content: Any) -> Kubeconfig:
    """Read a kubeconfig that is given as a path, as text, or as a map.

    Raises:
        KubeconfigError: it is neither, or no kubeconfig.
    """
    if isinstance(path_or_content, Mapping):
        return Kubeconfig(path_or_content)
    text, folder = str(path_or_content or ""), ""
    if text and "\n" not in text and (path := Path(text).expanduser()).is_file():
        text, folder = path.read_text(), str(path.parent)
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise KubeconfigError(f"kubeconfig: not valid YAML{line}") from None
    if content is None:
        return Kubeconfig({})
    if not isinstance(content, dict):
        raise KubeconfigError("kubeconfig: neither an existing file nor the text of a kubeconfig")
    return Kubeconfig(content, folder)


def ambient_kubeconfig() -> Kubeconfig:
    """Return what KUBECONFIG, or else ~/.kube/config, holds.

    Raises:
        KubeconfigError: there is none.
    """
    paths = [one for one in os.environ.get("KUBECONFIG", "").split(os.pathsep) if one]
    for path in paths or ["~/.kube/config"]:
        if Path(path).expanduser().is_file():
            return parse_kubeconfig(path)
    raise KubeconfigError("kubeconfig: none is configured; set KUBECONFIG, or give one")


@dataclass(frozen=True)
class Settings:
    """The provider's configuration, typed."""

    kubeconfig: Kubeconfig | None
    overrides: Properties
    namespace: str = "default"
    upsert: bool = False
    patch_force: bool = False
    mutable_secrets: bool = False
    mutable_config_maps: bool = False
    delete_unreachable: bool = False
    problem: str = ""
    """Why there is no kubeconfig; the cluster then counts as unreachable."""


def read_settings(config: Properties) -> Settings:
    """Take the provider's configuration as the engine sends it.

    Raises:
        ValueError: it asks for what this stand-in does not have.
    """
    plain = reveal(config)
    if not _flag(plain, "enableServerSideApply", "PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY", True):
        raise ValueError("enableServerSideApply: false is not supported by the lab's stand-in")
    if plain.get("renderYamlToDirectory"):
        raise ValueError("renderYamlToDirectory: not supported by the lab's stand-in")
    overrides = {key: plain[key] for key in ("context", "cluster") if plain.get(key)}
    kubeconfig, problem = None, ""
    try:
        given = plain.get("kubeconfig")
        kubeconfig = parse_kubeconfig(given) if given else ambient_kubeconfig()
    except KubeconfigError as error:
        problem = str(error)
    context = kubeconfig.active_context(overrides) if kubeconfig else None
    return Settings(
        kubeconfig,
        overrides,
        str(plain.get("namespace") or (context or {}).get("namespace") or "default"),
        _flag(plain, "upsertExistingObjects", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS"),
        _flag(plain, "enablePatchForce", "PULUMI_K8S_ENABLE_PATCH_FORCE"),
        _flag(plain, "enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE"),
        _flag(plain, "enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE"),
        _flag(plain, "deleteUnreachable", "PULUMI_K8S_DELETE_UNREACHABLE"),
        problem,
    )


def _flag(config: Properties, key: str, variable: str, default: bool = False) -> bool:
    """Read a switch: the SDK sends it as a JSON string; the environment comes second."""
    found = config.get(key)
    if found is None:
        found = os.environ.get(variable)
    return default if found is None else str(found).lower() == "true"


def compare_settings(old: Properties, new: Properties) -> Diff:
    """Tell whether a changed configuration means another cluster, and so new objects.

    With the same `clusterIdentifier` before and after, nothing is replaced. With a changed one,
    all is. Else the active cluster of the kubeconfig decides: if any of its fields differ, the
    keys of `CLUSTER_KEYS` that changed ask for a replacement. The ambient kubeconfig is no part
    of the configuration, so a change of it is no change at all.

    Raises:
        KubeconfigError: a kubeconfig in it cannot be read.
    """
    before, after = reveal(old), reveal(new)
    changed = compare(before, after, input_diff=True)
    keys = {top_key(path) for path in changed}
    replacing = _replacing_keys(before, after, keys)
    return Diff(
        {
            path: Change(one.kind, top_key(path) in replacing, one.input_diff)
            for path, one in changed.items()
        }
    )


def _replacing_keys(before: Properties, after: Properties, changed: set[str]) -> set[str]:
    identifiers = before.get(CLUSTER_IDENTIFIER), after.get(CLUSTER_IDENTIFIER)
    identified = None not in identifiers
    if identified and identifiers[0] == identifiers[1]:
        return set()
    replacing = {CLUSTER_IDENTIFIER} if identified else set()
    unknown = {key for key in CLUSTER_KEYS if after.get(key) is UNKNOWN}
    if unknown:
        return replacing | unknown
    old = parse_kubeconfig(before.get("kubeconfig")).active_cluster(before)
    new = parse_kubeconfig(after.get("kubeconfig")).active_cluster(after)
    if old is not None and new is not None and old != new:
        replacing |= {key for key in CLUSTER_KEYS if key in changed}
    return replacing
