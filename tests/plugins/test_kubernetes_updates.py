"""Updates by the kubernetes stand-in, their previews, and a node's token.

Sources are files of pulumi/pulumi-kubernetes (provider/pkg/…, as of 4.32 to 4.34) unless named.
"""

from __future__ import annotations

import grpc
import pytest

from lab.plugins.values import UNKNOWN, reveal
from tests.plugins.control_plane import ControlPlane
from tests.plugins.driver import Driver, PartialError
from tests.plugins.kubernetes_objects import (
    BINDING,
    CONFIG_MAP,
    DIFF_NONE,
    SECRET,
    Made,
    binding,
    config_map,
    encoded,
    fresh,
    kinds,
    managers_of,
    token_secret,
)


def test_the_first_update_hands_the_fields_to_the_resource_s_own_manager(
    kube: Driver, control_plane: ControlPlane
) -> None:
    """await/await.go (Creation, fixCSAFieldManagers); the name is random and kept in the state."""
    name = fresh()
    made = Made(kube, BINDING, binding(name))
    path = f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}"
    assert managers_of(control_plane.get(path)) == {("pulumi-kubernetes", "Update")}
    manager = made.state["__fieldManager"]
    made.update(binding(name, user="joe"))
    live = control_plane.get(path)
    assert managers_of(live) == {(manager, "Apply")}
    assert live["subjects"][0]["name"] == "joe"
    assert made.state["__fieldManager"] == manager


def test_a_removed_field_is_removed_from_the_object(
    mutable_kube: Driver, control_plane: ControlPlane
) -> None:
    """Server-side apply removes what its manager owned and declares no more."""
    name = fresh("bootstrap-token")
    made = Made(mutable_kube, SECRET, token_secret(name, {"description": "mine"}))
    made.update(token_secret(name))
    data = control_plane.get(f"/api/v1/namespaces/kube-system/secrets/{name}")["data"]
    assert set(data) == {"token-id", "usage-bootstrap-authentication"}


def test_a_field_of_another_manager_is_a_conflict_unless_forced(
    mutable_kube: Driver, control_plane: ControlPlane
) -> None:
    """await/await.go (handleSSAErr, patchForce); the object's present state is recorded."""
    name = fresh("bootstrap-token")
    path = f"/api/v1/namespaces/kube-system/secrets/{name}"
    made = Made(mutable_kube, SECRET, token_secret(name, forced=False))
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
    kube: Driver, control_plane: ControlPlane
) -> None:
    """await/await.go (Update): it is read first; refresh is the way out."""
    name = fresh()
    made = Made(kube, BINDING, binding(name))
    control_plane.call("DELETE", f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}")
    with pytest.raises(grpc.RpcError, match=r"not updated.*not found"):
        made.update(binding(name, user="joe"))


def test_a_token_that_another_manager_opened_and_closed_shows_no_drift(
    kube: Driver, control_plane: ControlPlane
) -> None:
    """The design of the token; provider/provider.go (pruneLiveState)."""
    name = fresh("bootstrap-token")
    path = f"/api/v1/namespaces/kube-system/secrets/{name}"
    made = Made(kube, SECRET, token_secret(name))
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
    mutable_kube: Driver, control_plane: ControlPlane, verb: str
) -> None:
    """The design of the token; what the other manager added is left to that manager."""
    name = fresh("bootstrap-token")
    path = f"/api/v1/namespaces/kube-system/secrets/{name}"
    made = Made(mutable_kube, SECRET, token_secret(name))
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


def test_a_preview_asks_the_server_and_changes_nothing(
    kube: Driver, control_plane: ControlPlane
) -> None:
    """await/await.go: dry-run on create and update; no status, so that nothing reads it."""
    name = fresh()
    path = f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}"
    checked = kube.check(BINDING, binding(name))
    new_id, state = kube.create(BINDING, checked, preview=True)
    assert new_id == ""
    assert state["metadata"]["creationTimestamp"]
    assert not control_plane.exists(path)
    made = Made(kube, BINDING, binding(name))
    previewed = made.update(binding(name, user="joe"), preview=True)
    assert previewed["subjects"][0]["name"] == "joe"
    assert control_plane.get(path)["subjects"][0]["name"] == "jane"


def test_a_preview_finds_what_the_server_would_refuse(kube: Driver) -> None:
    """await/await.go: an invalid object fails the preview already."""
    name = fresh()
    inputs = binding(name)
    inputs["roleRef"]["kind"] = "Nonsense"
    checked = kube.check(BINDING, inputs)
    with pytest.raises(grpc.RpcError, match="Nonsense"):
        kube.create(BINDING, checked, preview=True)


def test_a_preview_goes_on_where_only_the_order_or_a_replacement_stands_against_it(
    kube: Driver,
) -> None:
    """provider/provider.go (Create): unknowns, a missing namespace, an existing object."""
    inputs = config_map("x", key="value")
    inputs["metadata"]["namespace"] = "not-there-yet"
    taken = config_map(fresh(), key="value")
    Made(kube, CONFIG_MAP, taken)
    unknown = config_map(fresh(), key="value")
    unknown["data"]["key"] = UNKNOWN
    for one in (inputs, taken, unknown):
        checked = kube.check(CONFIG_MAP, one)
        assert kube.create(CONFIG_MAP, checked, preview=True) == ("", checked)
