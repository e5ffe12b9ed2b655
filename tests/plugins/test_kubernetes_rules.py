"""The pure rules of the kubernetes stand-in.

Sources are files of pulumi/pulumi-kubernetes (provider/pkg/…, as of 4.32 to 4.34) unless named.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.plugins.kubernetes.awaiting import daemon_set_unreadiness, deployment_unreadiness
from lab.plugins.kubernetes.checkpoints import mark_secrets
from lab.plugins.kubernetes.differences import compare_objects, force_new, is_ignored
from lab.plugins.kubernetes.managers import hand_over
from lab.plugins.kubernetes.objects import kind_of_token, normalise, prune, unique_name
from lab.plugins.values import UNKNOWN, Secret, reveal

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)
OBJECT = st.dictionaries(st.text(max_size=3), JSON, max_size=4)


def entry(manager: str, operation: str, *fields: str, **more: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"f:data": {f"f:{field}": {} for field in fields}}
    return {"manager": manager, "operation": operation, "fieldsV1": spec, **more}


def test_fields_of_the_post_become_those_of_the_resource_s_manager() -> None:
    """await/await.go (fixCSAFieldManagers)."""
    theirs = entry("kube-nodes", "Update", "b")
    handed = hand_over([entry("pulumi-kubernetes", "Update", "a"), theirs], "own")
    assert handed == [theirs, entry("own", "Apply", "a")]


def test_fields_are_added_to_those_that_the_manager_has() -> None:
    """fluxcd/pkg ssa/patch.go (PatchReplaceFieldsManagers)."""
    entries = [entry("kubectl", "Update", "b"), entry("own", "Apply", "a")]
    assert hand_over(entries, "own") == [entry("own", "Apply", "a", "b")]


def test_a_manager_is_taken_over_by_the_beginning_of_its_name() -> None:
    """fluxcd/pkg ssa/patch.go; so kubectl-patch too, and no name of ours may begin so."""
    assert hand_over([entry("kubectl-patch", "Update", "a")], "own")
    assert hand_over([entry("kube-nodes", "Update", "a")], "own") is None


def test_another_operation_and_a_subresource_are_not_taken_over() -> None:
    """await/await.go (fixCSAFieldManagers): by operation; status is its controller's."""
    entries = [
        entry("pulumi-kubernetes-12345678", "Apply", "a"),
        entry("kubectl", "Update", "a", subresource="status"),
    ]
    assert hand_over(entries, "own") is None


def test_pruning_keeps_what_is_declared_and_goes_by_position_in_lists() -> None:
    """provider/util.go (pruneMap, pruneSlice)."""
    live = {"a": 1, "b": {"c": 2, "d": 3}, "l": [{"x": 1, "y": 2}, {"x": 3}], "t": {"s": 1}}
    declared = {"b": {"c": 9}, "l": [{"x": 9}], "t": "another type"}
    assert prune(live, declared) == {"b": {"c": 2}, "l": [{"x": 1}], "t": {"s": 1}}


@given(OBJECT)
def test_an_object_pruned_to_itself_is_itself_and_has_no_difference(obj: dict[str, Any]) -> None:
    assert prune(obj, obj) == obj
    assert compare_objects(obj, obj, ("a", "b.c")) == {}


@given(OBJECT, OBJECT)
def test_a_difference_is_found_in_both_directions_or_in_none(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    there, back = compare_objects(one, other, ()), compare_objects(other, one, ())
    assert bool(there) == bool(back)


def test_a_default_that_the_server_dropped_is_no_difference() -> None:
    """provider/provider.go (normalizeInputs): Go's omitempty drops it from the inputs too."""
    declared = {"spec": {"hostNetwork": False, "initContainers": [], "selector": {}, "weight": 0}}
    assert compare_objects({"spec": {}}, declared, ()) == {}
    label = {"metadata": {"labels": {"node-role.kubernetes.io/worker": ""}}}
    assert compare_objects({"metadata": {"labels": {}}}, label, ())


def test_true_is_not_one() -> None:
    assert compare_objects({"a": 1}, {"a": True}, ())


def test_a_field_replaces_however_its_change_is_written_down() -> None:
    """openapi/match.go (PatchPropertiesChanged): by the patch's shape."""
    at = ("spec.selector",)
    whole = compare_objects({}, {"spec": {"selector": {"a": "b"}}}, at)
    assert whole["spec"].replace
    inner = compare_objects(
        {"spec": {"selector": {"a": "b"}}}, {"spec": {"selector": {"a": "c"}}}, at
    )
    assert inner["spec.selector.a"].replace
    beside = compare_objects({"spec": {}}, {"spec": {"selectors": {"a": "b"}}}, at)
    assert not beside["spec.selectors"].replace


def test_an_immutable_secret_replaces_though_the_provider_has_secrets_mutable() -> None:
    """provider/diff.go (forceNewProperties, IsImmutable)."""
    secret: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret"}
    options = {"mutable_secrets": True, "mutable_config_maps": True}
    assert "data" not in force_new(secret, **options)
    assert "data" in force_new({**secret, "immutable": True}, **options)
    assert "type" in force_new(secret, **options)


def test_string_data_becomes_data_and_wins() -> None:
    """clients/unstructured.go (normalizeSecret)."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "data": {"a": "YQ==", "b": "Yg==\n"},
        "stringData": {"a": "x"},
    }
    assert normalise(secret)["data"] == {"a": "eA==", "b": "Yg=="}
    assert "stringData" not in normalise(secret)


def test_a_secret_with_unknowns_is_left_as_declared() -> None:
    """provider/provider.go (normalizeInputs, hasComputedValue)."""
    secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"a": UNKNOWN}}
    assert normalise(secret) == secret


@given(OBJECT)
def test_normalising_twice_is_normalising_once_and_changes_no_argument(
    obj: dict[str, Any],
) -> None:
    before = copy.deepcopy(obj)
    once = normalise(obj)
    assert normalise(once) == once
    assert obj == before


@given(OBJECT)
def test_marking_secrets_changes_no_value(obj: dict[str, Any]) -> None:
    declared = {key: Secret(value) for key, value in obj.items()}
    assert reveal(mark_secrets(obj, declared)) == obj


def test_a_list_with_a_secret_is_one_secret() -> None:
    """provider/provider.go (annotateSecrets)."""
    declared = {"args": ["a", Secret("b")], "env": {"x": Secret("y"), "z": 1}}
    marked = mark_secrets(reveal(declared), declared)
    assert marked == {"args": Secret(["a", "b"]), "env": {"x": Secret("y"), "z": 1}}


def test_names_are_random_unless_seeded() -> None:
    """pulumi/pulumi sdk/go/common/resource (NewUniqueName): eight hex digits."""
    assert unique_name("a-") != unique_name("a-")
    assert unique_name("a-", b"seed") == unique_name("a-", b"seed")
    assert len(unique_name("a-", b"seed")) == len("a-") + 8


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("kubernetes:core/v1:Secret", ("v1", "Secret")),
        ("kubernetes:apps/v1:DaemonSet", ("apps/v1", "DaemonSet")),
        ("kubernetes:example.org/v1beta1:Thing", ("example.org/v1beta1", "Thing")),
    ],
)
def test_a_type_token_names_version_and_kind(token: str, expected: tuple[str, str]) -> None:
    """provider/provider.go (gvkFromURN)."""
    assert kind_of_token(token) == expected


@pytest.mark.parametrize(
    "token", ["kubernetes:v1:Secret", "kubernetes:helm.sh/v3:Release", "kubernetes:core/v1:", "x"]
)
def test_a_type_token_of_another_form_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="not known to the lab's stand-in"):
        kind_of_token(token)


def test_ignored_paths_cover_what_lies_in_them() -> None:
    """provider/provider.go (Diff, ignorePath.Contains)."""
    assert is_ignored("data.key", ("data",))
    assert is_ignored('data["a.b"]', ("data",))
    assert is_ignored("data", ("data",))
    assert not is_ignored("database", ("data",))


def daemon_set(observed: int | None, **status: int) -> dict[str, Any]:
    seen = {} if observed is None else {"observedGeneration": observed}
    return {"metadata": {"generation": 2}, "status": {**seen, **status}}


ROLLED_OUT = {
    "desiredNumberScheduled": 2,
    "currentNumberScheduled": 2,
    "updatedNumberScheduled": 2,
    "numberAvailable": 2,
    "numberReady": 2,
}


def test_a_daemon_set_is_ready_when_every_number_is_reached() -> None:
    """kubernetes-sigs/cli-utils pkg/kstatus/status/core.go (daemonsetConditions)."""
    assert daemon_set_unreadiness(daemon_set(2, **ROLLED_OUT)) == ""
    assert daemon_set_unreadiness(daemon_set(2, desiredNumberScheduled=0)) == ""
    assert daemon_set_unreadiness(daemon_set(1, **ROLLED_OUT))
    assert daemon_set_unreadiness(daemon_set(None, desiredNumberScheduled=0))
    assert daemon_set_unreadiness(daemon_set(2))
    for field in ROLLED_OUT.keys() - {"desiredNumberScheduled"}:
        assert "1 of 2" in daemon_set_unreadiness(daemon_set(2, **{**ROLLED_OUT, field: 1}))


def test_a_deployment_is_ready_when_its_replicas_are_new_and_available() -> None:
    """kubernetes-sigs/cli-utils pkg/kstatus/status/core.go (deploymentConditions)."""
    numbers = ("replicas", "updatedReplicas", "availableReplicas", "readyReplicas")
    reached: dict[str, Any] = {"observedGeneration": 2, **dict.fromkeys(numbers, 2)}
    live = {"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": reached}
    assert deployment_unreadiness(live) == ""
    for field in numbers:
        assert "1 of 2" in deployment_unreadiness({**live, "status": {**reached, field: 1}})
    surplus = {**reached, "replicas": 3}
    assert "1 old" in deployment_unreadiness({**live, "status": surplus})
    late = {"reason": "ProgressDeadlineExceeded", "message": "too late"}
    assert deployment_unreadiness({**live, "status": {**reached, "conditions": [late]}})
