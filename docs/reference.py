"""Write what is generated: the configuration reference, its schema, the graph: `make reference`.

The tables of docs/configuration.md and the `config:` block of Pulumi.yaml stand between marks;
only what is between them is replaced. All but main() is pure.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from docs import fleet_arithmetic
from docs.schema import render_schema
from docs.tables import render_table
from kube_nodes.fleet.fleet_file import FleetFile
from kube_nodes.fleet.graph import draw
from kube_nodes.fleet.stack import read_stack_file
from kube_nodes.model.declaration import Declaration
from kube_nodes.model.labels import Taint
from kube_nodes.model.nodes import PoolDeclaration
from kube_nodes.model.options import NodeOptions
from kube_nodes.model.owned_fields import KUBE_PROXY_OWNED, KUBELET_OWNED
from kube_nodes.model.share import Share
from kube_nodes.model.values import Between, OneOf
from kube_nodes.model.versions import NEWEST_MINOR, OLDEST_MINOR, KubernetesVersion
from kube_nodes.settings import SECRET_KEYS, Settings

CHECKOUT = Path(__file__).resolve().parent.parent
# What a user names in a map; by the map's key.
_NAMES = {
    "binaries": "version",
    "hosts": "host",
    "pools": "pool",
    "nodes": "node",
    "stacks": "stack",
}
# How a text is written; by its check in model/.
FORMATS = {
    "check_bind_address": "`address:port`",
    "check_ca_certificates": "PEM",
    "check_cidr": "CIDR",
    "check_download": "URL",
    "check_domain": "DNS domain",
    "check_file": "absolute path",
    "check_host_address": "IP address",
    "check_host_key": "`ssh-ed25519 AAAA…`",
    "check_image": "image name",
    "check_ip": "IP address",
    "check_listening_ip": "IP address",
    "check_path": "absolute path",
    "check_mirror": "URL",
    "check_project_file": "relative path",
    "check_quantity": "quantity, such as `200m` or `1Gi`",
    "check_server": "`https://host:port`",
    "check_sha256": "64 hexadecimal digits",
    "check_sha512": "128 hexadecimal digits",
    "check_ssh_host": "IP address or DNS name",
    "check_socket": "`unix://path`",
    "check_threshold": "quantity or share, such as `100Mi` or `10%`",
    "check_static_group": "name",
    "check_stack_name": "full name of a stack",
    "check_static_user": "name",
    "check_uid": "UUID",
    "_counter": "0 or more",
}
# What a type is called, and its form.
_SIMPLE = {
    str: ("string", ""),
    int: ("integer", ""),
    bool: ("boolean", ""),
    Any: ("field", ""),
    KubernetesVersion: ("version", f"1.{OLDEST_MINOR} to 1.{NEWEST_MINOR}, such as `1.37.2`"),
    Share: ("share", "number of nodes or per cent of the pool, such as `2` or `25%`"),
    Taint: ("taint", "`key=value:Effect` or `key:Effect`"),
}


@dataclass(frozen=True)
class Row:
    """One key of the reference."""

    key: str
    kind: str
    values: str
    default: str
    description: str


def rows(schema: type[Declaration], prefix: str = "", stop: tuple[str, ...] = ()) -> Iterator[Row]:
    """Yield a row for each key of a declaration and of those in it, in the order of the model.

    Args:
        schema: the declaration.
        prefix: what stands before its keys.
        stop: keys whose own keys are told elsewhere.
    """
    for field in schema.model_fields.values():
        key = f"{prefix}{field.alias}"
        kind, checks = _read(field.annotation, tuple(field.metadata))
        inner = _declaration(field.annotation)
        default = _default(field)
        yield Row(key, kind, _values(checks), default, str(field.description))
        if inner and field.alias not in stop:
            name = f".<{_NAMES[str(field.alias)]}>" if kind.startswith("map") else ""
            yield from rows(inner, f"{key}{name}.", stop)


def _read(annotation: Any, checks: tuple[Any, ...] = ()) -> tuple[str, tuple[Any, ...]]:
    """Tell a type in words, with every check on it and in it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _read(arguments[0], (*checks, *arguments[1:]))
    if origin in (Union, UnionType):
        return _read(next(each for each in arguments if each is not NoneType), checks)
    if origin in (list, dict):
        read = [_read(each) for each in arguments]
        what = "map" if origin is dict else "list"
        return f"{what} of {read[-1][0]}s", (*checks, *(one for _, found in read for one in found))
    kind, form = _read_simple(annotation)
    return kind, (*checks, form)


def _read_simple(annotation: Any) -> tuple[str, Any]:
    """Tell a type that holds no other, and its form."""
    if get_origin(annotation) is Literal:
        return "string", OneOf(get_args(annotation), "")
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "string", OneOf(tuple(each.value for each in annotation), "")
    return _SIMPLE.get(annotation, ("object", ""))


def _declaration(annotation: Any) -> type[Declaration] | None:
    if isinstance(annotation, type) and issubclass(annotation, Declaration):
        return annotation
    return next(filter(None, map(_declaration, get_args(annotation))), None)


def _values(checks: tuple[Any, ...]) -> str:
    """Tell units, bounds, names and formats."""
    texts = []
    for check in checks:
        rule = getattr(check, "func", check)
        if isinstance(rule, str):
            texts.append(rule)
        elif isinstance(rule, Between):
            texts.append(f"{rule.least} to {rule.most} {rule.unit}".rstrip())
        elif isinstance(rule, OneOf):
            texts.append(", ".join(f"`{name}`" for name in rule.names))
        else:
            texts.append(FORMATS.get(getattr(rule, "__name__", ""), ""))
    return "; ".join(filter(None, texts))


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "**required**"
    if value in (None, ""):
        return "unset"
    if isinstance(value, Declaration):
        return ""
    if isinstance(value, KubernetesVersion):
        value = str(value).removeprefix("v")
    return f"`{json.dumps(value)}`" if isinstance(value, bool | dict | list) else f"`{value}`"


def render_keys(found: Iterator[Row]) -> str:
    """Render rows of the reference as a table."""
    head = ("Key", "Type", "Unit, bounds, form", "Default", "Description")
    lines = ((f"`{row.key}`", row.kind, row.values, row.default, row.description) for row in found)
    return render_table(head, lines)


def render_blocks() -> dict[str, str]:
    """Render what stands between the marks of docs/configuration.md, by the mark's name."""

    def owned(fields: Mapping[str, str]) -> str:
        lines = ((f"`{path}`", rule) for path, rule in sorted(fields.items()))
        return render_table(("Field", "Why"), lines)

    node_keys = rows(PoolDeclaration, "pools.<pool>.", stop=("options",))
    secrets = ((f"`{key}`", text) for key, text in SECRET_KEYS.items())
    return {
        "stack": render_keys(rows(Settings, stop=("options", "pools"))),
        "nodes": render_keys(node_keys),
        "options": render_keys(rows(NodeOptions)),
        "secrets": render_table(("Key", "Description"), secrets),
        "kubelet": owned(KUBELET_OWNED),
        "kube-proxy": owned(KUBE_PROXY_OWNED),
    }


def render_fleets() -> dict[str, str]:
    """Render what stands between the marks of docs/large-fleets.md, by the mark's name."""
    return {"file": render_keys(rows(FleetFile)), **fleet_arithmetic.render_blocks()}


def fill(text: str, blocks: Mapping[str, str]) -> str:
    """Replace what stands between `<!-- begin NAME -->` and `<!-- end NAME -->`."""
    for name, block in blocks.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise ValueError(f"{begin} and its end must stand there once")
        text = pattern.sub(lambda _, new=f"{begin}\n{block}\n{end}": new, text)  # type: ignore[misc]
    return text


PROJECT_MARK = "# Written by `make reference` from settings.py, down to the end of the file.\n"
_PROJECT_NOTE = """\
# A key without a default is required. Defaults of the keys inside an object: docs/configuration.md.
# The secret keys {secrets} are not declared: Pulumi has no optional secret key
# (without a default it is required, and a default is refused as not encrypted).
"""


def render_project(text: str) -> str:
    """Replace the `config:` block of Pulumi.yaml."""
    before, mark, _ = text.partition(PROJECT_MARK)
    if not mark:
        raise ValueError(f"Pulumi.yaml has no line {PROJECT_MARK!r}")
    config = {str(field.alias): _project_key(field) for field in Settings.model_fields.values()}
    note = _PROJECT_NOTE.format(secrets=" and ".join(SECRET_KEYS))
    block = yaml.safe_dump({"config": config}, sort_keys=False, allow_unicode=True, width=96)
    return f"{before}{mark}{note}{block}"


def _project_key(field: FieldInfo) -> dict[str, Any]:
    kind = _read(field.annotation)[0]
    known = {"string": "string", "integer": "integer", "boolean": "boolean"}
    key: dict[str, Any] = {"type": known.get(kind, "object")}
    if kind.startswith("list"):
        key |= {"type": "array", "items": {"type": "string"}}
    key["description"] = field.description
    if not field.is_required():
        # The engine knows no null: "" and {} stand for what is unset.
        simple = isinstance(field.default, str | int | bool)
        key["default"] = field.default if simple else "" if kind == "string" else {}
    return key


# The picture of README is of this stack.
GRAPH_OF = "production"


def render_picture() -> str:
    """Draw the graph of an example."""
    path = CHECKOUT / "docs" / "examples" / f"Pulumi.{GRAPH_OF}.yaml"
    return draw(read_stack_file(path), GRAPH_OF)


def main() -> int:
    """Write what is generated; say which files changed."""
    files: dict[Path, Callable[[str], str]] = {
        CHECKOUT / "docs" / "configuration.md": lambda text: fill(text, render_blocks()),
        CHECKOUT / "docs" / "large-fleets.md": lambda text: fill(text, render_fleets()),
        CHECKOUT / "docs" / "graph.svg": lambda _: render_picture(),
        CHECKOUT / "docs" / "stack.schema.json": lambda _: render_schema(),
        CHECKOUT / "Pulumi.yaml": render_project,
    }
    for path, render in files.items():
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        new = render(old)
        if new != old:
            path.write_text(new, encoding="utf-8")
            print(f"reference: {path.relative_to(CHECKOUT)} written anew")
    return 0


if __name__ == "__main__":
    sys.exit(main())
