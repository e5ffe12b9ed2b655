"""Where each option of a node comes from."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kube_nodes.model.effective_options import explain_options
from kube_nodes.settings import parse_settings
from tests.configurations import right_configuration


def _explained(options: Any, pool: Any, node: Any) -> dict[str, tuple[Any, str]]:
    configuration = right_configuration()
    [(pool_name, declared)] = configuration["pools"].items()
    node_id = next(iter(declared["nodes"]))
    declared["options"] = pool
    declared["nodes"][node_id]["options"] = node
    configuration["options"] = configuration.get("options", {}) | options
    parsed = parse_settings(configuration)
    resolved = next(each for each in parsed.nodes if each.id == node_id)
    where = {
        f"pools.{pool_name}.nodes.{node_id}.options": "node",
        f"pools.{pool_name}.options": "pool",
    }
    return {
        ".".join(each.path): (each.value, where.get(each.origin, each.origin))
        for each in explain_options(parsed.options, parsed.pools[pool_name], resolved)
    }


def test_the_nearest_level_that_says_something_is_named() -> None:
    explained = _explained(
        {"maxPods": 200, "verbosity": 3, "labels": {"a": "1", "b": "1"}},
        {"maxPods": 50, "labels": {"b": "2"}},
        {"maxPods": 60, "labels": {"c": "3"}, "ssh": {"port": 2222}},
    )
    assert explained["maxPods"] == (60, "node")
    assert explained["verbosity"] == (3, "options")
    assert explained["labels.a"] == ("1", "options")
    assert explained["labels.b"] == ("2", "pool")
    assert explained["labels.c"] == ("3", "node")
    assert explained["ssh.port"] == (2222, "node")
    assert explained["ssh.user"] == ("root", "default")
    assert explained["podPidsLimit"] == (4096, "default")


def test_a_key_that_was_taken_away_is_not_there() -> None:
    explained = _explained({"labels": {"a": "1", "b": "1"}}, {"labels": {"a": None}}, {})
    assert "labels.a" not in explained
    assert explained["labels.b"] == ("1", "options")


_LEVEL = st.fixed_dictionaries(
    {},
    optional={
        "maxPods": st.integers(1, 1000),
        "verbosity": st.integers(0, 10),
        "labels": st.dictionaries(st.sampled_from("abc"), st.sampled_from("12")),
        "evictionHard": st.dictionaries(
            st.sampled_from(["memory.available", "pid.available"]), st.sampled_from(["1Gi", "5%"])
        ),
        "ssh": st.fixed_dictionaries({}, optional={"port": st.integers(1, 65535)}),
        "drainForce": st.booleans(),
    },
)


@settings(deadline=None, max_examples=30)
@given(_LEVEL, _LEVEL, _LEVEL)
def test_what_a_level_named_as_origin_says_is_what_is_in_force(
    options: Any, pool: Any, node: Any
) -> None:
    levels = {"options": options, "pool": pool, "node": node}
    for path, (value, origin) in _explained(options, pool, node).items():
        keys = path.split(".", 1)
        says = [
            name
            for name, level in levels.items()
            if keys[0] in level and (len(keys) == 1 or keys[1] in level[keys[0]])
        ]
        if origin != "default" and says:
            assert origin == says[-1]
            written = levels[origin][keys[0]]
            assert value == (written if len(keys) == 1 else written[keys[1]])
