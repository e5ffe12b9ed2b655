"""The kubernetes stand-in over its gRPC interface, against a real API server.

Sources are files of pulumi/pulumi-kubernetes (provider/pkg/…, as of 4.32 to 4.34) unless named.
"""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from pulumi.runtime.proto import provider_pb2

from lab.plugins.values import UNKNOWN, Secret, contains_secret, reveal
from tests.plugins.control_plane import ControlPlane, make_client_certificate, make_kubeconfig
from tests.plugins.driver import Driver, PartialError

MODULE = "lab.plugins.kubernetes"
REPLACE = {
    provider_pb2.PropertyDiff.ADD_REPLACE,
    provider_pb2.PropertyDiff.DELETE_REPLACE,
    provider_pb2.PropertyDiff.UPDATE_REPLACE,
}
DIFF_NONE = provider_pb2.DiffResponse.DIFF_NONE
DIFF_SOME = provider_pb2.DiffResponse.DIFF_SOME


def urn(token: str, name: str = "thing") -> str:
    return f"urn:pulumi:dev::project::{token}::{name}"


SECRET = urn("kubernetes:core/v1:Secret")
CONFIG_MAP = urn("kubernetes:core/v1:ConfigMap")
BINDING = urn("kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding")
DAEMON_SET = urn("kubernetes:apps/v1:DaemonSet")
SERVICE = urn("kubernetes:core/v1:Service")

_counter = iter(range(10_000))


def fresh(prefix: str = "test") -> str:
    """Return a name that no other test has."""
    return f"{prefix}-{next(_counter)}"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def token_secret(
    name: str, more: dict[str, str] | None = None, *, forced: bool = True
) -> dict[str, Any]:
    """Return the inputs of a closed bootstrap token."""
    annotations = {"annotations": {"pulumi.com/patchForce": "true"}} if forced else {}
    return {
        "metadata": {"name": name, "namespace": "kube-system", **annotations},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "token-id": "abcdef",
            "usage-bootstrap-authentication": "false",
            **(more or {}),
        },
    }


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": dict(data)}


def binding(name: str, role: str = "view", user: str = "jane") -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }


@pytest.fixture(scope="module")
def plugin(control_plane: ControlPlane) -> Iterator[Driver]:
    with Driver(MODULE, variables={"KUBECONFIG": str(control_plane.kubeconfig)}) as driver:
        yield driver


@pytest.fixture(scope="module")
def mutable(control_plane: ControlPlane) -> Iterator[Driver]:
    """A provider for which a Secret can change in place, configured as the SDK does it."""
    config = {"kubeconfig": str(control_plane.kubeconfig), "enableSecretMutable": "true"}
    with Driver(MODULE, config, {"KUBECONFIG": ""}) as driver:
        yield driver


class Made:
    """An object that was made through the plugin."""

    def __init__(self, driver: Driver, urn: str, inputs: dict[str, Any]) -> None:
        self.driver, self.urn = driver, urn
        self.inputs = driver.check(urn, inputs)
        self.id, self.state = driver.create(urn, self.inputs)

    def diff(self, inputs: dict[str, Any]) -> Any:
        news = self.driver.check(self.urn, inputs, self.inputs)
        return self.driver.diff(self.urn, self.state, self.inputs, news)

    def update(self, inputs: dict[str, Any], *, preview: bool = False) -> dict[str, Any]:
        news = self.driver.check(self.urn, inputs, self.inputs)
        state = self.driver.update(
            self.urn, self.id, self.state, self.inputs, news, preview=preview
        )
        if not preview:
            self.inputs, self.state = news, state
        return state

    def refresh(self) -> bool:
        """Read the object; tell whether it is still there."""
        found, state, inputs = self.driver.read(self.urn, self.id, self.state, self.inputs)
        if found:
            self.state, self.inputs = state, inputs
        return bool(found)


def kinds(answer: Any) -> dict[str, str]:
    """Return a DiffResponse's detailed diff by the names of its kinds."""
    kind = provider_pb2.PropertyDiff.Kind
    return {path: kind.Name(one.kind) for path, one in answer.detailedDiff.items()}


# ---- make, read, delete


def test_an_object_is_made_read_and_deleted(plugin: Driver, control_plane: ControlPlane) -> None:
    """provider/util.go (fqObjName): the ID is the namespace and the name."""
    name = fresh()
    made = Made(plugin, CONFIG_MAP, config_map(name, key="value"))
    path = f"/api/v1/namespaces/default/configmaps/{name}"
    assert made.id == f"default/{name}"
    assert control_plane.get(path)["data"] == {"key": "value"}
    assert made.refresh()
    plugin.delete(CONFIG_MAP, made.id, made.state)
    assert not control_plane.exists(path)


def test_an_object_without_a_namespace_has_its_name_as_id(
    plugin: Driver, control_plane: ControlPlane
) -> None:
    """provider/util.go (fqObjName), clients/clients.go (IsNamespacedKind)."""
    name = fresh()
    made = Made(plugin, BINDING, binding(name))
    assert made.id == name
    assert "namespace" not in made.inputs["metadata"]
    assert control_plane.exists(f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}")


def test_check_fills_in_the_namespace_of_the_provider(plugin: Driver) -> None:
    """provider/provider.go (Check): the default namespace goes into the inputs."""
    assert plugin.check(CONFIG_MAP, config_map("one"))["metadata"]["namespace"] == "default"
    assert "namespace" not in plugin.check(BINDING, binding("one"))["metadata"]


def test_an_object_that_exists_is_not_taken_over(
    plugin: Driver, control_plane: ControlPlane
) -> None:
    """CHANGELOG.md (4.29.0, #2926) and await/await.go (Creation): a POST, not an apply."""
    name = fresh()
    Made(plugin, CONFIG_MAP, config_map(name, owner="first"))
    with pytest.raises(grpc.RpcError, match=r"already exists.*upsertExistingObjects"):
        Made(plugin, CONFIG_MAP, config_map(name, owner="second"))
    data = control_plane.get(f"/api/v1/namespaces/default/configmaps/{name}")["data"]
    assert data == {"owner": "first"}


def test_an_object_that_exists_is_taken_over_where_the_provider_says_so(
    plugin: Driver, control_plane: ControlPlane
) -> None:
    """await/await.go (Creation), option upsertExistingObjects."""
    name = fresh()
    Made(plugin, CONFIG_MAP, config_map(name, owner="first"))
    config = {"kubeconfig": str(control_plane.kubeconfig), "upsertExistingObjects": "true"}
    with Driver(MODULE, config) as upserting:
        with pytest.raises(grpc.RpcError, match=r"conflict.*patchForce"):
            Made(upserting, CONFIG_MAP, config_map(name, owner="second"))
        forced = config_map(name, owner="second")
        forced["metadata"]["annotations"] = {"pulumi.com/patchForce": "true"}
        Made(upserting, CONFIG_MAP, forced)
    data = control_plane.get(f"/api/v1/namespaces/default/configmaps/{name}")["data"]
    assert data == {"owner": "second"}


def test_an_object_without_a_name_gets_one_and_keeps_it(plugin: Driver) -> None:
    """metadata/naming.go: the resource's name, a dash and eight hex digits, marked as given."""
    inputs = {"data": {"key": "value"}}
    checked = plugin.check(CONFIG_MAP, inputs)
    name = checked["metadata"]["name"]
    assert name.startswith("thing-")
    assert len(name) == len("thing-") + 8
    assert checked["metadata"]["annotations"]["pulumi.com/autonamed"] == "true"
    assert plugin.check(CONFIG_MAP, inputs)["metadata"]["name"] == name
    assert plugin.check(CONFIG_MAP, inputs, checked)["metadata"]["name"] == name


def test_an_object_that_is_gone_vanishes_on_refresh(
    plugin: Driver, control_plane: ControlPlane
) -> None:
    """provider/provider.go (Read): 404 means deleted."""
    name = fresh()
    made = Made(plugin, CONFIG_MAP, config_map(name, key="value"))
    control_plane.call("DELETE", f"/api/v1/namespaces/default/configmaps/{name}")
    assert not made.refresh()


def test_an_object_that_is_gone_is_deleted_without_complaint(
    plugin: Driver, control_plane: ControlPlane
) -> None:
    """await/await.go (Deletion, nilIfGVKDeleted)."""
    name = fresh()
    made = Made(plugin, CONFIG_MAP, config_map(name, key="value"))
    control_plane.call("DELETE", f"/api/v1/namespaces/default/configmaps/{name}")
    plugin.delete(CONFIG_MAP, made.id, made.state)


def test_a_deletion_waits_until_the_object_is_gone(
    plugin: Driver, control_plane: ControlPlane
) -> None:
    """await/condition/deleted.go: until a GET finds nothing."""
    name = fresh()
    inputs = config_map(name, key="value")
    inputs["metadata"]["finalizers"] = ["example.org/slow"]
    made = Made(plugin, CONFIG_MAP, inputs)
    path = f"/api/v1/namespaces/default/configmaps/{name}"

    def let_go() -> None:
        control_plane.merge(path, {"metadata": {"finalizers": None}})

    timer = threading.Timer(0.6, let_go)
    begin = time.monotonic()
    timer.start()
    plugin.delete(CONFIG_MAP, made.id, made.state)
    timer.join()
    assert time.monotonic() - begin >= 0.6
    assert not control_plane.exists(path)


def test_a_deletion_that_does_not_end_fails_at_the_timeout_and_names_the_finalizer(
    plugin: Driver, control_plane: ControlPlane
) -> None:
    """metadata/overrides.go (TimeoutDuration) and await/condition/deleted.go (finalizers)."""
    name = fresh()
    inputs = config_map(name, key="value")
    inputs["metadata"]["finalizers"] = ["example.org/never"]
    inputs["metadata"]["annotations"] = {"pulumi.com/timeoutSeconds": "1"}
    made = Made(plugin, CONFIG_MAP, inputs)
    with pytest.raises(grpc.RpcError, match=r"example.org/never"):
        plugin.delete(CONFIG_MAP, made.id, made.state)
    path = f"/api/v1/namespaces/default/configmaps/{name}"
    control_plane.merge(path, {"metadata": {"finalizers": None}})


def test_a_missing_namespace_may_come_late(plugin: Driver, control_plane: ControlPlane) -> None:
    """await/await.go (Creation): 404 is tried again, for what is made in the wrong order."""
    namespace = fresh("late")
    inputs = config_map("early", key="value")
    inputs["metadata"]["namespace"] = namespace
    body = {"metadata": {"name": namespace}}
    timer = threading.Timer(0.4, lambda: control_plane.call("POST", "/api/v1/namespaces", body))
    timer.start()
    made = Made(plugin, CONFIG_MAP, inputs)
    timer.join()
    assert made.id == f"{namespace}/early"


def test_calls_overlap(plugin: Driver) -> None:
    """The official plugin serves each call in a goroutine; slow ones hold up nobody."""
    name = fresh()
    inputs = config_map(name, key="value")
    inputs["metadata"]["finalizers"] = ["example.org/never"]
    inputs["metadata"]["annotations"] = {"pulumi.com/timeoutSeconds": "1"}
    blocked = [
        Made(plugin, CONFIG_MAP, {**inputs, "metadata": {**inputs["metadata"], "name": n}})
        for n in (fresh() for _ in range(20))
    ]

    def delete(made: Made) -> str:
        try:
            plugin.delete(CONFIG_MAP, made.id, made.state)
        except grpc.RpcError as error:
            return str(error.details())
        return ""

    begin = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(delete, blocked))
    assert all("finalizers" in answer for answer in answers)
    assert time.monotonic() - begin < 5


def test_an_imported_object_brings_its_own_inputs(
    plugin: Driver, control_plane: ControlPlane
) -> None:
    """provider/provider.go (Read, readFromCluster)."""
    name = fresh()
    body = {"metadata": {"name": name}, "data": {"key": "value"}}
    control_plane.call("POST", "/api/v1/namespaces/default/configmaps", body)
    found, state, inputs = plugin.read(CONFIG_MAP, f"default/{name}", {}, {})
    assert found == f"default/{name}"
    assert inputs["data"] == {"key": "value"}
    assert "uid" not in inputs["metadata"]
    assert "uid" in state["metadata"]


# ---- state and secrets


def test_the_state_is_the_live_object_with_the_inputs_beside_it(plugin: Driver) -> None:
    """provider/provider.go (checkpointObject)."""
    made = Made(plugin, CONFIG_MAP, config_map(fresh(), key="value"))
    assert made.state["metadata"]["uid"]
    assert made.state["__initialApiVersion"] == "v1"
    assert made.state["__fieldManager"].startswith("pulumi-kubernetes-")
    assert made.state["__inputs"] == made.inputs


def test_data_of_a_secret_is_secret_everywhere_though_declared_plain(plugin: Driver) -> None:
    """provider/provider.go (annotateSecrets, normalizeInputs): stringData becomes data."""
    made = Made(plugin, SECRET, token_secret(fresh("bootstrap-token"), forced=False))
    assert isinstance(made.inputs["data"], Secret)
    assert "stringData" not in made.inputs
    assert isinstance(made.state["data"], Secret)
    assert isinstance(made.state["__inputs"]["data"], Secret)
    made.refresh()
    assert isinstance(made.inputs["data"], Secret)
    assert isinstance(made.state["data"], Secret)
    assert reveal(made.state["data"])["token-id"] == encoded("abcdef")


def test_the_token_is_not_told_in_errors(plugin: Driver) -> None:
    """An error may name the object and the fields, never a value of a Secret."""
    inputs = token_secret(fresh("bootstrap-token"), {"token-secret": "hunter2hunter2hu"})
    inputs["metadata"]["labels"] = {"not a label": "x"}
    with pytest.raises(grpc.RpcError) as caught:
        Made(plugin, SECRET, inputs)
    assert "hunter2" not in str(caught.value)
    assert encoded("hunter2hunter2hu") not in str(caught.value)


def test_a_secret_in_any_other_object_stays_secret(plugin: Driver) -> None:
    """provider/provider.go (annotateSecrets): by key; a list with one is one."""
    inputs = config_map(fresh(), open="seen")
    inputs["data"]["hidden"] = Secret("unseen")
    made = Made(plugin, CONFIG_MAP, inputs)
    assert made.state["data"]["hidden"] == Secret("unseen")
    assert made.state["data"]["open"] == "seen"
    assert not contains_secret(made.state["metadata"])


# ---- diff


def test_nothing_changed_is_no_diff(plugin: Driver) -> None:
    """provider/provider.go (Diff): what the server filled in is pruned."""
    for where, inputs in (
        (CONFIG_MAP, config_map(fresh(), key="value")),
        (BINDING, binding(fresh())),
        (SECRET, token_secret(fresh("bootstrap-token"))),
        (SERVICE, {"metadata": {"name": fresh("svc")}, "spec": {"ports": [{"port": 80}]}}),
    ):
        made = Made(plugin, where, inputs)
        assert made.diff(inputs).changes == DIFF_NONE
        assert made.refresh()
        assert made.diff(inputs).changes == DIFF_NONE


def test_a_changed_role_of_a_binding_replaces_it_and_changed_subjects_do_not(
    plugin: Driver,
) -> None:
    """provider/diff.go (forceNew: roleRef); delete first, because the name is the user's."""
    name = fresh()
    made = Made(plugin, BINDING, binding(name))
    role = made.diff(binding(name, role="edit"))
    assert kinds(role) == {"roleRef.name": "UPDATE_REPLACE"}
    assert role.deleteBeforeReplace
    subject = made.diff(binding(name, user="joe"))
    assert kinds(subject) == {"subjects[0].name": "UPDATE"}
    assert list(subject.replaces) == []


def test_a_changed_name_replaces_and_the_old_one_goes_last(plugin: Driver) -> None:
    """provider/diff.go (metadataForceNewProperties): create first, they can stand side by side."""
    made = Made(plugin, CONFIG_MAP, config_map(fresh(), key="value"))
    answer = made.diff(config_map(fresh(), key="value"))
    assert kinds(answer) == {"metadata.name": "UPDATE_REPLACE"}
    assert not answer.deleteBeforeReplace


def test_a_changed_namespace_replaces(plugin: Driver) -> None:
    """provider/diff.go (metadataForceNewProperties)."""
    inputs = config_map(fresh(), key="value")
    made = Made(plugin, CONFIG_MAP, inputs)
    moved = {**inputs, "metadata": {**inputs["metadata"], "namespace": "kube-system"}}
    assert kinds(made.diff(moved)) == {"metadata.namespace": "UPDATE_REPLACE"}


def test_changed_data_of_a_secret_replaces_it_unless_the_provider_has_it_mutable(
    plugin: Driver, mutable: Driver
) -> None:
    """provider/diff.go (forceNewProperties), option enableSecretMutable, default off."""
    for driver, kind, first in ((plugin, "UPDATE_REPLACE", True), (mutable, "UPDATE", False)):
        name = fresh("bootstrap-token")
        made = Made(driver, SECRET, token_secret(name))
        answer = made.diff(token_secret(name, {"token-id": "fedcba"}))
        assert kinds(answer) == {"data.token-id": kind}
        assert answer.deleteBeforeReplace is first


def test_added_and_removed_fields_are_told_apart(mutable: Driver) -> None:
    """provider/provider.go (convertPatchToDiff): removed ones are compared with the inputs."""
    name = fresh("bootstrap-token")
    made = Made(mutable, SECRET, token_secret(name, {"description": "mine"}))
    inputs = token_secret(name, {"auth-extra-groups": "system:bootstrappers:x"})
    answer = made.diff(inputs)
    assert kinds(answer) == {"data.auth-extra-groups": "ADD", "data.description": "DELETE"}
    assert answer.detailedDiff["data.description"].inputDiff


def test_a_key_with_dots_is_quoted_in_the_diff(plugin: Driver) -> None:
    """provider/provider.go (addPatchValueToDiff)."""
    name = fresh()
    made = Made(plugin, CONFIG_MAP, config_map(name, **{"a.conf": "1", "b-c": "1"}))
    # ConfigMap data replaces as a Secret's does.
    answer = made.diff(config_map(name, **{"a.conf": "2", "b-c": "2"}))
    assert kinds(answer) == {'data["a.conf"]': "UPDATE_REPLACE", "data.b-c": "UPDATE_REPLACE"}


def test_an_unknown_value_is_a_change_in_a_preview(plugin: Driver) -> None:
    """provider/provider.go (addPatchValueToDiff, computed values)."""
    name = fresh()
    made = Made(plugin, BINDING, binding(name))
    inputs = binding(name)
    inputs["subjects"][0]["name"] = UNKNOWN
    assert kinds(made.diff(inputs)) == {"subjects[0].name": "UPDATE"}


def test_drift_shows_in_declared_fields_only(plugin: Driver, control_plane: ControlPlane) -> None:
    """provider/provider.go (Read, pruneLiveState) and provider/util.go (pruneMap)."""
    name = fresh()
    inputs = config_map(name, mine="as declared")
    made = Made(plugin, CONFIG_MAP, inputs)
    path = f"/api/v1/namespaces/default/configmaps/{name}"
    control_plane.merge(path, {"data": {"theirs": "x"}, "metadata": {"labels": {"a": "b"}}})
    made.refresh()
    assert made.diff(inputs).changes == DIFF_NONE
    control_plane.merge(path, {"data": {"mine": "changed"}})
    assert made.diff(inputs).changes == DIFF_NONE  # not before a refresh
    made.refresh()
    assert set(kinds(made.diff(inputs))) == {"data.mine"}
    control_plane.merge(path, {"data": {"mine": None}})
    made.refresh()
    assert kinds(made.diff(inputs)) == {"data.mine": "ADD_REPLACE"}


# ---- updates and field managers


def managers_of(obj: dict[str, Any]) -> set[tuple[str, str]]:
    return {(one["manager"], one["operation"]) for one in obj["metadata"]["managedFields"]}


def test_the_first_update_hands_the_fields_to_the_resource_s_own_manager(
    plugin: Driver, control_plane: ControlPlane
) -> None:
    """await/await.go (Creation, fixCSAFieldManagers); the name is random and kept in the state."""
    name = fresh()
    made = Made(plugin, BINDING, binding(name))
    path = f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}"
    assert managers_of(control_plane.get(path)) == {("pulumi-kubernetes", "Update")}
    manager = made.state["__fieldManager"]
    made.update(binding(name, user="joe"))
    live = control_plane.get(path)
    assert managers_of(live) == {(manager, "Apply")}
    assert live["subjects"][0]["name"] == "joe"
    assert made.state["__fieldManager"] == manager


def test_a_removed_field_is_removed_from_the_object(
    mutable: Driver, control_plane: ControlPlane
) -> None:
    """Server-side apply removes what its manager owned and declares no more."""
    name = fresh("bootstrap-token")
    made = Made(mutable, SECRET, token_secret(name, {"description": "mine"}))
    made.update(token_secret(name))
    data = control_plane.get(f"/api/v1/namespaces/kube-system/secrets/{name}")["data"]
    assert set(data) == {"token-id", "usage-bootstrap-authentication"}


def test_a_field_of_another_manager_is_a_conflict_unless_forced(
    mutable: Driver, control_plane: ControlPlane
) -> None:
    """await/await.go (handleSSAErr, patchForce); the object's present state is recorded."""
    name = fresh("bootstrap-token")
    path = f"/api/v1/namespaces/kube-system/secrets/{name}"
    made = Made(mutable, SECRET, token_secret(name, forced=False))
    opened = {"data": {"usage-bootstrap-authentication": encoded("true")}}
    control_plane.merge(path, opened, "kube-nodes")
    with pytest.raises(PartialError, match=r"conflict.*patchForce") as caught:
        made.update(token_secret(name, {"description": "new"}, forced=False))
    assert caught.value.id == f"kube-system/{name}"
    data = reveal(caught.value.state["data"])
    assert data["usage-bootstrap-authentication"] == encoded("true")
    made.update(token_secret(name, {"description": "new"}))
    closed = control_plane.get(path)["data"]
    assert closed["usage-bootstrap-authentication"] == encoded("false")


def test_an_object_that_is_gone_cannot_be_updated(
    plugin: Driver, control_plane: ControlPlane
) -> None:
    """await/await.go (Update): it is read first; refresh is the way out."""
    name = fresh()
    made = Made(plugin, BINDING, binding(name))
    control_plane.call("DELETE", f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}")
    with pytest.raises(grpc.RpcError, match=r"not updated.*not found"):
        made.update(binding(name, user="joe"))


# ---- the token of a node


def test_a_token_that_another_manager_opened_and_closed_shows_no_drift(
    plugin: Driver, control_plane: ControlPlane
) -> None:
    """The design of the token; provider/provider.go (pruneLiveState)."""
    name = fresh("bootstrap-token")
    path = f"/api/v1/namespaces/kube-system/secrets/{name}"
    made = Made(plugin, SECRET, token_secret(name))
    before = managers_of(control_plane.get(path))
    opened = {
        "token-secret": encoded("0123456789abcdef"),
        "expiration": encoded("2030-01-01T00:00:00Z"),
        "auth-extra-groups": encoded("system:bootstrappers:kube-nodes"),
        "usage-bootstrap-authentication": encoded("true"),
    }
    control_plane.merge(path, {"data": opened}, "kube-nodes")
    closed = dict.fromkeys(opened) | {"usage-bootstrap-authentication": encoded("false")}
    control_plane.merge(path, {"data": closed}, "kube-nodes")
    assert managers_of(control_plane.get(path)) != before
    assert made.diff(token_secret(name)).changes == DIFF_NONE
    assert made.refresh()
    assert made.diff(token_secret(name)).changes == DIFF_NONE


@pytest.mark.parametrize("verb", ["merge", "apply"])
def test_a_token_left_open_shows_after_a_refresh_and_an_update_closes_it(
    mutable: Driver, control_plane: ControlPlane, verb: str
) -> None:
    """The design of the token; what the other manager added is left to that manager."""
    name = fresh("bootstrap-token")
    path = f"/api/v1/namespaces/kube-system/secrets/{name}"
    made = Made(mutable, SECRET, token_secret(name))
    data = {
        "token-secret": encoded("0123456789abcdef"),
        "usage-bootstrap-authentication": encoded("true"),
    }
    head = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    change = {"data": data} if verb == "merge" else {**head, "data": data}
    getattr(control_plane, verb)(path, change, "kube-nodes")
    made.refresh()
    assert kinds(made.diff(token_secret(name))) == {"data.usage-bootstrap-authentication": "UPDATE"}
    made.update(token_secret(name), preview=True)
    live = control_plane.get(path)["data"]
    assert live["usage-bootstrap-authentication"] == encoded("true")
    made.update(token_secret(name))
    live = control_plane.get(path)["data"]
    assert live["usage-bootstrap-authentication"] == encoded("false")
    assert live["token-secret"] == encoded("0123456789abcdef")
    assert made.diff(token_secret(name)).changes == DIFF_NONE


# ---- previews


def test_a_preview_asks_the_server_and_changes_nothing(
    plugin: Driver, control_plane: ControlPlane
) -> None:
    """await/await.go: dry-run on create and update; no status, so that nothing reads it."""
    name = fresh()
    path = f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}"
    checked = plugin.check(BINDING, binding(name))
    new_id, state = plugin.create(BINDING, checked, preview=True)
    assert new_id == ""
    assert state["metadata"]["creationTimestamp"]
    assert not control_plane.exists(path)
    made = Made(plugin, BINDING, binding(name))
    previewed = made.update(binding(name, user="joe"), preview=True)
    assert previewed["subjects"][0]["name"] == "joe"
    assert control_plane.get(path)["subjects"][0]["name"] == "jane"


def test_a_preview_finds_what_the_server_would_refuse(plugin: Driver) -> None:
    """await/await.go: an invalid object fails the preview already."""
    name = fresh()
    inputs = binding(name)
    inputs["roleRef"]["kind"] = "Nonsense"
    checked = plugin.check(BINDING, inputs)
    with pytest.raises(grpc.RpcError, match="Nonsense"):
        plugin.create(BINDING, checked, preview=True)


def test_a_preview_goes_on_where_only_the_order_or_a_replacement_stands_against_it(
    plugin: Driver,
) -> None:
    """provider/provider.go (Create): unknowns, a missing namespace, an existing object."""
    inputs = config_map("x", key="value")
    inputs["metadata"]["namespace"] = "not-there-yet"
    taken = config_map(fresh(), key="value")
    Made(plugin, CONFIG_MAP, taken)
    unknown = config_map(fresh(), key="value")
    unknown["data"]["key"] = UNKNOWN
    for one in (inputs, taken, unknown):
        checked = plugin.check(CONFIG_MAP, one)
        assert plugin.create(CONFIG_MAP, checked, preview=True) == ("", checked)


# ---- waiting


def test_a_daemon_set_is_awaited_unless_an_annotation_says_else(
    plugin: Driver, control_plane: ControlPlane
) -> None:
    """await/daemonset.go; metadata/overrides.go (skipAwait, timeoutSeconds)."""
    labels = {"app": fresh("ds")}
    inputs: dict[str, Any] = {
        "metadata": {"name": labels["app"]},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "one", "image": "example.org/one:1"}]},
            },
        },
    }
    inputs["metadata"]["annotations"] = {"pulumi.com/timeoutSeconds": "1"}
    path = f"/apis/apps/v1/namespaces/default/daemonsets/{labels['app']}"
    with pytest.raises(PartialError, match="not ready: its controller has not seen") as caught:
        Made(plugin, DAEMON_SET, inputs)
    assert caught.value.id == f"default/{labels['app']}"
    plugin.delete(DAEMON_SET, caught.value.id, caught.value.state)
    inputs["metadata"]["annotations"] = {"pulumi.com/skipAwait": "true"}
    made = Made(plugin, DAEMON_SET, inputs)
    assert made.refresh()
    plugin.delete(DAEMON_SET, made.id, made.state)
    inputs["metadata"]["annotations"] = {"pulumi.com/timeoutSeconds": "20"}

    def roll_out() -> None:
        status = {"observedGeneration": 1, "desiredNumberScheduled": 0}
        body = {"status": {**status, "currentNumberScheduled": 0, "numberMisscheduled": 0}}
        kind = "application/merge-patch+json"
        assert control_plane.call("PATCH", f"{path}/status", body, kind).status == 200

    timer = threading.Timer(0.5, roll_out)
    timer.start()
    made = Made(plugin, DAEMON_SET, inputs)
    timer.join()
    assert made.refresh()
    assert made.diff(inputs).changes == DIFF_NONE


def test_a_service_waits_for_its_endpoints(plugin: Driver, control_plane: ControlPlane) -> None:
    """await/service.go; without a selector there is nothing to wait for."""
    name = fresh("svc")
    inputs: dict[str, Any] = {
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}]},
    }
    body = {"metadata": {"name": name}, "subsets": []}
    path = "/api/v1/namespaces/default/endpoints"
    timer = threading.Timer(0.5, lambda: control_plane.call("POST", path, body))
    begin = time.monotonic()
    timer.start()
    made = Made(plugin, SERVICE, inputs)
    timer.join()
    assert time.monotonic() - begin >= 0.5
    assert made.diff(inputs).changes == DIFF_NONE


# ---- the provider


def test_inline_keys_are_left_in_no_file(control_plane: ControlPlane, tmp_path: Path) -> None:
    """Better than the official plugin, which leaves a copy of the kubeconfig in TMPDIR."""
    certificate, key = make_client_certificate(control_plane)
    content = make_kubeconfig(control_plane)
    content["users"][0]["user"] = {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }
    config = {"kubeconfig": Secret(yaml.safe_dump(content)), "namespace": "kube-system"}
    with Driver(MODULE, config, {"TMPDIR": str(tmp_path)}) as driver:
        made = Made(driver, CONFIG_MAP, config_map(fresh(), key="value"))
        assert made.id.startswith("kube-system/")
        assert list(tmp_path.iterdir()) == []


def test_relative_paths_of_a_kubeconfig_start_from_its_folder(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    """clientcmd resolves them so; the plugin's own folder is another one."""
    content = make_kubeconfig(control_plane)
    content["clusters"][0]["cluster"]["certificate-authority"] = "ca.crt"
    (control_plane.directory / "relative").write_text(yaml.safe_dump(content))
    config = {"kubeconfig": str(control_plane.directory / "relative")}
    with Driver(MODULE, config, cwd=tmp_path) as driver:
        Made(driver, CONFIG_MAP, config_map(fresh(), key="value"))


def test_context_and_cluster_choose_within_the_kubeconfig(control_plane: ControlPlane) -> None:
    """provider/provider.go (Configure, overrides)."""
    content = make_kubeconfig(control_plane, "https://127.0.0.1:1")
    good = make_kubeconfig(control_plane)["clusters"][0]["cluster"]
    content["clusters"].append({"name": "good", "cluster": good})
    context = {"cluster": "good", "user": "admin", "namespace": "kube-public"}
    content["contexts"].append({"name": "other", "context": context})
    text = yaml.safe_dump(content)
    with Driver(MODULE, {"kubeconfig": text, "context": "other"}) as driver:
        made = Made(driver, CONFIG_MAP, config_map(fresh(), key="value"))
        assert made.id.startswith("kube-public/")
    with Driver(MODULE, {"kubeconfig": text, "cluster": "good"}) as driver:
        Made(driver, CONFIG_MAP, config_map(fresh(), key="value"))


def test_a_changed_server_replaces_everything_unless_the_cluster_is_identified(
    plugin: Driver, control_plane: ControlPlane
) -> None:
    """provider/provider.go (DiffConfig)."""
    here = yaml.safe_dump(make_kubeconfig(control_plane))
    there = yaml.safe_dump(make_kubeconfig(control_plane, "https://127.0.0.1:1"))
    answer = plugin.diff_config({"kubeconfig": here}, {"kubeconfig": there})
    assert list(answer.replaces) == ["kubeconfig"]
    old = {"kubeconfig": here, "clusterIdentifier": "a"}
    answer = plugin.diff_config(old, {"kubeconfig": there, "clusterIdentifier": "a"})
    assert answer.changes == DIFF_SOME
    assert list(answer.replaces) == []
    answer = plugin.diff_config(old, {"kubeconfig": here, "clusterIdentifier": "b"})
    assert list(answer.replaces) == ["clusterIdentifier"]
    answer = plugin.diff_config({"kubeconfig": here}, old)
    assert answer.changes == DIFF_SOME
    assert list(answer.replaces) == []
    assert plugin.diff_config(old, old).changes == DIFF_NONE


def test_the_same_cluster_in_another_file_replaces_nothing(
    plugin: Driver, control_plane: ControlPlane, tmp_path: Path
) -> None:
    """provider/util.go (parseKubeconfigString): a path stands for what is in it."""
    other = tmp_path / "kubeconfig"
    other.write_text(control_plane.kubeconfig.read_text())
    answer = plugin.diff_config(
        {"kubeconfig": str(control_plane.kubeconfig)}, {"kubeconfig": str(other)}
    )
    assert answer.changes == DIFF_SOME
    assert list(answer.replaces) == []


@pytest.fixture(params=["refused", "silent", "no kubeconfig", "not our CA"])
def unreachable(
    request: pytest.FixtureRequest, control_plane: ControlPlane, tmp_path: Path
) -> Iterator[Driver]:
    """A provider whose cluster cannot be reached, each in its own way."""
    variables = {"KUBECONFIG": str(tmp_path / "nowhere"), "HOME": str(tmp_path)}
    if request.param == "no kubeconfig":
        with Driver(MODULE, {}, variables) as driver:
            yield driver
        return
    if request.param == "not our CA":
        content = make_kubeconfig(control_plane)
        content["clusters"][0]["cluster"].pop("certificate-authority")
        with Driver(MODULE, {"kubeconfig": yaml.safe_dump(content)}, variables) as driver:
            yield driver
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if request.param == "refused":
            listener.close()
        # A listener that never answers stands for a firewall that drops packets.
        text = yaml.safe_dump(make_kubeconfig(control_plane, f"https://127.0.0.1:{port}"))
        with Driver(MODULE, {"kubeconfig": text}, variables) as driver:
            yield driver


def test_without_a_cluster_previews_go_on_and_all_else_fails_and_keeps_the_state(
    unreachable: Driver, plugin: Driver
) -> None:
    """provider/provider.go (clusterUnreachable in Create, Read, Update and Delete)."""
    name = fresh()
    made = Made(plugin, BINDING, binding(name))
    begin = time.monotonic()
    checked = unreachable.check(BINDING, binding(fresh()))
    assert unreachable.create(BINDING, checked, preview=True) == ("", checked)
    news = unreachable.check(BINDING, binding(name, user="joe"), made.inputs)
    assert kinds(unreachable.diff(BINDING, made.state, made.inputs, news))
    where = (BINDING, made.id, made.state)
    assert unreachable.update(*where, made.inputs, news, preview=True) == news
    assert time.monotonic() - begin < 10
    assert len(unreachable.messages) == 1
    assert "unreachable" in unreachable.messages[0]
    for call in (
        lambda: unreachable.create(BINDING, checked),
        lambda: unreachable.update(*where, made.inputs, news),
        lambda: unreachable.read(*where, made.inputs),
        lambda: unreachable.delete(*where),
    ):
        with pytest.raises(grpc.RpcError, match="cluster is unreachable"):
            call()


def test_what_the_stand_in_does_not_have_is_refused_by_name(
    plugin: Driver, control_plane: ControlPlane
) -> None:
    """Silence would let a stack pass here that does something else with the official plugin."""
    with pytest.raises(grpc.RpcError, match="no Patch or List resources"):
        plugin.check(
            urn("kubernetes:core/v1:NodePatch"),
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}},
        )
    with pytest.raises(grpc.RpcError, match="not known to the lab's stand-in"):
        plugin.check(urn("kubernetes:helm.sh/v4:Chart"), {})
    with pytest.raises(grpc.RpcError, match="enableServerSideApply"):
        Driver(MODULE, {"enableServerSideApply": "false"}).__enter__()


def test_the_plugin_starts_in_a_second_without_the_kubernetes_package(
    control_plane: ControlPlane,
) -> None:
    """The package takes 0.3 s to import; a run that changes nothing does without it."""
    begin = time.monotonic()
    with Driver(MODULE, variables={"KUBECONFIG": str(control_plane.kubeconfig)}) as driver:
        assert time.monotonic() - begin < 3
        driver.check(BINDING, binding("x"))
        maps = Path(f"/proc/{driver.process.pid}/maps").read_text()
        assert "pydantic_core" not in maps
