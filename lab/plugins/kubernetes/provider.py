"""The plugin: settings, check and diff here, the rest in `lifecycle`.

The rules are those of pulumi/pulumi-kubernetes provider/pkg/provider/provider.go (CheckConfig,
DiffConfig, Configure, Check, Diff).
"""

from __future__ import annotations

from lab.plugins.diffs import Diff
from lab.plugins.kubernetes import checkpoints
from lab.plugins.kubernetes.api_server import ApiError, NoSuchKindError
from lab.plugins.kubernetes.configuration import (
    KubeconfigError,
    compare_settings,
    read_settings,
)
from lab.plugins.kubernetes.connection import Connection
from lab.plugins.kubernetes.differences import compare_objects, force_new, is_ignored
from lab.plugins.kubernetes.lifecycle import Lifecycle
from lab.plugins.kubernetes.objects import (
    AUTONAMED,
    Object,
    annotation,
    canonical_namespace,
    has_name,
    is_namespaced,
    kind_of,
    kind_of_token,
    metadata,
    name_of,
    namespace_of,
    normalise,
    prune,
    set_autoname,
    unique_name,
)
from lab.plugins.plugin import Call, Found, Made, Plugin, PluginError
from lab.plugins.values import Properties, reveal


class KubernetesPlugin(Plugin):
    """One provider and its objects."""

    name = "kubernetes"
    version = "4.34.2"

    _connection: Connection
    _lifecycle: Lifecycle

    async def configure(self, config: Properties) -> None:
        """Take the settings; the cluster is asked when a call needs it."""
        try:
            settings = read_settings(config)
        except ValueError as error:
            raise PluginError(f"provider: {error}") from None
        self._connection = Connection(settings, self._warn)
        self._lifecycle = Lifecycle(self._connection)

    async def _warn(self, message: str) -> None:
        await self.engine.send("", message, "WARNING")

    async def diff_config(self, call: Call) -> Diff:
        """Compare two sets of settings."""
        try:
            return compare_settings(call.old_inputs or call.state, call.inputs)
        except KubeconfigError as error:
            raise PluginError(f"provider: {error}") from None

    async def check(self, call: Call) -> Properties:
        """Return the inputs in one form, named, and with a namespace where the kind has one."""
        try:
            api_version, kind = kind_of_token(call.type)
        except ValueError as error:
            raise PluginError(str(error)) from None
        obj = normalise({"apiVersion": api_version, "kind": kind, **reveal(call.inputs)})
        if obj["kind"] != kind or kind.endswith("List"):
            raise PluginError(f"{call.type}: the lab's stand-in has no Patch or List resources")
        if not has_name(obj):
            _autoname(obj, reveal(call.old_inputs), call)
        meta = obj.setdefault("metadata", {})
        if isinstance(meta, dict) and not meta.get("namespace") and await self._is_namespaced(obj):
            meta["namespace"] = self._connection.settings.namespace
        return checkpoints.mark_secrets(obj, call.inputs)

    async def diff(self, call: Call) -> Diff:
        """Compare the inputs with the object as it was last read, in its declared fields."""
        new = normalise(reveal(call.inputs))
        old_inputs, live = checkpoints.read_checkpoint(call.state)
        namespaced = await self._is_namespaced(new)
        new = canonical_namespace(new, namespaced)
        pruned = canonical_namespace(prune(live, normalise(old_inputs)), namespaced)
        if name_of(new):
            pruned["metadata"]["name"] = name_of(live)
        settings = self._connection.settings
        replace_on = force_new(
            new,
            mutable_secrets=settings.mutable_secrets,
            mutable_config_maps=settings.mutable_config_maps,
        )
        changes = {
            path: change
            for path, change in compare_objects(pruned, new, replace_on).items()
            if not is_ignored(path, call.ignore_changes)
        }
        # The new object cannot stand beside the old one under a name that the user chose.
        by_user = has_name(new) and annotation(new, AUTONAMED) != "true"
        same_place = (name_of(new), namespace_of(new)) == (name_of(live), namespace_of(live))
        replaces = any(change.replace for change in changes.values())
        return Diff(changes, delete_before_replace=replaces and by_user and same_place)

    async def create(self, call: Call) -> Made:
        """See `Lifecycle.create`."""
        return await self._lifecycle.create(call)

    async def read(self, call: Call) -> Found | None:
        """See `Lifecycle.read`."""
        return await self._lifecycle.read(call)

    async def update(self, call: Call) -> Properties:
        """See `Lifecycle.update`."""
        return await self._lifecycle.update(call)

    async def delete(self, call: Call) -> None:
        """See `Lifecycle.delete`."""
        await self._lifecycle.delete(call)

    async def _is_namespaced(self, obj: Object) -> bool:
        known = is_namespaced(*kind_of(obj))
        if known is not None:
            return known
        server = await self._connection.server()
        if server is None:
            return True
        try:
            return (await self._connection.run(server.resource, *kind_of(obj))).namespaced
        except (ApiError, NoSuchKindError):
            return True  # perhaps its definition is part of this deployment


def _autoname(obj: Object, old: Object, call: Call) -> None:
    if metadata(obj).get("generateName"):
        raise PluginError("metadata.generateName: not supported with server-side apply")
    if not old:
        set_autoname(obj, unique_name(f"{call.name}-", call.seed))
    elif annotation(old, AUTONAMED) == "true":
        set_autoname(obj, name_of(old))
