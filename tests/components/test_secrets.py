"""What is secret is marked so wherever it goes, and nothing else is: previews stay readable."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from tests.components.outputs import KUBE_PROXY_KEY, STATIC_TOKEN, TOKEN_SECRET
from tests.components.recording import Graph, Resource, is_secret, open_texts, opened
from tests.components.stacks import SECRETS, Stack, one, proxy_only, static, twenty, with_secrets

_GRAPHS = pytest.mark.parametrize("stack", [one, proxy_only, static, with_secrets])


def _markers() -> Iterator[str]:
    """Pieces of every secret: as it is, and as base64 may hold it at any offset."""
    for secret in (TOKEN_SECRET, STATIC_TOKEN, KUBE_PROXY_KEY, *SECRETS.values()):
        body = max(secret.splitlines(), key=len)
        yield body
        for offset in range(3):
            inner = body[offset : offset + len(body[offset:]) // 3 * 3]
            yield base64.b64encode(inner.encode()).decode()


def _found(text: str) -> list[str]:
    return [marker for marker in _markers() if marker in text]


def test_the_search_finds_each_secret_where_it_belongs() -> None:
    graph = with_secrets()
    assert _found(opened(graph["n1-prepare"].inputs)["stdin"])
    assert len(_found(opened(graph["n1-credentials"].inputs)["stdin"])) >= 2
    assert _found(json.dumps(opened(graph["n1-units"].inputs["connection"]))), "the SSH key"
    assert _found(opened(graph["kube-proxy-certificate-1"].inputs)["caPrivateKeyPem"])


@_GRAPHS
def test_no_secret_is_in_an_open_input_a_name_or_a_urn(stack: Stack) -> None:
    graph = stack()
    for resource in graph.resources.values():
        for text in (resource.name, resource.urn, *open_texts(resource.inputs)):
            assert _found(text) == [], resource.key


@_GRAPHS
def test_no_secret_is_in_the_stacks_outputs(stack: Stack) -> None:
    graph = stack()
    shown = {key: each for key, each in graph.outputs.items() if key not in graph.secret_outputs}
    assert _found(json.dumps(shown)) == []


@_GRAPHS
def test_the_outputs_that_are_meant_to_be_read_can_be(stack: Stack) -> None:
    assert {"nodes", "kubeProxyCertificateExpires"} <= stack().outputs.keys()
    # The inventory is hidden only because it is long.
    assert stack().secret_outputs <= {"inventory", "staticTokenCsv"}


@_GRAPHS
def test_what_holds_credentials_is_secret_as_a_whole(stack: Stack) -> None:
    graph = stack()
    for key, resource in graph.resources.items():
        if key.endswith(("-prepare", "-credentials", "-membership")):
            assert is_secret(resource.inputs["stdin"]), key


@_GRAPHS
def test_what_a_reviewer_reads_is_open_and_nothing_secret_is_mixed_in(stack: Stack) -> None:
    graph = stack()
    for key, resource in graph.resources.items():
        if key.endswith(("-units", "-preflight", "-service-check")) and resource.custom:
            assert isinstance(resource.inputs["stdin"], str), key


def test_labels_taints_and_version_are_open() -> None:
    environment = one()["n1-membership"].inputs["environment"]
    assert environment["KUBE_NODES_VERSION"] == "v1.37.2"
    assert set(environment) == {"KUBE_NODES_LABELS", "KUBE_NODES_TAINTS", "KUBE_NODES_VERSION"}


@_GRAPHS
def test_every_connection_is_secret_and_checks_the_hosts_key(stack: Stack) -> None:
    graph = stack()
    for key, resource in graph.resources.items():
        if resource.type.startswith("command:remote:"):
            assert is_secret(resource.inputs["connection"]), key
            connection = opened(resource.inputs["connection"])
            assert connection["hostKey"].startswith("ssh-ed25519 ")
            assert "connection" in resource.secret_outputs


def test_without_an_ssh_key_the_agent_of_the_environment_is_used() -> None:
    connection = opened(one()["n1-units"].inputs["connection"])
    assert {"privateKey", "agentSocketPath", "password"}.isdisjoint(connection)


def test_with_an_ssh_key_it_is_in_every_connection_and_nowhere_else() -> None:
    key = SECRETS["sshPrivateKey"]
    for resource in with_secrets().resources.values():
        inputs = opened(resource.inputs)
        if resource.type.startswith("command:remote:"):
            assert inputs.pop("connection")["privateKey"] == key
        assert _found(json.dumps(inputs)).count(max(key.splitlines(), key=len)) == 0


def test_what_credentials_print_is_secret() -> None:
    assert one()["n1-credentials"].secret_outputs >= {"stdout", "stderr"}


def test_what_the_units_print_is_open_or_the_service_check_would_be_hidden() -> None:
    assert not one()["n1-units"].secret_outputs & {"stdout", "stderr"}


def test_the_tokens_secret_comes_from_a_password_whose_value_is_secret() -> None:
    """RandomBytes and RandomId show their value as their ID, RandomString in the open."""
    resource = one()["n1-token-secret"]
    assert resource.type.endswith(":RandomPassword")
    assert "result" in resource.secret_outputs


def test_each_node_has_a_token_of_its_own() -> None:
    names = {each.inputs["metadata"]["name"] for each in _tokens(twenty())}
    assert len(names) == len(list(_tokens(twenty()))) == 20


def _tokens(graph: Graph) -> Iterator[Resource]:
    return (each for each in graph.resources.values() if each.type == "kubernetes:core/v1:Secret")


def test_with_the_clusters_own_issuer_the_cas_key_is_nowhere() -> None:
    everything = json.dumps(opened(one().inputs()))
    assert "caPrivateKey" not in everything
    assert max(SECRETS["caKey"].splitlines(), key=len) not in everything
