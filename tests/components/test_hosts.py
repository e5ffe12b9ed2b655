"""How hosts are reached, and how programs get there from the operator's machine."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from tests.components.recording import Graph, declare, is_secret, opened
from tests.components.stacks import SECRETS, STEPS, configuration, node, of_node, one

_KEY = node(9)["hostKey"]
_FILES = {
    "binaries": {
        "1.37.2": {
            "kubelet": {"file": "binaries/1.37.2/kubelet", "sha256": "a" * 64},
            "kubeProxy": {"file": "binaries/1.37.2/kube-proxy", "sha512": "b" * 128},
        }
    }
}


@cache
def _sent(with_key: bool = False) -> Graph:
    values = configuration(1, 2, **of_node("n2", options={"role": "proxy-only"}))
    return declare(values | _FILES, SECRETS if with_key else None)


def _remote(graph: Graph, name: str) -> list[dict[str, Any]]:
    return [
        opened(graph[f"{name}-{step}"].inputs["connection"])
        for step in STEPS
        if graph[f"{name}-{step}"].type == "command:remote:Command"
    ]


def _request(graph: Graph, name: str) -> dict[str, Any]:
    request: dict[str, Any] = json.loads(opened(graph[f"{name}-binaries"].inputs["stdin"]))
    return request


def test_every_connection_goes_through_the_jump_host_which_must_show_its_own_key() -> None:
    jump = {"address": "jump.example", "user": "way", "port": 2222, "hostKey": _KEY}
    graph = declare(configuration(1, options={"ssh": {"jump": jump}}), SECRETS)
    connections = _remote(graph, "n1")
    assert len(connections) == 4
    for each in connections:
        assert each["host"] == "192.0.2.1" and each["hostKey"] == node(1)["hostKey"]
        assert each["proxy"] == {
            "host": "jump.example",
            "hostKey": _KEY,
            "port": 2222,
            "user": "way",
            "privateKey": SECRETS["sshPrivateKey"],
            "dialErrorLimit": 10.0,
            "perDialTimeout": 15.0,
        }


def test_without_a_jump_host_there_is_none() -> None:
    assert all("proxy" not in each for each in _remote(one(), "n1"))


def test_programs_of_the_operator_are_sent_before_the_node_is_drained_and_only_then() -> None:
    assert "n1-binaries" not in one().resources
    graph = _sent()
    assert graph.after("n1-binaries") == {"n1-preflight"}
    assert "n1-binaries" in graph.after("n1-prepare")
    assert "n2-binaries" in graph.after("n2-credentials")
    assert graph["n1-binaries"].inputs["delete"] == "exec ./membership/run recall"


def test_nothing_of_a_program_but_its_place_and_sum_is_in_the_state() -> None:
    files = _request(_sent(), "n1")["files"]
    assert {(each["source"], each["digest"]) for each in files} == {
        ("binaries/1.37.2/kubelet", "a" * 64),
        ("binaries/1.37.2/kube-proxy", "b" * 128),
    }
    assert [each["path"] for each in _request(_sent(), "n2")["files"]] == [
        "/usr/local/bin/kube-proxy"
    ]
    assert not is_secret(_sent()["n1-binaries"].inputs["stdin"])
    assert is_secret(_sent(with_key=True)["n1-binaries"].inputs["stdin"])


def test_each_run_of_the_units_comes_after_a_look_at_what_the_host_lacks() -> None:
    values = configuration(1, 2, **of_node("n1", options={"maxPods": 50})) | _FILES
    other, same = _request(declare(values), "n1"), _request(_sent(), "n1")
    assert other["units"] != same["units"]
    assert {**other, "units": ""} == {**same, "units": ""}


def test_the_units_take_a_sent_program_from_its_place_on_the_host() -> None:
    text = _sent()["n1-units"].inputs["stdin"]
    assert f"kubelet v1.37.2 {'a' * 64} kubelet /var/lib/kube-nodes/sent/{'a' * 16}\n" in text


def test_mirrors_come_before_a_programs_own_url_with_its_path() -> None:
    mirrors = ["https://mirror.example/k8s", "http://192.0.2.9:8080"]
    text = declare(configuration(1, options={"mirrors": mirrors}))["n1-units"].inputs["stdin"]
    [line] = [
        each for each in text.splitlines() if each.startswith("binary /usr/local/bin/kubelet ")
    ]
    assert line.split()[5:] == [
        "https://mirror.example/k8s/kubelet",
        "http://192.0.2.9:8080/kubelet",
        "https://files.example/kubelet",
    ]
