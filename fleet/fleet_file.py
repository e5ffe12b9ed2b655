"""A fleet's file: one cluster's nodes in several stacks, with the same keys as a stack's file.

Each stack's settings are checked as the program itself checks them; what no stack can see alone
(an address in two of them) is checked over all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Field, ValidationError

from kube_nodes.fleet.errors import FleetError
from kube_nodes.fleet.operator_settings import OperatorSettings
from kube_nodes.model.declaration import Declaration, explain, join_path, show
from kube_nodes.model.node_rules import find_duplicates
from kube_nodes.model.nodes import PoolDeclaration
from kube_nodes.model.values import check_dns_label
from kube_nodes.settings import (
    NAMESPACE,
    SECRET_KEYS,
    ConfigurationError,
    Settings,
    parse_settings,
)

SHARED = "shared"
_NO_ORGANIZATION = "organization"
_PREFIX = f"{NAMESPACE}:"
_POOLS, _SHARED_STACK = f"{_PREFIX}pools", f"{_PREFIX}sharedStack"
_TOP_KEY = re.compile(r"[^.\[:]*")

Label = Annotated[str, AfterValidator(check_dns_label)]
Config = dict[str, Any]


def check_label(value: str) -> str:
    """Check the name of a stack of pools, which is a part of the stack's own."""
    if check_dns_label(value) == SHARED:
        raise ValueError("is the name of the shared stack; choose another one")
    return value


class StackConfig(Declaration):
    """One stack of a fleet."""

    config: Config = Field({}, description="Its own keys, as in a stack's file.")


class FleetFile(Declaration):
    """Everything that stands in the file."""

    name: Label = Field(description="The stacks are `<name>-shared` and `<name>-<stack>`.")
    project: Label = Field("kube-nodes", description="The project's name in Pulumi.yaml.")
    organization: Label = Field(
        _NO_ORGANIZATION,
        description="The stacks' organization; a backend without organizations has the default.",
    )
    secrets_provider: str = Field(
        "", description="What new stacks are made with; empty: the backend's own, or a passphrase."
    )
    config: Config = Field({}, description="Keys of every stack; a stack's own key wins whole.")
    shared: StackConfig = Field(StackConfig(), description="The shared stack.")
    stacks: dict[Annotated[str, AfterValidator(check_label)], StackConfig] = Field(
        description="The stacks of pools, each with its `kube-nodes:pools`."
    )
    operator: OperatorSettings | None = Field(
        None, description="How the Pulumi Kubernetes Operator runs the stacks."
    )


@dataclass(frozen=True, kw_only=True)
class FleetStack:
    """One stack of a fleet, checked."""

    label: str
    """Its name in the file; SHARED for the shared one."""
    name: str
    reference: str
    """What `--stack` takes: its name, with the organization where the backend has some."""
    config: Mapping[str, Any]
    """What stands in its Pulumi.<name>.yaml, secrets apart."""
    settings: Settings


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """A fleet, checked."""

    path: Path
    file: FleetFile
    shared: FleetStack
    pools: tuple[FleetStack, ...]

    @property
    def stacks(self) -> tuple[FleetStack, ...]:
        """All stacks, the shared one first."""
        return (self.shared, *self.pools)


def read_fleet(path: Path) -> Fleet:
    """Read and check a fleet's file.

    Raises:
        FleetError: there is no such file, or it is none.
        ConfigurationError: with every fault that was found in it.
    """
    document = _load(path)
    faults: list[str] = []
    file = None
    try:
        file = FleetFile.model_validate(document)
    except ValidationError as error:
        faults += explain(error, "", FleetFile)
    parts = list(_parts(document))
    stacks = [_parse(part, document, faults) for part in parts]
    faults += _across(parts, [each.settings for each in stacks if each])
    checked = [each for each in stacks if each]
    if faults or file is None:
        # A key of every stack is a fault in each of them, and is told once.
        raise ConfigurationError(list(dict.fromkeys(faults)), "the fleet's file")
    return Fleet(path=path, file=file, shared=checked[0], pools=tuple(checked[1:]))


def _load(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FleetError(f"{path}: {error.strerror}; FLEET= names the fleet's file") from None
    except (UnicodeDecodeError, yaml.YAMLError):
        # A parser's message would quote what stands there.
        raise FleetError(f"{path} is not YAML; correct it") from None
    if not isinstance(document, Mapping):
        raise FleetError(f"{path} is no fleet's file: it holds no keys; see docs/large-fleets.md")
    return document


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What stands in the file of one stack."""

    label: str
    common: Config
    own: Config

    @property
    def place(self) -> str:
        return f"{SHARED}.config" if self.label == SHARED else f"stacks.{self.label}.config"

    def place_of(self, key: str) -> str:
        """Say where a key was written, or is to be."""
        is_own = key in self.own or key in (_POOLS, _SHARED_STACK)
        return f"{self.place if is_own else 'config'}.{key}"


def _parts(document: Mapping[str, Any]) -> Iterator[_Part]:
    """Take what can be taken, also of a file with faults."""
    common = _config(document)
    yield _Part(label=SHARED, common=common, own=_config(document.get("shared")))
    stacks = document.get("stacks")
    for label, stack in stacks.items() if isinstance(stacks, Mapping) else ():
        if label != SHARED:  # which is a fault, told of already
            yield _Part(label=str(label), common=common, own=_config(stack))


def _config(value: Any) -> Config:
    config = value.get("config") if isinstance(value, Mapping) else None
    return {str(key): each for key, each in config.items()} if isinstance(config, Mapping) else {}


def _parse(part: _Part, document: Mapping[str, Any], faults: list[str]) -> FleetStack | None:
    """Check one stack, or add its faults."""
    misplaced = list(_misplaced(part))
    faults += misplaced
    config = {**part.common, **part.own}
    name, project, organization = (
        str(document.get(key, default))
        for key, default in (
            ("name", ""), ("project", "kube-nodes"), ("organization", _NO_ORGANIZATION),
        )
    )  # fmt: skip
    if part.label == SHARED:
        config.pop(_SHARED_STACK, None)
        config[_POOLS] = {}
    else:
        config[_SHARED_STACK] = f"{organization}/{project}/{name}-{SHARED}"
    values = {
        key.removeprefix(_PREFIX): value
        for key, value in config.items()
        if key.startswith(_PREFIX) and key.removeprefix(_PREFIX) not in SECRET_KEYS
    }
    try:
        settings = parse_settings(values, unread=("caKey",))
    except ConfigurationError as error:
        faults += [_relocate(fault, part) for fault in error.faults]
        return None
    own_name = f"{name}-{part.label}"
    # Where a backend has no organizations, this one stands for them in StackReferences alone.
    prefix = "" if organization == _NO_ORGANIZATION else f"{organization}/"
    return FleetStack(
        label=part.label,
        name=own_name,
        reference=f"{prefix}{own_name}",
        config=config,
        settings=settings,
    )


def _misplaced(part: _Part) -> Iterator[str]:
    """Tell of keys that don't belong where they stand."""
    for place, config in (("config", part.common), (part.place, part.own)):
        for key in config:
            bare = key.removeprefix(_PREFIX)
            if ":" not in key:
                yield f"{place}.{key}: has no namespace; write {_PREFIX}{key}"
            elif key == _SHARED_STACK:
                yield f"{place}.{key}: is the fleet's to write; remove it"
            elif key == _POOLS and place in ("config", f"{SHARED}.config"):
                yield f"{place}.{key}: belongs into a stack of pools; move it to stacks.<stack>"
            elif key != bare and bare in SECRET_KEYS:
                yield (
                    f"{place}.{key}: is secret; set it with `pulumi config set --secret {key}"
                    " --stack <name>-<stack>`"
                )


def _relocate(fault: str, part: _Part) -> str:
    """Say where in the fleet's file it was written."""
    path = fault.removeprefix(_PREFIX)
    key = _TOP_KEY.match(path)
    return part.place_of(f"{_PREFIX}{key[0] if key else ''}") + path[len(key[0] if key else "") :]


def _across(parts: list[_Part], stacks: list[Settings]) -> Iterator[str]:
    """Find what no stack can see alone."""
    labels = {
        pool: part.label
        for part in reversed(parts)
        for pool in _pools(part)
    }  # fmt: skip
    for part in parts:
        for pool in _pools(part):
            if labels[pool] != part.label:
                yield (
                    f"{part.place}.{_POOLS}.{pool}: is a pool of stack {labels[pool]} too;"
                    " give each pool a name of its own"
                )
    merged: dict[str, PoolDeclaration] = {}
    made_by: dict[str, str] = {}
    for settings in stacks:
        for name, declared in settings.pools.items():
            merged.setdefault(name, declared)
        yield from _runtime_classes(settings, labels, made_by)
    for place, rule in find_duplicates(merged):
        label = labels[place[1]]
        yield f"{join_path(f'stacks.{label}.config.{_PREFIX}', place)}: {rule}"


def _pools(part: _Part) -> list[str]:
    pools = part.own.get(_POOLS)
    return [str(name) for name in pools] if isinstance(pools, Mapping) else []


def _runtime_classes(
    settings: Settings, labels: Mapping[str, str], made_by: dict[str, str]
) -> Iterator[str]:
    """The RuntimeClass is the cluster's: one stack may make it."""
    name = settings.gpu_runtime_class
    if not name or not any(node.gpu for node in settings.nodes):
        return
    label = labels[next(iter(settings.pools))]
    maker = made_by.setdefault(name, label)
    if maker != label:
        yield (
            f"stacks.{label}.config.{_PREFIX}gpuRuntimeClass: {show(name)} is made by stack"
            f' {maker} too; set it to "" here'
        )
