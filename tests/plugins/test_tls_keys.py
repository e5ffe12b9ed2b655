"""The tls stand-in's keys and requests, asked for over its gRPC interface.

Sources: terraform-provider-tls, internal/provider/resource_private_key.go, resource_cert_request.go
and common_key.go; pulumi-tls, the calls recorded in provider/testdata/recorded.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import asyncssh
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from pulumi.runtime.proto import provider_pb2

from lab.plugins.values import UNKNOWN, Secret, reveal, to_struct
from tests.plugins.driver import Driver
from tests.plugins.tls import KEY, REQUEST, SELF_SIGNED, make_key

ALGORITHMS = [
    {"algorithm": "RSA"},
    {"algorithm": "ECDSA"},
    {"algorithm": "ECDSA", "ecdsaCurve": "P384"},
    {"algorithm": "ED25519"},
]


@pytest.fixture(scope="module")
def plugin() -> Iterator[Driver]:
    with Driver("lab.plugins.tls") as driver:
        yield driver


@pytest.mark.parametrize("inputs", ALGORITHMS, ids=str)
def test_a_key_has_every_form(plugin: Driver, inputs: dict[str, Any]) -> None:
    """common_key.go, setPublicKeyAttributes: id is the SHA-1 of the public key's DER."""
    id_, state = plugin.create(KEY, inputs)

    loaded = serialization.load_pem_public_key(state["publicKeyPem"].encode())
    der = loaded.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert id_ == state["id"] == hashlib.sha1(der.strip()).hexdigest()  # noqa: S324
    for name in ("privateKeyPem", "privateKeyPemPkcs8"):
        private = serialization.load_pem_private_key(state[name].value.encode(), None)
        assert private.public_key() == loaded


@pytest.mark.parametrize(
    ("inputs", "header"),
    [
        ({"algorithm": "RSA"}, "RSA PRIVATE KEY"),
        ({"algorithm": "ECDSA"}, "EC PRIVATE KEY"),
        ({"algorithm": "ED25519"}, "PRIVATE KEY"),
    ],
)
def test_a_key_is_in_the_form_of_its_algorithm(
    plugin: Driver, inputs: dict[str, Any], header: str
) -> None:
    """resource_private_key.go, Create: PKCS#1, SEC 1, or PKCS#8 for Ed25519."""
    _, state = plugin.create(KEY, inputs)

    assert state["privateKeyPem"].value.startswith(f"-----BEGIN {header}-----\n")
    assert state["privateKeyPemPkcs8"].value.startswith("-----BEGIN PRIVATE KEY-----\n")


@pytest.mark.parametrize("inputs", [ALGORITHMS[0], *ALGORITHMS[2:]], ids=str)
def test_the_openssh_forms_are_those_of_the_key(plugin: Driver, inputs: dict[str, Any]) -> None:
    """common_key.go: an authorized_keys line that ends with a newline, and its fingerprints."""
    _, state = plugin.create(KEY, inputs)

    key = asyncssh.import_private_key(state["privateKeyOpenssh"].value)
    line = state["publicKeyOpenssh"]
    assert line.endswith("\n")
    assert asyncssh.import_public_key(line) == key.convert_to_public()
    assert key.get_fingerprint("md5") == f"MD5:{state['publicKeyFingerprintMd5']}"
    assert key.get_fingerprint() == state["publicKeyFingerprintSha256"]


def test_p224_has_no_openssh_form(plugin: Driver) -> None:
    """common_key.go: x/crypto/ssh does not know the curve, so these outputs are empty."""
    _, state = plugin.create(KEY, {"algorithm": "ECDSA"})

    assert state["ecdsaCurve"] == "P224"
    assert reveal(state["privateKeyOpenssh"]) == state["publicKeyOpenssh"] == ""


def test_private_keys_are_secret_and_public_ones_are_not(plugin: Driver) -> None:
    """resource_private_key.go, Schema: Sensitive."""
    _, state = plugin.create(KEY, {"algorithm": "ED25519"})

    secret = {name for name, value in state.items() if isinstance(value, Secret)}
    assert secret == {"privateKeyPem", "privateKeyOpenssh", "privateKeyPemPkcs8"}
    assert "PRIVATE" not in str({name: state[name] for name in state.keys() - secret})


def test_a_key_has_both_defaults_whatever_its_algorithm(plugin: Driver) -> None:
    """Recorded calls: rsaBits 2048 and ecdsaCurve P224 are outputs of every key."""
    _, state = plugin.create(KEY, {"algorithm": "ED25519"})

    assert (state["rsaBits"], state["ecdsaCurve"]) == (2048, "P224")


@pytest.mark.parametrize(
    "change", [{"algorithm": "RSA"}, {"rsaBits": 4096}, {"ecdsaCurve": "P521"}]
)
def test_a_changed_key_setting_replaces(plugin: Driver, change: dict[str, Any]) -> None:
    """resource_private_key.go, Schema: RequiresReplace."""
    _, state = plugin.create(KEY, {"algorithm": "ED25519"})

    diff = plugin.diff(KEY, reveal(state), {}, {"algorithm": "ED25519", **change})

    assert list(diff.replaces) == list(change)
    assert not diff.deleteBeforeReplace


def test_a_request_has_its_subject_and_names(plugin: Driver) -> None:
    """resource_cert_request.go, Create; common_cert.go, createSubjectDistinguishedNames."""
    inputs = {
        "privateKeyPem": make_key(plugin, algorithm="RSA"),
        "subject": {
            "commonName": "system:node:n1",
            "organization": "system:nodes",
            "organizationalUnit": "racks",
            "streetAddresses": ["1 Main St", "Floor 2"],
            "country": "CH",
        },
        "dnsNames": ["n1.example.org"],
        "ipAddresses": ["10.0.0.1", "fd00::1"],
        "uris": ["spiffe://example.org/n1"],
    }

    id_, state = plugin.create(REQUEST, inputs)

    request = x509.load_pem_x509_csr(state["certRequestPem"].encode())
    assert request.is_signature_valid
    assert isinstance(request.signature_hash_algorithm, hashes.SHA256)
    assert request.subject.rfc4514_string() == (
        "CN=system:node:n1,STREET=Floor 2,STREET=1 Main St,OU=racks,O=system:nodes,C=CH"
    )
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["n1.example.org"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == inputs["ipAddresses"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == inputs["uris"]
    der = request.public_bytes(serialization.Encoding.DER)
    assert id_ == hashlib.sha1(der.strip()).hexdigest()  # noqa: S324
    assert state["keyAlgorithm"] == "RSA"


def test_a_request_without_names_has_no_extension(plugin: Driver) -> None:
    inputs = {"privateKeyPem": make_key(plugin), "subject": {"commonName": "system:kube-proxy"}}

    _, state = plugin.create(REQUEST, inputs)

    assert not list(x509.load_pem_x509_csr(state["certRequestPem"].encode()).extensions)


def test_the_key_of_a_request_is_secret_in_inputs_and_outputs(plugin: Driver) -> None:
    """Recorded calls: Check marks privateKeyPem as secret, and so does Create."""
    inputs = {"privateKeyPem": make_key(plugin), "subject": {"commonName": "x"}}

    assert plugin.check(REQUEST, inputs)["privateKeyPem"] == Secret(inputs["privateKeyPem"])
    assert plugin.create(REQUEST, inputs)[1]["privateKeyPem"] == Secret(inputs["privateKeyPem"])


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"subject": {"commonName": "y"}}, "subject.commonName"),
        ({"subject": {"commonName": "x", "organization": "o"}}, "subject.organization"),
        ({"dnsNames": ["a"]}, "dnsNames"),
        ({"privateKeyPem": UNKNOWN}, "privateKeyPem"),
    ],
)
def test_a_changed_request_replaces(plugin: Driver, change: dict[str, Any], path: str) -> None:
    """resource_cert_request.go: RequiresReplace; a key that is not known yet counts as changed."""
    inputs = {"privateKeyPem": make_key(plugin), "subject": {"commonName": "x"}}
    _, state = plugin.create(REQUEST, inputs)

    diff = plugin.diff(REQUEST, reveal(state), inputs, {**inputs, **change})

    assert list(diff.replaces) == list(change)
    assert list(diff.detailedDiff) == [path]


@pytest.mark.parametrize(
    ("where", "inputs", "failures"),
    [
        (KEY, {}, {"algorithm": "is required"}),
        (KEY, {"algorithm": "DSA"}, {"algorithm": "'DSA' is not one of RSA, ECDSA, ED25519"}),
        (KEY, {"algorithm": "ECDSA", "ecdsaCurve": "P-256"}, {"ecdsaCurve": "is not one of P224"}),
        (REQUEST, {"privateKeyPem": "x", "subject": {"cn": "y"}}, {"subject": "cn is not a field"}),
        (REQUEST, {"privateKeyPem": "x", "ipAddresses": ["::g"]}, {"ipAddresses": "'::g' is not"}),
        (REQUEST, {"privateKeyPemWo": "x"}, {"privateKeyPemWo": "is not", "privateKeyPem": ""}),
        (
            SELF_SIGNED,
            {"privateKeyPem": "x", "validityPeriodHours": -1, "allowedUses": ["all"]},
            {"validityPeriodHours": "at least 0", "allowedUses": "'all' is not one of any_ext"},
        ),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_wrong_inputs_are_refused(
    plugin: Driver, where: str, inputs: dict[str, Any], failures: dict[str, str]
) -> None:
    answer = plugin.stub.Check(provider_pb2.CheckRequest(urn=where, news=to_struct(inputs)))

    found = {one.property: one.reason for one in answer.failures}
    assert found.keys() == failures.keys()
    assert all(reason in found[name] for name, reason in failures.items())
