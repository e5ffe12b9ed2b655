"""What a change of a node does, by the resources that it changes: the table in docs/operations.md.

A step that changes runs again; one that does not is not contacted.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import make_key
from tests.components.recording import Graph, declare, opened
from tests.components.stacks import configuration, node, of_node
from tests.configurations import certificate, materials

_COMMANDS = {"n1-preflight", "n1-credentials", "n1-units", "n1-service-check"}
# The scripts are sent again to what may be another host.
_SSH = _COMMANDS | {"n1-scripts"}
# Membership asks the host why its Node does not come.
_WAY = _SSH | {"n1-membership"}
_API = {"n1-prepare", "n1-membership"}
_TOKEN = {"n1-token-id", "n1-token-secret"}

# The row's first cell; the change of n1; what of the node as a whole a preview shows; what changes.
_ROWS: list[tuple[str, dict[str, Any], set[str], set[str]]] = [
    # The first look at it, prepare and membership know the addresses of its serving certificate.
    ("`address`", {"address": "192.0.2.9"}, {"address"}, _SSH | _API),
    ("`hostKey`", {"hostKey": node(9)["hostKey"]}, {"hostKey"}, _WAY),
    ("`ssh.user`", {"options": {"ssh": {"user": "admin"}}}, {"sshUser"}, _WAY),
    ("`ssh.port`", {"options": {"ssh": {"port": 2222}}}, {"sshPort"}, _WAY),
    (
        "`ssh.jump`",
        {"options": {"ssh": {"jump": {"address": "192.0.2.8", "hostKey": node(8)["hostKey"]}}}},
        {"sshJump"},
        _WAY,
    ),
    ("`nodeIp`", {"nodeIp": "192.0.2.9"}, set(), {"n1-units", *_API}),
    (
        "`generation`",
        {"generation": 2},
        {"generation"},
        {"n1-scripts", "n1-credentials", "n1-units", *_API, *_TOKEN},
    ),
    (
        "`reapply`",
        {"reapply": 1},
        set(),
        {"n1-scripts", "n1-prepare", "n1-credentials", "n1-units"},
    ),
    (
        "`kubeletCertificateEpoch`",
        {"options": {"kubeletCertificateEpoch": 2}},
        set(),
        {"n1-units"},
    ),
    ("`labels`", {"options": {"labels": {"a": "b"}}}, set(), {"n1-membership"}),
    ("`taints`", {"options": {"taints": ["a=b:NoSchedule"]}}, set(), {"n1-membership"}),
    ("`maxPods`", {"options": {"maxPods": 50}}, set(), {"n1-units"}),
    ("`drainTimeoutSeconds`", {"options": {"drainTimeoutSeconds": 9}}, set(), _API),
    ("`joinTimeoutSeconds`", {"options": {"joinTimeoutSeconds": 90}}, set(), {"n1-membership"}),
]
_OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def changed(before: Graph, after: Graph) -> dict[str, set[str]]:
    """Tell which inputs of which resources differ; of a resource that is new or gone: all."""
    old, new = before.inputs(), after.inputs()
    found = {}
    for key in old.keys() | new.keys():
        one, other = opened(old.get(key, {})), opened(new.get(key, {}))
        names = {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}
        if names or (key in old) != (key in new):
            found[key] = names
    return {key: names for key, names in found.items() if "-wave-" not in key}


@pytest.mark.parametrize(("row", "change", "shown", "steps"), _ROWS, ids=[row[0] for row in _ROWS])
def test_a_change_runs_these_steps_of_that_node_and_no_others(
    row: str, change: dict[str, Any], shown: set[str], steps: set[str]
) -> None:
    before = declare(configuration(1, 2))
    after = declare(configuration(1, 2, **of_node("n1", **change)))
    found = changed(before, after)
    assert found.pop("WorkerNode n1", set()) == shown
    assert set(found) == steps
    assert row in _OPERATIONS.read_text()


def test_the_host_key_and_the_way_there_are_all_that_a_connection_changes() -> None:
    """Its scripts stay as they are: they find nothing to do."""
    before = declare(configuration(1, 2))
    for change in ({"hostKey": node(9)["hostKey"]}, {"options": {"ssh": {"port": 2222}}}):
        found = changed(before, declare(configuration(1, 2, **of_node("n1", **change))))
        assert {key: names for key, names in found.items() if key in _COMMANDS} == {
            step: {"connection"} for step in _COMMANDS
        }


def test_another_id_is_one_node_that_goes_and_one_that_comes() -> None:
    before = declare(configuration(1, 2))
    values = configuration(1, 2)
    nodes = values["pools"]["workers"]["nodes"]
    nodes["n9"] = nodes.pop("n1")
    found = changed(before, declare(values))
    gone = {each.key for each in before.of_node("n1")}
    assert {key for key in found if "n9" not in key} == gone


def test_another_certificate_of_kube_proxy_changes_what_is_secret_of_every_node() -> None:
    before = declare(configuration(1, 2))
    found = changed(before, declare(configuration(1, 2, kubeProxyCertificate={"epoch": 2})))
    own = {key for key in found if not key.startswith("kube-proxy-")}
    assert own == {"n1-credentials", "n2-credentials"}


def test_another_ca_beside_the_first_changes_what_hosts_trust_and_no_certificate() -> None:
    """The first of several is the one that signs."""
    secrets = {"caKey": materials()["ca_key"]}
    values = configuration(1, kubeProxyCertificate={"issuer": "ca"})
    both = values | {"caCertificate": values["caCertificate"] + _other_ca()}
    found = changed(declare(values, secrets), declare(both, secrets))
    assert set(found) == {"n1-preflight", "n1-credentials", "n1-units", "n1-service-check"}


def test_what_proves_a_node_runs_again_after_each_of_both_scripts() -> None:
    graph = declare(configuration(1))
    for step in ("n1-membership", "n1-service-check"):
        assert {"n1-credentials", "n1-units"} <= graph.after(step), step


def test_another_pool_changes_what_the_cluster_knows_and_no_host() -> None:
    values = configuration(1, 2, 3)
    nodes = values["pools"]["workers"]["nodes"]
    before = declare(values | {"pools": {"workers": {"nodes": nodes}, "more": {"nodes": {}}}})
    moved = {"workers": {"nodes": dict(nodes)}, "more": {"nodes": {"n1": nodes["n1"]}}}
    del moved["workers"]["nodes"]["n1"]
    found = changed(before, declare(values | {"pools": moved}))
    assert found["WorkerNode n1"] == {"pool"}
    # Its label of the pool is declared by whoever wants it; its drains count in the new one.
    assert set(found) == {"WorkerNode n1", *_API}


def test_an_agents_key_is_in_no_input_and_a_stored_one_is_in_every_connection() -> None:
    key = {"sshPrivateKey": _new_key()}
    found = changed(declare(configuration(1)), declare(configuration(1), key))
    # Membership asks nothing of a host that it has no agent for.
    assert found.pop("n1-membership") == {"stdin"}
    assert found == {step: {"connection"} for step in _SSH}


def _other_ca() -> str:
    key = make_key()
    return certificate(key, key)


def _new_key() -> str:
    text: str = materials()["ssh_key"]
    return text


def test_every_row_of_the_table_has_a_test() -> None:
    section = _OPERATIONS.read_text().partition("## What a change does")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`\w+(?:\.\w+)*`)", section, re.MULTILINE)
    tested = {row[0] for row in _ROWS} | {"`id`", "`pool`", "`sshPrivateKey`", "`lost`", "`held`"}
    tested |= {"`kubernetesVersion`", "`maxUnavailable`", "`kubeProxyCertificate.epoch`"}
    tested |= {"`caCertificate`"}
    assert rows and set(rows) == tested
