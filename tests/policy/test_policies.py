"""What this program declares passes every policy; each fault is stopped by its own."""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from pulumi.runtime import rpc

from tests.components import stacks
from tests.components.recording import declare, is_secret, opened
from tests.configurations import materials, merge
from tests.policy.pack import STARTS, Pack, Violation, running_pack

_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_REQUESTS = "system:certificates.k8s.io:certificatesigningrequests:"
_BINDING = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"
_SECRET = "kubernetes:core/v1:Secret"
_REMOTE = "command:remote:Command"


def secret(value: Any) -> dict[str, Any]:
    """Mark a value as the engine marks a secret."""
    return {rpc._special_sig_key: rpc._special_secret_sig, "value": value}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def changed(name: str, stack: stacks.Stack = stacks.one, **inputs: Any) -> dict[str, Any]:
    """Give a resource's inputs as the program declares them, with changes merged in."""
    return merge(opened(stack()[name].inputs), inputs)


def stopped_by(found: list[Violation]) -> set[str]:
    """Name the policies that stop a run."""
    return {each.policy for each in found if each.is_mandatory}


@pytest.mark.parametrize("start", STARTS)
def test_every_language_host_can_start_the_pack(start: str) -> None:
    with running_pack(start) as running:
        binding = {"roleRef": {"name": "cluster-admin"}}
        assert stopped_by(running.analyze(_BINDING, "b", binding)) == {"cluster-admins"}


@pytest.mark.parametrize(
    "stack",
    [stacks.one, stacks.two, stacks.twenty, stacks.proxy_only, stacks.static, stacks.with_secrets],
    ids=lambda stack: stack.__name__,
)
def test_what_the_program_declares_passes(pack: Pack, stack: stacks.Stack) -> None:
    # The stack with the static token declares one wave for its three nodes.
    expected = {"narrow-waves"} if stack is stacks.static else set()
    assert {each.policy for each in pack.analyze_graph(stack())} == expected


@pytest.mark.parametrize("version", ["1.8.15", "1.9.11", "1.10.13", "1.20.15", "1.36.3"])
def test_other_versions_pass_too(pack: Pack, version: str) -> None:
    values = stacks.configuration(
        1, options={"kubernetesVersion": version, "proxyMode": "iptables"}
    )
    values["binaries"] = {version: materials()["binaries"]}
    graph = declare(values)
    assert pack.analyze(_REMOTE, "n1-units", graph["n1-units"].inputs) == []


@pytest.mark.parametrize("key", [None, "", "missing"])
def test_a_remote_command_without_a_host_key_is_stopped(pack: Pack, key: str | None) -> None:
    connection = dict(opened(stacks.one()["n1-units"].inputs["connection"]))
    del connection["hostKey"]
    if key != "missing":
        connection["hostKey"] = key
    for given in (connection, secret(connection)):
        inputs = {**stacks.one()["n1-preflight"].inputs, "connection": given}
        (found,) = pack.analyze(_REMOTE, "n1-preflight", inputs)
        assert (found.policy, found.is_mandatory) == ("host-keys", True)
        assert "n1-preflight: connection.hostKey: is missing" in found.message


def test_a_copy_to_a_host_and_a_jump_host_need_keys_too(pack: Pack) -> None:
    connection = {"host": "192.0.2.1", "hostKey": materials()["host_key"]}
    through = {**connection, "proxy": {"host": "192.0.2.2"}}
    copied = pack.analyze("command:remote:CopyToRemote", "c", {"connection": {"host": "192.0.2.1"}})
    assert stopped_by(copied) == {"host-keys"}
    (found,) = pack.analyze(_REMOTE, "c", {"connection": secret(through)})
    assert "connection.proxy.hostKey" in found.message


def test_a_host_key_that_is_not_known_yet_is_one(pack: Pack) -> None:
    inputs = {"connection": {"host": "192.0.2.1", "hostKey": _UNKNOWN}}
    assert pack.analyze(_REMOTE, "c", inputs) == []


_SECRET_TEXTS = {
    "private key": f"text\n{materials()['key']}",
    "bootstrap token": "--token=abcdef.0123456789abcdef",
    "bearer token": "curl -H 'Authorization: Bearer 0123456789abcdef'",
}


@pytest.mark.parametrize("kind", _SECRET_TEXTS)
@pytest.mark.parametrize("where", ["create", "stdin", "environment", "triggers"])
def test_a_secret_in_the_open_is_stopped_and_not_shown(pack: Pack, kind: str, where: str) -> None:
    text = _SECRET_TEXTS[kind]
    value = {"environment": {"A": {"B": text}}, "triggers": ["x", text]}.get(where, text)
    inputs = {**opened(stacks.one()["n1-membership"].inputs), where: value}
    found = pack.analyze("command:local:Command", "c", inputs)
    assert stopped_by(found) == {"open-secrets"}
    paths = {"environment": "environment.A.B", "triggers": "triggers[1]"}
    assert f"c: {paths.get(where, where)}: holds a {kind} in the open" in found[0].message
    assert materials()["key"].splitlines()[1] not in found[0].message
    assert "0123456789abcdef" not in found[0].message
    # The same, declared as what it is.
    assert pack.analyze("command:local:Command", "c", {**inputs, where: secret(value)}) == []


@pytest.mark.parametrize("name", ["n1-credentials", "n1-prepare", "n1-membership"])
def test_a_step_whose_secret_input_lost_its_mark_is_stopped(pack: Pack, name: str) -> None:
    resource = stacks.with_secrets()[name]
    assert is_secret(resource.inputs["stdin"])
    key = f"{materials()['key']}"
    stdin = f"{opened(resource.inputs['stdin'])}\n{key}"
    for value, stopped in ((secret(stdin), set()), (stdin, {"open-secrets"})):
        inputs = {**resource.inputs, "stdin": value}
        assert stopped_by(pack.analyze(resource.type, name, inputs)) == stopped


def test_a_key_in_the_open_connection_is_stopped(pack: Pack) -> None:
    connection = opened(stacks.with_secrets()["n1-units"].inputs["connection"])
    inputs = {**stacks.with_secrets()["n1-units"].inputs, "connection": connection}
    (found,) = pack.analyze(_REMOTE, "n1-units", inputs)
    assert "connection.privateKey: holds a private key in the open" in found.message


@pytest.mark.parametrize(
    "data",
    [
        {"data": {"usage-bootstrap-authentication": encoded("true")}},
        {"data": secret({"usage-bootstrap-authentication": encoded("true")})},
        {"data": {"usage-bootstrap-authentication": secret(encoded("true"))}},
        {"stringData": {"usage-bootstrap-authentication": "true"}},
        {"stringData": {"usage-bootstrap-signing": "true"}},
        {"data": {"token-secret": secret(encoded("0123456789abcdef"))}},
        {"data": {"token-secret": _UNKNOWN}},
    ],
    ids=str,
)
def test_a_token_that_is_declared_open_is_stopped(pack: Pack, data: Mapping[str, Any]) -> None:
    inputs = opened(stacks.one().resources["n1-token"].inputs) | data
    assert stopped_by(pack.analyze(_SECRET, "n1-token", inputs)) == {"closed-tokens"}
    by_name = {"metadata": {"name": "bootstrap-token-abcdef"}, **data}
    assert stopped_by(pack.analyze(_SECRET, "t", by_name)) == {"closed-tokens"}
    assert pack.analyze(_SECRET, "other", {"metadata": {"name": "other"}, **data}) == []


def _binding(role: str, *subjects: str, kind: str = "Group") -> dict[str, Any]:
    return {
        "roleRef": {"kind": "ClusterRole", "name": role},
        "subjects": [{"kind": kind, "name": name} for name in subjects],
    }


@pytest.mark.parametrize(
    ("inputs", "policy"),
    [
        (_binding(f"{_REQUESTS}nodeclient", "system:bootstrappers"), "auto-approval"),
        (_binding(f"{_REQUESTS}nodeclient", "system:nodes"), "auto-approval"),
        (_binding(f"{_REQUESTS}selfnodeclient", "system:nodes", "somebody"), "auto-approval"),
        (_binding("cluster-admin", "system:bootstrappers"), "cluster-admins"),
        (_binding("cluster-admin", "jane", kind="User"), "cluster-admins"),
        (_binding("view", "system:masters"), "cluster-admins"),
        (_binding(f"{_REQUESTS}selfnodeclient", "system:nodes"), None),
        (_binding("system:node-bootstrapper", "system:bootstrappers:kube-nodes"), None),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["ClusterRoleBinding", "RoleBinding", "ClusterRoleBindingPatch"])
def test_bindings_that_give_too_much_are_stopped(
    pack: Pack, kind: str, inputs: Mapping[str, Any], policy: str | None
) -> None:
    found = pack.analyze(f"kubernetes:rbac.authorization.k8s.io/v1:{kind}", "b", inputs)
    assert stopped_by(found) == ({policy} if policy else set())


@pytest.mark.parametrize(
    ("groups", "resources", "stopped"),
    [
        (["certificates.k8s.io"], ["certificatesigningrequests/nodeclient"], True),
        (["*"], ["certificatesigningrequests/selfnodeclient"], True),
        (["certificates.k8s.io"], ["*"], True),
        (["certificates.k8s.io"], ["certificatesigningrequests"], False),
        (["apps"], ["*"], False),
    ],
)
def test_a_role_that_approves_is_stopped(
    pack: Pack, groups: list[str], resources: list[str], stopped: bool
) -> None:
    rules = {"rules": [{"apiGroups": groups, "resources": resources, "verbs": ["create"]}]}
    kind = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
    found = stopped_by(pack.analyze(kind, "r", rules))
    assert found == ({"auto-approval"} if stopped else set())


def _units(old: str, new: str) -> dict[str, Any]:
    inputs = copy.deepcopy(opened(stacks.one()["n1-units"].inputs))
    assert old in inputs["stdin"]
    inputs["stdin"] = inputs["stdin"].replace(old, new)
    return {key: value for key, value in inputs.items() if key != "connection"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  anonymous:\n    enabled: false\n", "  anonymous:\n    enabled: true\n"),
        ("  anonymous:\n    enabled: false\n", ""),
        ("ExecStart=/usr/local/bin/kubelet ", "ExecStart=/usr/local/bin/kubelet --anonymous-auth "),
        (
            "ExecStart=/usr/local/bin/kubelet ",
            "ExecStart=/usr/local/bin/kubelet --anonymous-auth=true ",
        ),
        ("kind: KubeletConfiguration", "kind: Other"),
    ],
)
def test_a_kubelet_that_lets_everybody_in_is_stopped(pack: Pack, old: str, new: str) -> None:
    assert stopped_by(pack.analyze(_REMOTE, "n1-units", _units(old, new))) == {"anonymous-auth"}
    kept = stacks.one()["n1-units"].inputs
    assert pack.analyze(_REMOTE, "n1-units", kept) == []


def test_an_input_that_is_not_known_yet_stops_nothing(pack: Pack) -> None:
    inputs = {"stdin": _UNKNOWN, "create": _UNKNOWN, "connection": _UNKNOWN}
    assert pack.analyze(_REMOTE, "n1-units", inputs) == []


def _with_versions(*versions: str) -> list[Any]:
    graph = stacks.two()
    found = [each for each in graph.resources.values() if not each.name.endswith("-membership")]
    for number, version in enumerate(versions, 1):
        resource = graph[f"n{number}-membership"]
        inputs = merge(resource.inputs, {"environment": {"KUBE_NODES_VERSION": version}})
        found.append(replace(resource, inputs=inputs))
    return found


def test_kubelets_that_no_api_server_supports_together_are_stopped(pack: Pack) -> None:
    (found,) = pack.analyze_stack(_with_versions("v1.33.0", "v1.37.2"))
    assert (found.policy, found.is_mandatory) == ("supported-versions", True)
    assert "no API server supports both v1.33.0 and v1.37.2" in found.message
    assert pack.analyze_stack(_with_versions("v1.34.0", "v1.37.2")) == []


def test_a_declared_api_server_is_held_against_each_kubelet(pack: Pack) -> None:
    versions = _with_versions("v1.36.0", "v1.37.2")
    (found,) = pack.analyze_stack(versions, supported_versions={"apiServer": "1.36"})
    assert "n2: kubelet v1.37.2 is newer than the API server (1.36)" in found.message
    assert pack.analyze_stack(versions, supported_versions={"apiServer": "v1.37.1"}) == []


def _pool(**pool: Any) -> list[Any]:
    values = stacks.configuration(*range(1, 11))
    values["pools"]["workers"] |= pool
    return list(declare(values).resources.values())


@pytest.mark.parametrize(
    ("pool", "widest"),
    [
        ({"batch": "100%"}, 9),
        ({"batch": "60%"}, 6),
        ({"canary": 7, "batch": 1}, 7),
        ({"canary": 0, "batch": 10}, 10),
        ({"batch": "50%"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_a_wave_of_more_than_half_a_pool_is_stopped(
    pack: Pack, pool: Mapping[str, Any], widest: int | None
) -> None:
    found = pack.analyze_stack(_pool(**pool))
    assert stopped_by(found) == ({"narrow-waves"} if widest else set())
    if widest:
        assert f"workers: a wave of {widest} nodes of 10" in found[0].message


def test_how_wide_a_wave_may_be_is_configured(pack: Pack) -> None:
    resources = _pool()
    assert stopped_by(pack.analyze_stack(resources, narrow_waves={"mostPerCent": 20})) == {
        "narrow-waves"
    }
    wide = _pool(batch="60%")
    assert pack.analyze_stack(wide, narrow_waves={"mostPerCent": 60}) == []


def test_one_node_is_never_too_wide(pack: Pack) -> None:
    assert (
        pack.analyze_stack(stacks.one().resources.values(), narrow_waves={"mostPerCent": 1}) == []
    )
