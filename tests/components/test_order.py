"""What waits for what: each dependency that orders a node's life has a test that needs it.

A destroy goes the other way round: what waits here is deleted first there.
"""

from __future__ import annotations

import pytest

from tests.components.stacks import STEPS, Stack, one, proxy_only, twenty, with_secrets

_BINDINGS = {"rbac-node-bootstrapper", "rbac-node-client-renewal"}


def test_a_host_is_looked_at_before_its_token_opens() -> None:
    assert "n1-preflight" in one().after("n1-prepare")


def test_the_closed_token_is_there_before_it_is_opened() -> None:
    assert "n1-token" in one().after("n1-prepare")


def test_the_token_is_open_before_anything_on_the_host_changes() -> None:
    assert "n1-prepare" in one().after("n1-credentials")


def test_credentials_are_there_before_what_reads_them_starts() -> None:
    assert "n1-credentials" in one().after("n1-units")


def test_a_kubelet_runs_before_its_requests_are_waited_for() -> None:
    assert "n1-units" in one().after("n1-membership")


def test_a_service_is_asked_for_once_the_node_is_ready() -> None:
    assert "n1-membership" in one().after("n1-service-check")


def test_the_bindings_are_there_before_any_pool() -> None:
    assert one().after("NodePool workers") >= _BINDINGS


@pytest.mark.parametrize("stack", [one, proxy_only, with_secrets])
def test_the_bindings_are_there_before_anything_of_a_node(stack: Stack) -> None:
    graph = stack()
    for resource in graph.of_node("n1"):
        assert graph.transitively_after(resource.key) >= _BINDINGS, resource.key


@pytest.mark.parametrize("step", ["prepare", "credentials", "units"])
def test_membership_runs_again_after_each_run_of_a_step_before_it(step: str) -> None:
    """What a step printed is in its input: also of a step that went back to older content."""
    graph = one()
    assert graph[f"n1-{step}"].urn in graph["n1-membership"].by_property["stdin"]


def test_the_service_is_asked_again_after_each_run_of_the_units() -> None:
    graph = one()
    assert graph["n1-units"].urn in graph["n1-service-check"].by_property["stdin"]


def test_what_previews_show_of_the_units_waits_for_nothing_unknown() -> None:
    """Else the diff of a preview would hide it."""
    assert not one()["n1-units"].by_property.get("stdin")
    assert not one()["n1-preflight"].by_property.get("stdin")


@pytest.mark.parametrize("stack", [one, with_secrets])
def test_credentials_wait_for_kube_proxys_certificate_and_key(stack: Stack) -> None:
    graph = stack()
    expected = {"kube-proxy-certificate-1", "kube-proxy-key-1"}
    assert expected <= graph.after("n1-credentials")
    assert graph.after("kube-proxy-certificate-1") == {"kube-proxy-request-1"}


def test_a_node_that_runs_a_web_server_is_checked_once_its_service_is_there() -> None:
    assert "service-check-service" in with_secrets().after("n1-service-check")


def test_a_node_without_a_kubelet_goes_from_check_to_credentials_to_units_to_the_service() -> None:
    graph = proxy_only()
    assert "n2-preflight" in graph.after("n2-credentials")
    assert "n2-credentials" in graph.after("n2-units")
    assert "n2-units" in graph.after("n2-service-check")


def test_the_steps_of_a_node_are_in_one_line() -> None:
    graph = one()
    for number, step in enumerate(STEPS):
        earlier = {f"n1-{each}" for each in STEPS[:number]}
        later = {f"n1-{each}" for each in STEPS[number:]}
        assert earlier <= graph.transitively_after(f"n1-{step}")
        assert not later & graph.transitively_after(f"n1-{step}")


def test_no_new_node_waits_for_another() -> None:
    graph = twenty()
    own = {number: {each.key for each in graph.of_node(f"n{number}")} for number in range(1, 21)}
    for number, keys in own.items():
        others = set().union(*(own[other] for other in own if other != number))
        for key in keys:
            assert not graph.transitively_after(key) & others


def test_edges_do_not_grow_with_the_number_of_nodes() -> None:
    edges = [
        len(twenty()[f"n{number}-{step}"].dependencies) for number in (1, 20) for step in STEPS
    ]
    assert edges == 2 * [len(one()[f"n1-{step}"].dependencies) for step in STEPS]
