"""The configuration reference and Pulumi.yaml say what the settings model says."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from docs import reference
from docs.tables import render_table
from kube_nodes.model.nodes import Node
from kube_nodes.settings import SECRET_KEYS, ConfigurationError, Settings, parse_settings
from tests.configurations import right_configuration

_DOCUMENT = (reference.CHECKOUT / "docs" / "configuration.md").read_text(encoding="utf-8")
_PROJECT = (reference.CHECKOUT / "Pulumi.yaml").read_text(encoding="utf-8")
_KEYS: dict[str, dict[str, Any]] = yaml.safe_load(_PROJECT)["config"]
_STALE = "is stale; run `make reference`"


def example() -> dict[str, Any]:
    """Read the reference's example, with a CA's certificate in it."""
    found = re.search(r"```yaml\n(config:.*?)```", _DOCUMENT, re.DOTALL)
    assert found
    config = yaml.safe_load(found[1])["config"]
    values = {key.removeprefix("kube-nodes:"): value for key, value in config.items()}
    return values | {"caCertificate": right_configuration()["caCertificate"]}


def nodes() -> dict[str, Node]:
    """Resolve the example's nodes."""
    return {node.id: node for node in parse_settings(example()).nodes}


def test_the_tables_are_those_of_the_settings_model() -> None:
    assert reference.fill(_DOCUMENT, reference.render_blocks()) == _DOCUMENT, _STALE


def test_pulumi_yaml_declares_the_keys_of_the_settings_model() -> None:
    assert reference.render_project(_PROJECT) == _PROJECT, _STALE


def test_what_is_not_between_the_marks_stays() -> None:
    before = "# mine\n<!-- begin a -->\nold\n<!-- end a -->\n# mine too\n"
    assert reference.fill(before, {"a": "new"}) == before.replace("old", "new")


@pytest.mark.parametrize("text", ["no mark", "<!-- begin a --> unended", "<!-- end a -->"])
def test_a_mark_that_is_missing_is_not_passed_over(text: str) -> None:
    with pytest.raises(ValueError, match="must stand there once"):
        reference.fill(text, {"a": "new"})


def test_a_cell_does_not_break_its_row() -> None:
    table = render_table(("a",), iter([("x|y",)]))
    assert table.splitlines()[-1] == "| x\\|y |"


def test_units_and_bounds_are_told() -> None:
    found = {row.key: row for row in reference.rows(Settings)}
    assert found["options.maxPods"].values == "1 to 1000 pods"
    assert found["options.proxyMode"].values == "`nftables`, `iptables`, `ipvs`, `userspace`"
    assert found["options.taints"].kind == "list of taints"
    assert found["binaries.<version>.kubelet"].default == "**required**"
    assert found["pools.<pool>.nodes.<node>.options.ssh.port"].default == "`22`"


def test_each_form_of_a_text_is_one_that_the_model_checks() -> None:
    told = " ".join(row.values for row in reference.rows(Settings))
    assert [form for form in reference.FORMATS.values() if form not in told] == []


def test_every_key_has_a_description_that_is_a_sentence() -> None:
    for row in reference.rows(Settings):
        assert row.description.endswith("."), row.key


def test_the_engine_requires_what_the_settings_require_and_nothing_else() -> None:
    required = {key for key, declared in _KEYS.items() if "default" not in declared}
    with pytest.raises(ConfigurationError) as error:
        parse_settings({})
    assert required == {fault.split(": ")[0].split(":")[1] for fault in error.value.faults}


def test_the_engines_defaults_are_the_settings_defaults() -> None:
    defaults = {key: one["default"] for key, one in _KEYS.items() if "default" in one}
    required = {key: example()[key] for key in _KEYS.keys() - defaults.keys()}
    required["caCertificate"] = right_configuration()["caCertificate"]
    assert parse_settings(required | defaults) == parse_settings(required)


def test_no_secret_key_is_declared_since_the_engine_would_require_it() -> None:
    assert not _KEYS.keys() & SECRET_KEYS.keys()


def test_the_example_is_a_configuration_and_means_what_is_said_of_it() -> None:
    w2 = nodes()["w2"]
    assert w2.labels == {"example.com/size": "large"}
    assert w2.options.kube_reserved == {"cpu": "100m", "memory": "500Mi"}
    assert w2.options.max_pods == 200
    assert nodes()["w1"].labels == {"example.com/team": "platform"}


def test_null_takes_a_default_and_an_inherited_object_away() -> None:
    values = example()
    values["options"] |= {
        "evictionHard": {"imagefs.available": None},
        "containerd": {"sandboxImage": "registry.example/pause:3"},
    }
    values["pools"]["workers"]["options"] = {"containerd": None}
    resolved = {node.id: node.options for node in parse_settings(values).nodes}
    assert "imagefs.available" not in resolved["w1"].eviction_hard
    assert "memory.available" in resolved["w1"].eviction_hard
    assert resolved["w1"].containerd is None
    assert resolved["w2"].containerd is not None


def test_a_list_is_replaced_as_a_whole() -> None:
    values = example()
    values["options"]["taints"] = ["example.com/all:NoSchedule"]
    values["pools"]["workers"]["options"] = {"taints": []}
    resolved = {node.id: node.options for node in parse_settings(values).nodes}
    assert resolved["w1"].taints == []
    assert [str(taint) for taint in resolved["w2"].taints] == ["example.com/large=true:NoSchedule"]
