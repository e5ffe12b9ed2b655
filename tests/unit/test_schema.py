"""The schema for editors: accepts what the settings accept, marks what is wrong of form."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from docs.reference import CHECKOUT
from docs.schema import render_schema
from kube_nodes.fleet.stack import read_stack_file
from kube_nodes.settings import SECRET_KEYS, Settings
from tests.configurations import merge, right_configuration, wrong_configurations
from tests.unit.test_reference import example

_FILE = CHECKOUT / "docs" / "stack.schema.json"
_SCHEMA = json.loads(_FILE.read_text(encoding="utf-8"))
_VALIDATOR = Draft7Validator(_SCHEMA)
_EXAMPLES = sorted((CHECKOUT / "docs" / "examples").glob("*.yaml"))
_ENVIRONMENTS = [
    CHECKOUT / "docs" / "examples" / f"Pulumi.{name}.yaml" for name in ("staging", "production")
]
# What the settings say of a value whose form alone is wrong; the rest is for the program.
_FORMAL = re.compile(
    r": is not a known key;|: is missing; set it$| is not a whole number; | is not a list; "
    r"| is neither true nor false; | is not allowed; | is out of range; | is not a mapping; "
    r"| is not a SHA-256; | is not a DNS label; | is no string; | is not a UID; "
)
# There the text of a free field is checked by the fields of the version, which the schema does not
# know; and JSON has one kind of number.
_FREE = re.compile(r"(kubelet|kubeProxy)(Configuration|Unit)\.|22\.0")


def _document(values: dict[str, Any]) -> dict[str, Any]:
    return {"config": {f"kube-nodes:{key}": value for key, value in values.items()}}


def _errors(values: dict[str, Any]) -> list[str]:
    found = _VALIDATOR.iter_errors(_document(values))
    return [f"{'.'.join(map(str, each.path))}: {each.message}" for each in found]


def test_it_is_that_of_the_settings_model() -> None:
    assert _FILE.read_text(encoding="utf-8") == render_schema(), "is stale; run `make reference`"
    Draft7Validator.check_schema(_SCHEMA)


@pytest.mark.parametrize("path", _EXAMPLES, ids=lambda path: path.name)
def test_each_example_is_right(path: Path) -> None:
    found = _VALIDATOR.iter_errors(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert [each.message for each in found] == []


_RIGHT: dict[str, dict[str, Any]] = {
    "the tests' own": {},
    "the reference's": example(),
    "null takes an inherited value away": {
        "options": {"evictionHard": {"imagefs.available": None}},
        "pools": {"workers": {"options": {"containerd": None}}},
    },
    "waves": {"pools": {"workers": {"canary": 0, "batch": "25%", "maxUnavailable": 2}}},
    "free fields": {"options": {"kubeletConfiguration": {"failSwapOn": False}}},
    "a version with a v": {"options": {"kubernetesVersion": "v1.37.2"}},
    "taints": {"options": {"taints": ["a:NoExecute", "example.com/b=c:NoSchedule"]}},
}


@pytest.mark.parametrize("title", _RIGHT)
def test_what_is_right_is_not_marked(title: str) -> None:
    assert _errors(merge(right_configuration(), _RIGHT[title])) == []


_WRONG = [
    case
    for case in wrong_configurations()
    if not (case.secrets or case.plain or case.sealed)
    and any(_FORMAL.search(error) and not _FREE.search(error) for error in case.errors)
]


def test_there_are_many_that_are_wrong_of_form() -> None:
    assert len(_WRONG) > 40


@pytest.mark.parametrize("case", _WRONG, ids=lambda case: case.title)
def test_what_is_wrong_of_form_is_marked(case: Any) -> None:
    assert _errors(case.values)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"options": {"kubernetesVersion": "1.37"}}, "options.kubernetesVersion"),
        ({"options": {"maxPods": 0}}, "options.maxPods"),
        ({"options": {"proxyMode": "nftable"}}, "options.proxyMode"),
        ({"options": {"taints": ["a=b:Never"]}}, "options.taints.0"),
        ({"pools": {"workers": {"batch": "1/2"}}}, "pools.workers.batch"),
        ({"pools": {"Workers": {"nodes": {}}}}, "pools"),
        ({"sevrer": "https://10.0.0.1:6443"}, "config"),
        ({"caKey": "-----BEGIN"}, "caKey"),
    ],
)
def test_a_mark_stands_where_the_fault_is(changes: dict[str, Any], place: str) -> None:
    errors = _errors(merge(right_configuration(), changes))
    assert errors and any(each.split(": ")[0].endswith(place) for each in errors), errors


def test_every_key_is_there_with_what_it_means() -> None:
    keys = _SCHEMA["properties"]["config"]["properties"]
    names = {str(field.alias) for field in Settings.model_fields.values()} | SECRET_KEYS.keys()
    assert {key.removeprefix("kube-nodes:") for key in keys} == names
    objects = [keys, *(each.get("properties", {}) for each in _SCHEMA["definitions"].values())]
    assert all(key["description"] for each in objects for key in each.values())


def test_keys_of_others_are_left_alone() -> None:
    document = _document(right_configuration())
    document |= {"encryptionsalt": "v1:x", "secretsprovider": "passphrase"}
    document["config"] |= {
        "kubernetes:kubeconfig": "x",
        "kube-nodes:sshPrivateKey": {"secure": "v1:x"},
    }
    assert list(_VALIDATOR.iter_errors(document)) == []


@pytest.mark.parametrize("path", _ENVIRONMENTS, ids=lambda path: path.name)
def test_the_environments_are_whole_configurations_and_name_the_schema(path: Path) -> None:
    assert read_stack_file(path).nodes
    first = path.read_text(encoding="utf-8").splitlines()[0]
    named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert named and (path.parent / named[1]).resolve() == _FILE


def test_environments_differ_only_where_environments_do() -> None:
    staging, production = (
        yaml.safe_load(path.read_text(encoding="utf-8"))["config"] for path in _ENVIRONMENTS
    )
    different = {
        key for key in staging.keys() | production.keys() if staging.get(key) != production.get(key)
    }
    cluster = ("server", "caCertificate", "clusterUid", "clusterName", "podCidrs", "serviceCidrs")
    assert different == {f"kube-nodes:{key}" for key in (*cluster, "options", "pools")}
    one, other = staging["kube-nodes:options"], production["kube-nodes:options"]
    assert {key for key in one | other if one.get(key) != other.get(key)} == {
        "kubernetesVersion",
        "clusterDns",
        "labels",
    }
    pools = staging["kube-nodes:pools"], production["kube-nodes:pools"]
    assert pools[0].keys() == pools[1].keys()
    shared = {"nodes", "canary", "batch"}
    for name in pools[0]:
        one, other = (
            {key: value for key, value in each[name].items() if key not in shared} for each in pools
        )
        assert one == other


@pytest.mark.parametrize("path", _ENVIRONMENTS, ids=lambda path: path.name)
def test_each_line_that_differs_stands_below_its_reason(path: Path) -> None:
    """A block of keys that differ begins with a comment that says why."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for key in ("kube-nodes:server", "kube-nodes:podCidrs", "kubernetesVersion", "canary"):
        [number] = [i for i, line in enumerate(lines) if line.lstrip().startswith(f"{key}:")]
        assert lines[number - 1].lstrip().startswith("# "), key
