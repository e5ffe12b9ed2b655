"""What is read from Pulumi's store of the configuration."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from kube_nodes.settings import ConfigurationError, read_secret, read_settings
from tests.configurations import materials, right_configuration
from tests.unit.settings_store import store, stored

__all__ = ["stored"]  # a fixture

_CA_KEY = {"caKey": materials()["ca_key"]}


def test_strings_numbers_and_structures_arrive_as_they_were_written(stored: Any) -> None:
    store(right_configuration(clusterName="1.5"))

    got = read_settings()

    assert got.cluster_name == "1.5"
    assert [node.id for node in got.nodes] == ["n1", "n2"]


def test_keys_of_another_namespace_are_left_alone(stored: Any) -> None:
    store(right_configuration())

    assert read_settings().server == "https://192.0.2.10:6443"


def test_unknown_keys_are_told_with_what_was_meant_and_never_with_their_value(stored: Any) -> None:
    store(right_configuration(podCIDRs=["10.0.0.0/8"], cakey="s3cret", colour="s3cret"))

    with pytest.raises(ConfigurationError) as raised:
        read_settings()

    assert raised.value.faults == [
        "kube-nodes:cakey: is not a known key; did you mean caKey?",
        "kube-nodes:colour: is not a known key; remove it",
        "kube-nodes:podCIDRs: is not a known key; did you mean podCidrs?",
    ]


def test_keys_in_the_environment_count_too(stored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store(right_configuration())
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps({"kube-nodes:serviceCIDR": "x"}))

    with pytest.raises(ConfigurationError, match="did you mean serviceCidrs"):
        read_settings()


def test_a_secret_key_that_is_stored_in_the_open_is_refused(stored: Any) -> None:
    store(right_configuration(sshPrivateKey=materials()["ssh_key"]))

    with pytest.raises(ConfigurationError) as raised:
        read_settings()

    assert raised.value.faults == [
        "kube-nodes:sshPrivateKey: is stored in the open; set it with --secret, and use a new key"
    ]


def test_an_open_key_that_is_stored_as_a_secret_is_refused(stored: Any) -> None:
    values = right_configuration()
    store(values, {"server": values.pop("server")})

    with pytest.raises(ConfigurationError) as raised:
        read_settings()

    assert raised.value.faults == [
        "kube-nodes:server: holds a secret, which previews would show; set it with --plaintext"
    ]


def test_a_secret_that_is_no_key_is_told_without_its_text(stored: Any) -> None:
    store(right_configuration(maxPods=1), {"caKey": "s3cret"})

    with pytest.raises(ConfigurationError) as raised:
        read_settings()

    assert raised.value.faults == [
        "kube-nodes:maxPods: is not a known key; did you mean options.maxPods?",
        "kube-nodes:caKey: is not a private key; give the whole file, BEGIN to END",
    ]


@pytest.mark.parametrize(("issuer", "warnings"), [("cluster", 1), ("ca", 0)])
def test_a_ca_key_that_nothing_uses_is_warned_of(
    stored: Any, monkeypatch: pytest.MonkeyPatch, issuer: str, warnings: int
) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", told.append)
    store(right_configuration(kubeProxyCertificate={"issuer": issuer}), _CA_KEY)

    read_settings()

    assert told == warnings * [
        "kube-nodes:caKey: is not used by the issuer cluster; "
        "remove it with `pulumi config rm kube-nodes:caKey`"
    ]


def test_a_secret_stays_one_when_it_is_read(stored: Any) -> None:
    store(right_configuration(), {"sshPrivateKey": materials()["ssh_key"]})

    read_settings()
    secret = read_secret("sshPrivateKey")

    assert isinstance(secret, pulumi.Output)
    assert read_secret("caKey") is None
