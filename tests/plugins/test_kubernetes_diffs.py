"""What the kubernetes stand-in records, and what it takes for a change.

Sources are files of pulumi/pulumi-kubernetes (provider/pkg/…, as of 4.32 to 4.34) unless named.
"""

from __future__ import annotations

import grpc
import pytest

from lab.plugins.values import UNKNOWN, Secret, contains_secret, reveal
from tests.plugins.control_plane import ControlPlane
from tests.plugins.driver import Driver
from tests.plugins.kubernetes_objects import (
    BINDING,
    CONFIG_MAP,
    DIFF_NONE,
    SECRET,
    SERVICE,
    Made,
    binding,
    config_map,
    encoded,
    fresh,
    kinds,
    token_secret,
)


def test_the_state_is_the_live_object_with_the_inputs_beside_it(kube: Driver) -> None:
    """provider/provider.go (checkpointObject)."""
    made = Made(kube, CONFIG_MAP, config_map(fresh(), key="value"))
    assert made.state["metadata"]["uid"]
    assert made.state["__initialApiVersion"] == "v1"
    assert made.state["__fieldManager"].startswith("pulumi-kubernetes-")
    assert made.state["__inputs"] == made.inputs


def test_data_of_a_secret_is_secret_everywhere_though_declared_plain(kube: Driver) -> None:
    """provider/provider.go (annotateSecrets, normalizeInputs): stringData becomes data."""
    made = Made(kube, SECRET, token_secret(fresh("bootstrap-token"), forced=False))
    assert isinstance(made.inputs["data"], Secret)
    assert "stringData" not in made.inputs
    assert isinstance(made.state["data"], Secret)
    assert isinstance(made.state["__inputs"]["data"], Secret)
    made.refresh()
    assert isinstance(made.inputs["data"], Secret)
    assert isinstance(made.state["data"], Secret)
    assert reveal(made.state["data"])["token-id"] == encoded("abcdef")


def test_the_token_is_not_told_in_errors(kube: Driver) -> None:
    """An error may name the object and the fields, never a value of a Secret."""
    inputs = token_secret(fresh("bootstrap-token"), {"token-secret": "hunter2hunter2hu"})
    inputs["metadata"]["labels"] = {"not a label": "x"}
    with pytest.raises(grpc.RpcError) as caught:
        Made(kube, SECRET, inputs)
    assert "hunter2" not in str(caught.value)
    assert encoded("hunter2hunter2hu") not in str(caught.value)


def test_a_secret_in_any_other_object_stays_secret(kube: Driver) -> None:
    """provider/provider.go (annotateSecrets): by key; a list with one is one."""
    inputs = config_map(fresh(), open="seen")
    inputs["data"]["hidden"] = Secret("unseen")
    made = Made(kube, CONFIG_MAP, inputs)
    assert made.state["data"]["hidden"] == Secret("unseen")
    assert made.state["data"]["open"] == "seen"
    assert not contains_secret(made.state["metadata"])


def test_nothing_changed_is_no_diff(kube: Driver) -> None:
    """provider/provider.go (Diff): what the server filled in is pruned."""
    for where, inputs in (
        (CONFIG_MAP, config_map(fresh(), key="value")),
        (BINDING, binding(fresh())),
        (SECRET, token_secret(fresh("bootstrap-token"))),
        (SERVICE, {"metadata": {"name": fresh("svc")}, "spec": {"ports": [{"port": 80}]}}),
    ):
        made = Made(kube, where, inputs)
        assert made.diff(inputs).changes == DIFF_NONE
        assert made.refresh()
        assert made.diff(inputs).changes == DIFF_NONE


def test_a_changed_role_of_a_binding_replaces_it_and_changed_subjects_do_not(
    kube: Driver,
) -> None:
    """provider/diff.go (forceNew: roleRef); delete first, because the name is the user's."""
    name = fresh()
    made = Made(kube, BINDING, binding(name))
    role = made.diff(binding(name, role="edit"))
    assert kinds(role) == {"roleRef.name": "UPDATE_REPLACE"}
    assert role.deleteBeforeReplace
    subject = made.diff(binding(name, user="joe"))
    assert kinds(subject) == {"subjects[0].name": "UPDATE"}
    assert list(subject.replaces) == []


def test_a_changed_name_replaces_and_the_old_one_goes_last(kube: Driver) -> None:
    """provider/diff.go (metadataForceNewProperties): create first, they can stand side by side."""
    made = Made(kube, CONFIG_MAP, config_map(fresh(), key="value"))
    answer = made.diff(config_map(fresh(), key="value"))
    assert kinds(answer) == {"metadata.name": "UPDATE_REPLACE"}
    assert not answer.deleteBeforeReplace


def test_a_changed_namespace_replaces(kube: Driver) -> None:
    """provider/diff.go (metadataForceNewProperties)."""
    inputs = config_map(fresh(), key="value")
    made = Made(kube, CONFIG_MAP, inputs)
    moved = {**inputs, "metadata": {**inputs["metadata"], "namespace": "kube-system"}}
    assert kinds(made.diff(moved)) == {"metadata.namespace": "UPDATE_REPLACE"}


def test_changed_data_of_a_secret_replaces_it_unless_the_provider_has_it_mutable(
    kube: Driver, mutable_kube: Driver
) -> None:
    """provider/diff.go (forceNewProperties), option enableSecretMutable, default off."""
    for driver, kind, first in ((kube, "UPDATE_REPLACE", True), (mutable_kube, "UPDATE", False)):
        name = fresh("bootstrap-token")
        made = Made(driver, SECRET, token_secret(name))
        answer = made.diff(token_secret(name, {"token-id": "fedcba"}))
        assert kinds(answer) == {"data.token-id": kind}
        assert answer.deleteBeforeReplace is first


def test_added_and_removed_fields_are_told_apart(mutable_kube: Driver) -> None:
    """provider/provider.go (convertPatchToDiff): removed ones are compared with the inputs."""
    name = fresh("bootstrap-token")
    made = Made(mutable_kube, SECRET, token_secret(name, {"description": "mine"}))
    inputs = token_secret(name, {"auth-extra-groups": "system:bootstrappers:x"})
    answer = made.diff(inputs)
    assert kinds(answer) == {"data.auth-extra-groups": "ADD", "data.description": "DELETE"}
    assert answer.detailedDiff["data.description"].inputDiff


def test_a_key_with_dots_is_quoted_in_the_diff(kube: Driver) -> None:
    """provider/provider.go (addPatchValueToDiff)."""
    name = fresh()
    made = Made(kube, CONFIG_MAP, config_map(name, **{"a.conf": "1", "b-c": "1"}))
    # ConfigMap data replaces as a Secret's does.
    answer = made.diff(config_map(name, **{"a.conf": "2", "b-c": "2"}))
    assert kinds(answer) == {'data["a.conf"]': "UPDATE_REPLACE", "data.b-c": "UPDATE_REPLACE"}


def test_an_unknown_value_is_a_change_in_a_preview(kube: Driver) -> None:
    """provider/provider.go (addPatchValueToDiff, computed values)."""
    name = fresh()
    made = Made(kube, BINDING, binding(name))
    inputs = binding(name)
    inputs["subjects"][0]["name"] = UNKNOWN
    assert kinds(made.diff(inputs)) == {"subjects[0].name": "UPDATE"}


def test_drift_shows_in_declared_fields_only(kube: Driver, control_plane: ControlPlane) -> None:
    """provider/provider.go (Read, pruneLiveState) and provider/util.go (pruneMap)."""
    name = fresh()
    inputs = config_map(name, mine="as declared")
    made = Made(kube, CONFIG_MAP, inputs)
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
