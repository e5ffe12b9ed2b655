"""Objects are made, read, awaited and deleted by the kubernetes stand-in.

Sources are files of pulumi/pulumi-kubernetes (provider/pkg/…, as of 4.32 to 4.34) unless named.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from tests.plugins.control_plane import ControlPlane
from tests.plugins.driver import Driver, PartialError
from tests.plugins.kubernetes_objects import (
    BINDING,
    CONFIG_MAP,
    DAEMON_SET,
    DIFF_NONE,
    MODULE,
    RUNTIME_CLASS,
    SERVICE,
    Made,
    binding,
    config_map,
    fresh,
)


def test_an_object_is_made_read_and_deleted(kube: Driver, control_plane: ControlPlane) -> None:
    """provider/util.go (fqObjName): the ID is the namespace and the name."""
    name = fresh()
    made = Made(kube, CONFIG_MAP, config_map(name, key="value"))
    path = f"/api/v1/namespaces/default/configmaps/{name}"
    assert made.id == f"default/{name}"
    assert control_plane.get(path)["data"] == {"key": "value"}
    assert made.refresh()
    kube.delete(CONFIG_MAP, made.id, made.state)
    assert not control_plane.exists(path)


def test_an_object_without_a_namespace_has_its_name_as_id(
    kube: Driver, control_plane: ControlPlane
) -> None:
    """provider/util.go (fqObjName), clients/clients.go (IsNamespacedKind)."""
    name = fresh()
    made = Made(kube, BINDING, binding(name))
    assert made.id == name
    assert "namespace" not in made.inputs["metadata"]
    assert control_plane.exists(f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}")


def test_the_runtime_class_of_a_gpu_is_made_and_one_of_somebody_else_is_left_alone(
    kube: Driver, control_plane: ControlPlane
) -> None:
    """components/gpu_runtime.py, against the API server; await/await.go (Creation): a POST."""
    inputs = {
        "metadata": {"name": "nvidia"},
        "handler": "nvidia",
        "scheduling": {"nodeSelector": {"kube-nodes/gpu": "nvidia"}},
    }
    path = "/apis/node.k8s.io/v1/runtimeclasses/nvidia"
    made = Made(kube, RUNTIME_CLASS, inputs)
    assert made.id == "nvidia"
    live = control_plane.get(path)
    assert (live["handler"], live["scheduling"]) == (inputs["handler"], inputs["scheduling"])
    assert made.refresh()
    assert made.diff(inputs).changes == DIFF_NONE
    with pytest.raises(grpc.RpcError, match="already exists"):
        Made(kube, RUNTIME_CLASS, inputs)
    kube.delete(RUNTIME_CLASS, made.id, made.state)
    assert not control_plane.exists(path)


def test_check_fills_in_the_namespace_of_the_provider(kube: Driver) -> None:
    """provider/provider.go (Check): the default namespace goes into the inputs."""
    assert kube.check(CONFIG_MAP, config_map("one"))["metadata"]["namespace"] == "default"
    assert "namespace" not in kube.check(BINDING, binding("one"))["metadata"]


def test_an_object_that_exists_is_not_taken_over(kube: Driver, control_plane: ControlPlane) -> None:
    """CHANGELOG.md (4.29.0, #2926) and await/await.go (Creation): a POST, not an apply."""
    name = fresh()
    Made(kube, CONFIG_MAP, config_map(name, owner="first"))
    with pytest.raises(grpc.RpcError, match=r"already exists.*upsertExistingObjects"):
        Made(kube, CONFIG_MAP, config_map(name, owner="second"))
    data = control_plane.get(f"/api/v1/namespaces/default/configmaps/{name}")["data"]
    assert data == {"owner": "first"}


def test_an_object_that_exists_is_taken_over_where_the_provider_says_so(
    kube: Driver, control_plane: ControlPlane
) -> None:
    """await/await.go (Creation), option upsertExistingObjects."""
    name = fresh()
    Made(kube, CONFIG_MAP, config_map(name, owner="first"))
    config = {"kubeconfig": str(control_plane.kubeconfig), "upsertExistingObjects": "true"}
    with Driver(MODULE, config) as upserting:
        with pytest.raises(grpc.RpcError, match=r"conflict.*patchForce"):
            Made(upserting, CONFIG_MAP, config_map(name, owner="second"))
        forced = config_map(name, owner="second")
        forced["metadata"]["annotations"] = {"pulumi.com/patchForce": "true"}
        Made(upserting, CONFIG_MAP, forced)
    data = control_plane.get(f"/api/v1/namespaces/default/configmaps/{name}")["data"]
    assert data == {"owner": "second"}


def test_an_object_without_a_name_gets_one_and_keeps_it(kube: Driver) -> None:
    """metadata/naming.go: the resource's name, a dash and eight hex digits, marked as given."""
    inputs = {"data": {"key": "value"}}
    checked = kube.check(CONFIG_MAP, inputs)
    name = checked["metadata"]["name"]
    assert name.startswith("thing-")
    assert len(name) == len("thing-") + 8
    assert checked["metadata"]["annotations"]["pulumi.com/autonamed"] == "true"
    assert kube.check(CONFIG_MAP, inputs)["metadata"]["name"] == name
    assert kube.check(CONFIG_MAP, inputs, checked)["metadata"]["name"] == name


def test_an_object_that_is_gone_vanishes_on_refresh(
    kube: Driver, control_plane: ControlPlane
) -> None:
    """provider/provider.go (Read): 404 means deleted."""
    name = fresh()
    made = Made(kube, CONFIG_MAP, config_map(name, key="value"))
    control_plane.call("DELETE", f"/api/v1/namespaces/default/configmaps/{name}")
    assert not made.refresh()


def test_an_object_that_is_gone_is_deleted_without_complaint(
    kube: Driver, control_plane: ControlPlane
) -> None:
    """await/await.go (Deletion, nilIfGVKDeleted)."""
    name = fresh()
    made = Made(kube, CONFIG_MAP, config_map(name, key="value"))
    control_plane.call("DELETE", f"/api/v1/namespaces/default/configmaps/{name}")
    kube.delete(CONFIG_MAP, made.id, made.state)


def test_a_deletion_waits_until_the_object_is_gone(
    kube: Driver, control_plane: ControlPlane
) -> None:
    """await/condition/deleted.go: until a GET finds nothing."""
    name = fresh()
    inputs = config_map(name, key="value")
    inputs["metadata"]["finalizers"] = ["example.org/slow"]
    made = Made(kube, CONFIG_MAP, inputs)
    path = f"/api/v1/namespaces/default/configmaps/{name}"

    def let_go() -> None:
        control_plane.merge(path, {"metadata": {"finalizers": None}})

    timer = threading.Timer(0.6, let_go)
    begin = time.monotonic()
    timer.start()
    kube.delete(CONFIG_MAP, made.id, made.state)
    timer.join()
    assert time.monotonic() - begin >= 0.6
    assert not control_plane.exists(path)


def test_a_deletion_that_does_not_end_fails_at_the_timeout_and_names_the_finalizer(
    kube: Driver, control_plane: ControlPlane
) -> None:
    """metadata/overrides.go (TimeoutDuration) and await/condition/deleted.go (finalizers)."""
    name = fresh()
    inputs = config_map(name, key="value")
    inputs["metadata"]["finalizers"] = ["example.org/never"]
    inputs["metadata"]["annotations"] = {"pulumi.com/timeoutSeconds": "1"}
    made = Made(kube, CONFIG_MAP, inputs)
    with pytest.raises(grpc.RpcError, match=r"example.org/never"):
        kube.delete(CONFIG_MAP, made.id, made.state)
    path = f"/api/v1/namespaces/default/configmaps/{name}"
    control_plane.merge(path, {"metadata": {"finalizers": None}})


def test_a_missing_namespace_may_come_late(kube: Driver, control_plane: ControlPlane) -> None:
    """await/await.go (Creation): 404 is tried again, for what is made in the wrong order."""
    namespace = fresh("late")
    inputs = config_map("early", key="value")
    inputs["metadata"]["namespace"] = namespace
    body = {"metadata": {"name": namespace}}
    timer = threading.Timer(0.4, lambda: control_plane.call("POST", "/api/v1/namespaces", body))
    timer.start()
    made = Made(kube, CONFIG_MAP, inputs)
    timer.join()
    assert made.id == f"{namespace}/early"


def test_calls_overlap(kube: Driver) -> None:
    """The official plugin serves each call in a goroutine; slow ones hold up nobody."""
    name = fresh()
    inputs = config_map(name, key="value")
    inputs["metadata"]["finalizers"] = ["example.org/never"]
    inputs["metadata"]["annotations"] = {"pulumi.com/timeoutSeconds": "1"}
    blocked = [
        Made(kube, CONFIG_MAP, {**inputs, "metadata": {**inputs["metadata"], "name": n}})
        for n in (fresh() for _ in range(20))
    ]

    def delete(made: Made) -> str:
        try:
            kube.delete(CONFIG_MAP, made.id, made.state)
        except grpc.RpcError as error:
            return str(error.details())
        return ""

    begin = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(delete, blocked))
    assert all("finalizers" in answer for answer in answers)
    assert time.monotonic() - begin < 5


def test_an_imported_object_brings_its_own_inputs(
    kube: Driver, control_plane: ControlPlane
) -> None:
    """provider/provider.go (Read, readFromCluster)."""
    name = fresh()
    body = {"metadata": {"name": name}, "data": {"key": "value"}}
    control_plane.call("POST", "/api/v1/namespaces/default/configmaps", body)
    found, state, inputs = kube.read(CONFIG_MAP, f"default/{name}", {}, {})
    assert found == f"default/{name}"
    assert inputs["data"] == {"key": "value"}
    assert "uid" not in inputs["metadata"]
    assert "uid" in state["metadata"]


def test_a_daemon_set_is_awaited_unless_an_annotation_says_else(
    kube: Driver, control_plane: ControlPlane
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
        Made(kube, DAEMON_SET, inputs)
    assert caught.value.id == f"default/{labels['app']}"
    kube.delete(DAEMON_SET, caught.value.id, caught.value.state)
    inputs["metadata"]["annotations"] = {"pulumi.com/skipAwait": "true"}
    made = Made(kube, DAEMON_SET, inputs)
    assert made.refresh()
    kube.delete(DAEMON_SET, made.id, made.state)
    inputs["metadata"]["annotations"] = {"pulumi.com/timeoutSeconds": "20"}

    def roll_out() -> None:
        status = {"observedGeneration": 1, "desiredNumberScheduled": 0}
        body = {"status": {**status, "currentNumberScheduled": 0, "numberMisscheduled": 0}}
        kind = "application/merge-patch+json"
        assert control_plane.call("PATCH", f"{path}/status", body, kind).status == 200

    timer = threading.Timer(0.5, roll_out)
    timer.start()
    made = Made(kube, DAEMON_SET, inputs)
    timer.join()
    assert made.refresh()
    assert made.diff(inputs).changes == DIFF_NONE


def test_a_service_waits_for_its_endpoints(kube: Driver, control_plane: ControlPlane) -> None:
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
    made = Made(kube, SERVICE, inputs)
    timer.join()
    assert time.monotonic() - begin >= 0.5
    assert made.diff(inputs).changes == DIFF_NONE
