"""Manifests for the Pulumi Kubernetes Operator, taken by a real API server that checks each field.

Against a strict schema of the fields that we send, written by hand, and against the operator's own
CRDs where they are at hand: they are part of its repository, and no package registry has them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_nodes.fleet.__main__ import main
from kube_nodes.fleet.fleet_file import read_fleet
from kube_nodes.settings import ConfigurationError
from tests.fleet.operator_fields import FREE, STACK, definition
from tests.plugins.control_plane import ControlPlane, run_control_plane
from tests.unit.fleets import fleet_document, write_fleet

_CRDS = "KUBE_NODES_OPERATOR_CRDS"
_OPERATOR = {
    "repository": "https://git.example/kube-nodes.git",
    "branch": "main",
    "image": "registry.example/pulumi-python:3.259.0",
    "backend": "s3://state?region=eu-central-1",
}


def published() -> dict[str, Any]:
    """Return the operator's own CRD of a Stack, or skip the test."""
    folder = os.environ.get(_CRDS)
    if not folder:
        pytest.skip(f"{_CRDS}=<deploy/crds of the operator's repository> is not set.")
    document: dict[str, Any] = yaml.safe_load(Path(folder, "pulumi.com_stacks.yaml").read_text())
    return document


@pytest.fixture(scope="module", params=["ours", "published"])
def plane(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """An API server that knows Stacks."""
    crd = definition() if request.param == "ours" else published()
    with run_control_plane(tmp_path_factory.mktemp("plane")) as running:
        kinds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        answer = running.call("POST", kinds, crd)
        assert answer.status == 201, answer.body
        end = time.monotonic() + 30
        while not _is_served(running):
            assert time.monotonic() < end
            time.sleep(0.2)
        yield running


def _is_served(plane: ControlPlane) -> bool:
    # Before, the API server answers with a page that is no JSON.
    with suppress(json.JSONDecodeError):
        return plane.exists("/apis/pulumi.com/v1/stacks")
    return False


def _documents(folder: Path, capsys: pytest.CaptureFixture[str], **more: Any) -> list[Any]:
    document = fleet_document() | {"operator": _OPERATOR} | more
    assert main(["operator", "--fleet", str(write_fleet(folder, document))]) == 0
    return list(yaml.safe_load_all(capsys.readouterr().out))


def _path(document: dict[str, Any]) -> str:
    metadata = document["metadata"]
    return {
        "Namespace": f"/api/v1/namespaces/{metadata['name']}",
        "ServiceAccount": f"/api/v1/namespaces/kube-nodes/serviceaccounts/{metadata['name']}",
        "ClusterRoleBinding": (
            f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{metadata['name']}"
        ),
        "Stack": f"/apis/pulumi.com/v1/namespaces/kube-nodes/stacks/{metadata['name']}",
    }[document["kind"]]


def _apply(plane: ControlPlane, document: Any) -> Any:
    query = "?fieldManager=somebody&fieldValidation=Strict"
    kind = "application/apply-patch+yaml"
    return plane.call("PATCH", _path(document) + query, document, kind)


@pytest.mark.parametrize("provider", ["", "awskms://alias/kube-nodes?region=eu-central-1"])
def test_the_api_server_takes_every_field_and_drops_none(
    plane: ControlPlane, tmp_path: Path, capsys: pytest.CaptureFixture[str], provider: str
) -> None:
    documents = _documents(tmp_path, capsys, secretsProvider=provider)
    for document in documents:
        answer = _apply(plane, document)
        assert answer.status in (200, 201), answer.body
        assert _holds(plane.get(_path(document)), document)
    kinds = [document["kind"] for document in documents]
    assert kinds == ["Namespace", "ServiceAccount", "ClusterRoleBinding", *["Stack"] * 3]


def test_it_would_not_take_a_field_that_there_is_not(
    plane: ControlPlane, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for document in _documents(tmp_path, capsys):
        if document["kind"] != "Stack":
            _apply(plane, document)
            continue
        document["spec"]["workspaceTemplate"]["spec"]["podTemplat"] = {}
        answer = _apply(plane, document)
        assert answer.status == 400 or "podTemplat" in json.dumps(answer.body), answer.body


def _holds(there: Any, sent: Any) -> bool:
    """Whether an object has all that was sent; what it has beside it is the API server's."""
    if isinstance(sent, dict):
        return all(key in there and _holds(there[key], each) for key, each in sent.items())
    if isinstance(sent, list):
        return len(there) == len(sent) and all(map(_holds, there, sent))
    return bool(there == sent)


def test_every_field_of_ours_is_one_of_the_published_schema() -> None:
    version = next(each for each in published()["spec"]["versions"] if each["name"] == "v1")
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert list(_missing(STACK, spec, "spec")) == []


def _missing(fields: Any, schema: dict[str, Any], place: str) -> Iterator[str]:
    if schema.get("x-kubernetes-preserve-unknown-fields") or fields is FREE:
        return
    if isinstance(fields, list):
        yield from _missing(fields[0], schema["items"], f"{place}[]")
    elif isinstance(fields, dict):
        for key, each in fields.items():
            below = schema.get("additionalProperties")
            if key != "*":
                below = schema.get("properties", {}).get(key)
            if below is None:
                yield f"{place}.{key}"
            else:
                yield from _missing(each, below, f"{place}.{key}")
    elif schema.get("type", "string") != {str: "string", bool: "boolean", int: "integer"}[fields]:
        yield f"{place}: {schema}"


def test_pools_come_after_the_shared_stack_and_secrets_from_the_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared, a, _ = (each["spec"] for each in _documents(tmp_path, capsys)[3:])
    assert "prerequisites" not in shared
    assert a["prerequisites"] == [{"name": "prod-shared"}]
    assert a["secretsRef"]["kube-nodes:sshPrivateKey"]["secret"]["key"] == "sshPrivateKey"
    assert a["envRefs"]["PULUMI_CONFIG_PASSPHRASE"]["secret"]["name"] == "kube-nodes"
    assert a["config"]["kube-nodes:sharedStack"] == "organization/kube-nodes/prod-shared"
    assert a["destroyOnFinalize"] is False


def test_it_follows_a_branch_or_runs_a_commit(tmp_path: Path) -> None:
    document = fleet_document() | {"operator": {**_OPERATOR, "commit": "f" * 40}}
    path = write_fleet(tmp_path, document)
    assert main(["operator", "--fleet", str(path)]) == 2
    with pytest.raises(ConfigurationError) as raised:
        read_fleet(path)
    assert raised.value.faults == ["operator: {…} has both branch and commit; set one of them"]


def test_without_its_section_there_are_no_manifests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["operator", "--fleet", str(write_fleet(tmp_path, fleet_document()))]) == 2
    assert "operator: is missing" in capsys.readouterr().err
