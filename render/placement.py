"""Say a component's settings the way its version takes them: as fields of its file, or as flags.

Every setting is named by its field. Where the version's configuration file has that field, it goes
there; else into the flag that says the same, where the version has one. What it has neither for is
left out: the settings of a user are checked before (model/configuration_fields.py), so that is only
what this program would add for safety.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kube_nodes.model.component_settings import flag_of, flags
from kube_nodes.model.configuration_fields import FIRST_FILE_MINOR, has_field, walk_fields
from kube_nodes.model.versions import KubernetesVersion
from kube_nodes.render.documents import merge_documents


@dataclass(frozen=True)
class Placed:
    """A component's settings: what its file holds, and its flags, sorted."""

    fields: Mapping[str, Any]
    flags: tuple[str, ...]


def place_settings(
    kind: str,
    version: KubernetesVersion,
    settings: Mapping[str, Any],
    flag_only: Mapping[str, str],
) -> Placed:
    """Share settings out to file and flags.

    Args:
        kind: of the configuration file.
        version: of the component.
        settings: by field, nested as in the file.
        flag_only: values of flags that no field stands for; those that the version has are taken.
    """
    fields: dict[str, Any] = {}
    found = dict(flag_only)
    for path, value in walk_fields(kind, settings):
        flag = flag_of(kind, path)
        if has_field(kind, path, version.minor):
            fields = merge_documents(fields, _nested(path, value))
        elif flag:
            found[flag.name] = render_flag_value(value, flag.form)
    known = flags(kind)
    words = (
        f"{name}={value}" for name, value in found.items() if version.minor in known[name].span
    )
    return Placed(fields, tuple(sorted(words)))


def has_file(version: KubernetesVersion) -> bool:
    """Say whether a version's components read configuration files of the kinds rendered here."""
    return version.minor >= FIRST_FILE_MINOR


def render_flag_value(value: Any, form: str = "") -> str:
    """Write a field's value as a flag takes it.

    Args:
        value: of the field.
        form: `thresholds` (signal<value) or `taints`; else maps are key=value.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if form == "taints":
        return ",".join(f"{each['key']}={each.get('value', '')}:{each['effect']}" for each in value)
    if isinstance(value, Mapping):
        sign = "<" if form == "thresholds" else "="
        pairs = sorted(value.items())
        return ",".join(f"{key}{sign}{render_flag_value(inner)}" for key, inner in pairs)
    if isinstance(value, list | tuple):
        return ",".join(str(each) for each in value)
    return str(value)


def _nested(path: str, value: Any) -> dict[str, Any]:
    head, _, rest = path.partition(".")
    return {head: _nested(rest, value) if rest else value}
