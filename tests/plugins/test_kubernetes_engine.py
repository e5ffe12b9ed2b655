"""The kubernetes stand-in under the real engine, with a real API server.

What must hold was tried with the official plugin (design: "One node, as resources", Corrections).
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator

import pytest
import yaml

from tests.plugins.control_plane import ControlPlane, make_kubeconfig
from tests.plugins.engine import Engine, is_secret

SECRET = "bootstrap-token-engine"
SECRET_PATH = f"/api/v1/namespaces/kube-system/secrets/{SECRET}"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
FIELD = "usage-bootstrap-authentication"

SETTINGS = {"identifier": "one", "mutable": True, "user": "jane", "kubeconfig": ""}

PROGRAM = f"""
import pulumi
import pulumi_kubernetes as k8s

config = pulumi.Config()
provider = k8s.Provider(
    "cluster",
    kubeconfig=config.get("kubeconfig") or "",
    cluster_identifier=config.get("identifier") or None,
    enable_secret_mutable=config.get_bool("mutable"),
)
options = pulumi.ResourceOptions(provider=provider)
k8s.core.v1.Secret(
    "token",
    metadata={{
        "name": "{SECRET}",
        "namespace": "kube-system",
        "annotations": {{"pulumi.com/patchForce": "true"}},
    }},
    type="bootstrap.kubernetes.io/token",
    string_data={{"token-id": "abcdef", "{FIELD}": "false"}},
    opts=options,
)
k8s.rbac.v1.ClusterRoleBinding(
    "binding",
    metadata={{"name": "engine-test"}},
    role_ref={{"api_group": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}},
    subjects=[{{
        "api_group": "rbac.authorization.k8s.io",
        "kind": "User",
        "name": config.get("user") or "jane",
    }}],
    opts=options,
)
"""


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture(scope="module")
def stack(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """A stack of a token and a binding, made once and, in the end, destroyed."""
    variables = {"KUBECONFIG": str(control_plane.kubeconfig)}
    stack = Engine(tmp_path_factory.mktemp("stack"), PROGRAM, SETTINGS, variables)
    made = stack.up()
    assert made.ok, made.output
    assert made.changes == {"create": 2}
    yield stack
    assert stack.destroy().ok
    assert not control_plane.exists(SECRET_PATH)
    assert not control_plane.exists(f"{BINDINGS}/engine-test")


@pytest.fixture
def engine(stack: Engine, control_plane: ControlPlane) -> Engine:
    """The stack with its first settings; what a test did to its objects, it has undone."""
    stack.configure(SETTINGS)
    stack.variables["KUBECONFIG"] = str(control_plane.kubeconfig)
    return stack


def test_a_token_that_was_used_is_silent_and_one_left_open_is_closed(
    engine: Engine, control_plane: ControlPlane
) -> None:
    opened = {
        "token-secret": encoded("0123456789abcdef"),
        "expiration": encoded("2030-01-01T00:00:00Z"),
        "auth-extra-groups": encoded("system:bootstrappers:kube-nodes"),
        FIELD: encoded("true"),
    }
    closed = dict.fromkeys(opened) | {FIELD: encoded("false")}
    control_plane.merge(SECRET_PATH, {"data": opened}, "kube-nodes")
    control_plane.merge(SECRET_PATH, {"data": closed}, "kube-nodes")
    silent = engine.refresh("--expect-no-changes")
    assert silent.ok, silent.output
    silent = engine.preview("--expect-no-changes")
    assert silent.ok, silent.output

    control_plane.merge(SECRET_PATH, {"data": opened}, "kube-nodes")
    seen = engine.preview("--refresh")
    assert seen.ok, seen.output
    assert seen.changes.get("update") == 1, seen.output
    assert control_plane.get(SECRET_PATH)["data"][FIELD] == encoded("true")
    repaired = engine.up("--refresh")
    assert repaired.ok, repaired.output
    assert control_plane.get(SECRET_PATH)["data"][FIELD] == encoded("false")
    text = engine.state_text()
    assert encoded("0123456789abcdef") not in text
    assert encoded("abcdef") not in text
    assert is_secret(engine.resource("token")["outputs"]["data"])


def test_a_token_left_open_is_made_anew_where_secrets_are_not_mutable(
    engine: Engine, control_plane: ControlPlane
) -> None:
    """provider/pkg/provider/diff.go: so it is with the official plugin's defaults."""
    engine.configure({"mutable": False})
    uid = control_plane.get(SECRET_PATH)["metadata"]["uid"]
    control_plane.merge(SECRET_PATH, {"data": {FIELD: encoded("true")}}, "kube-nodes")
    repaired = engine.up("--refresh")
    assert repaired.ok, repaired.output
    live = control_plane.get(SECRET_PATH)
    assert live["data"][FIELD] == encoded("false")
    assert live["metadata"]["uid"] != uid


def test_an_unreachable_cluster_stops_no_preview_and_loses_nothing(
    engine: Engine, control_plane: ControlPlane
) -> None:
    engine.configure({"user": "joe"})
    nowhere = engine.directory / "nowhere"
    nowhere.write_text(yaml.safe_dump(make_kubeconfig(control_plane, "https://127.0.0.1:1")))
    engine.variables["KUBECONFIG"] = str(nowhere)
    begin = time.monotonic()
    preview = engine.preview()
    assert preview.ok, preview.output
    assert preview.changes == {"update": 1, "same": 1}
    assert "unreachable" in preview.output
    assert time.monotonic() - begin < 10
    failed = engine.up()
    assert not failed.ok
    assert "configured Kubernetes cluster is unreachable" in failed.output
    assert not engine.refresh().ok
    assert engine.resource("token")["id"] == f"kube-system/{SECRET}"
    assert control_plane.exists(SECRET_PATH)


def test_a_changed_server_is_an_update_of_the_provider_while_the_cluster_is_identified(
    engine: Engine, control_plane: ControlPlane
) -> None:
    """provider/pkg/provider/provider.go (DiffConfig)."""
    engine.configure({"kubeconfig": yaml.safe_dump(make_kubeconfig(control_plane))})
    assert engine.up().changes == {"same": 2}
    other = yaml.safe_dump(make_kubeconfig(control_plane, control_plane.other_server))
    engine.configure({"kubeconfig": other})
    moved = engine.preview()
    assert moved.ok, moved.output
    assert moved.changes == {"same": 2}
    assert moved.step("cluster")["op"] == "update"
    engine.configure({"identifier": ""})
    replaced = engine.preview()
    assert replaced.ok, replaced.output
    assert replaced.step("cluster")["op"] in {"replace", "create-replacement"}
    assert "same" not in replaced.changes
