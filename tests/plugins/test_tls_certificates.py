"""The tls stand-in's certificates, asked for over its gRPC interface.

Sources: terraform-provider-tls, internal/provider/resource_locally_signed_cert.go,
resource_self_signed_cert.go and common_cert.go.
"""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kube_nodes.model.certificate_requests import judge_user
from kube_nodes.model.client_certificates import find_certificate_faults
from lab.plugins.values import UNKNOWN, Secret, reveal
from tests.plugins.driver import Driver
from tests.plugins.tls import REQUEST, SELF_SIGNED, SIGNED, make_key


@pytest.fixture(scope="module")
def plugin() -> Iterator[Driver]:
    with Driver("lab.plugins.tls") as driver:
        yield driver


@pytest.fixture(scope="module")
def authority(plugin: Driver) -> dict[str, Any]:
    """The inputs by which a LocallySignedCert names its CA."""
    key = make_key(plugin)
    inputs = {
        "privateKeyPem": key,
        "subject": {"commonName": "lab CA", "organization": "kube-nodes"},
        "isCaCertificate": True,
        "allowedUses": ["cert_signing", "crl_signing"],
        "validityPeriodHours": 24,
    }
    certificate = plugin.create(SELF_SIGNED, inputs)[1]["certPem"]
    return {"caPrivateKeyPem": key, "caCertPem": certificate}


@pytest.fixture(scope="module")
def signed_inputs(plugin: Driver, authority: dict[str, Any]) -> dict[str, Any]:
    """Inputs of the kube-proxy's certificate."""
    request = {"privateKeyPem": make_key(plugin), "subject": {"commonName": "system:kube-proxy"}}
    return {
        **authority,
        "certRequestPem": plugin.create(REQUEST, request)[1]["certRequestPem"],
        "validityPeriodHours": 10,
        "allowedUses": ["client_auth", "digital_signature", "key_encipherment"],
    }


def test_a_signed_certificate_has_what_was_asked_for(
    plugin: Driver, signed_inputs: dict[str, Any]
) -> None:
    """common_cert.go, createCertificate."""
    id_, state = plugin.create(SIGNED, signed_inputs)

    certificate = x509.load_pem_x509_certificate(state["certPem"].encode())
    request = x509.load_pem_x509_csr(signed_inputs["certRequestPem"].encode())
    assert certificate.subject == request.subject
    assert certificate.public_key() == request.public_key()
    assert str(certificate.serial_number) == id_ == state["id"]
    extensions = certificate.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert not constraints.value.ca
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert (usage.value.digital_signature, usage.value.key_encipherment) == (True, True)
    assert not usage.value.key_cert_sign
    extended = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert state["caKeyAlgorithm"] == "ECDSA"
    assert state["caPrivateKeyPem"] == Secret(signed_inputs["caPrivateKeyPem"])
    assert (state["readyForRenewal"], state["isCaCertificate"]) == (False, False)


def test_the_manuals_names_are_in_the_certificate_and_the_ca_vouches_for_it(
    plugin: Driver, signed_inputs: dict[str, Any]
) -> None:
    """What the issuer `ca` declares, held against the rule that every host's copy has passed."""
    subject = {
        "commonName": "system:kube-proxy",
        "country": "CN",
        "province": "ShangHai",
        "locality": "ShangHai",
        "organization": "k8s",
        "organizationalUnit": "paas",
    }
    asked = {"privateKeyPem": make_key(plugin, algorithm="RSA"), "subject": subject}
    request = plugin.create(REQUEST, asked)[1]["certRequestPem"]
    _, state = plugin.create(SIGNED, {**signed_inputs, "certRequestPem": request})

    names = ("C=CN", "ST=ShangHai", "L=ShangHai", "O=k8s", "OU=paas", "CN=system:kube-proxy")
    ca = signed_inputs["caCertPem"]
    faults = find_certificate_faults(
        state["certPem"], request=request, names=names, ca_certificates=ca
    )
    assert list(faults) == []
    assert judge_user(request.encode(), "system:kube-proxy", names[:-1]).approve
    key = x509.load_pem_x509_certificate(state["certPem"].encode()).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 2048


def test_a_certificate_says_when_it_is_valid(plugin: Driver, signed_inputs: dict[str, Any]) -> None:
    """common_cert.go: RFC 3339 times, validityPeriodHours apart, from now on."""
    _, state = plugin.create(SIGNED, signed_inputs)

    certificate = x509.load_pem_x509_certificate(state["certPem"].encode())
    start, end = (
        datetime.fromisoformat(state[name]) for name in ("validityStartTime", "validityEndTime")
    )
    assert end - start == timedelta(hours=10)
    assert abs(datetime.now(UTC) - start) < timedelta(seconds=30)
    assert certificate.not_valid_after_utc == end.replace(microsecond=0)


def test_openssl_accepts_the_chain(
    plugin: Driver, signed_inputs: dict[str, Any], tmp_path: Path
) -> None:
    _, state = plugin.create(SIGNED, signed_inputs)
    files = {"ca.crt": signed_inputs["caCertPem"], "client.crt": state["certPem"]}
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile"]
    shown = subprocess.run(
        [*command, "ca.crt", "client.crt"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert shown.stdout == "client.crt: OK\n", shown.stderr


def test_an_rsa_authority_signs_too_and_the_issuer_is_its_subject(plugin: Driver) -> None:
    key = make_key(plugin, algorithm="RSA")
    inputs = {
        "privateKeyPem": key,
        "subject": {"commonName": "lab CA"},
        "isCaCertificate": True,
        "allowedUses": ["cert_signing"],
        "validityPeriodHours": 24,
        "maxPathLength": 1,
    }
    pem = plugin.create(SELF_SIGNED, inputs)[1]["certPem"]
    request = {"privateKeyPem": make_key(plugin, algorithm="ED25519"), "dnsNames": ["a.example"]}
    asked = plugin.create(REQUEST, request)[1]["certRequestPem"]
    signing = {"caPrivateKeyPem": key, "caCertPem": pem, "certRequestPem": asked}

    _, state = plugin.create(
        SIGNED, {**signing, "validityPeriodHours": 1, "allowedUses": ["server_auth"]}
    )

    authority = x509.load_pem_x509_certificate(pem.encode())
    certificate = x509.load_pem_x509_certificate(state["certPem"].encode())
    certificate.verify_directly_issued_by(authority)
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 1)
    own = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    issuer = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert issuer.key_identifier == own.digest
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.critical, "RFC 5280: there is no subject"
    assert state["caKeyAlgorithm"] == "RSA"


@pytest.mark.parametrize(
    "change",
    [
        {"validityPeriodHours": 11},
        {"allowedUses": ["client_auth"]},
        {"isCaCertificate": True},
        {"setSubjectKeyId": True},
        {"certRequestPem": UNKNOWN},
        {"caCertPem": UNKNOWN},
        {"caPrivateKeyPem": UNKNOWN},
    ],
    ids=str,
)
def test_a_changed_certificate_is_signed_anew(
    plugin: Driver, signed_inputs: dict[str, Any], change: dict[str, Any]
) -> None:
    """resource_locally_signed_cert.go, Schema: RequiresReplace."""
    _, state = plugin.create(SIGNED, signed_inputs)

    diff = plugin.diff(SIGNED, reveal(state), signed_inputs, {**signed_inputs, **change})

    assert list(diff.replaces) == list(change)


def test_the_hours_of_early_renewal_change_in_place(
    plugin: Driver, signed_inputs: dict[str, Any]
) -> None:
    """resource_locally_signed_cert.go, Schema: early_renewal_hours alone has no RequiresReplace."""
    id_, state = plugin.create(SIGNED, signed_inputs)
    inputs = {**signed_inputs, "earlyRenewalHours": 2}

    diff = plugin.diff(SIGNED, reveal(state), signed_inputs, inputs)
    updated = plugin.update(SIGNED, id_, reveal(state), signed_inputs, inputs)

    assert list(diff.detailedDiff) == ["earlyRenewalHours"]
    assert not diff.replaces
    assert updated == {**state, "earlyRenewalHours": 2}


@pytest.mark.parametrize(("early", "due"), [(0, False), (9, False), (10, True)], ids=str)
def test_a_certificate_is_renewed_when_its_time_has_come(
    plugin: Driver, signed_inputs: dict[str, Any], early: int, due: bool
) -> None:
    """common_cert.go, modifyPlanIfCertificateReadyForRenewal, run by each Diff of the bridge:

    from validityEndTime - earlyRenewalHours on, the next `up` replaces, without a changed input.
    """
    inputs = {**signed_inputs, "validityPeriodHours": 20, "earlyRenewalHours": early}
    _, state = plugin.create(SIGNED, inputs)
    recorded = reveal(state)
    end = datetime.now(UTC) + timedelta(hours=9, minutes=30)
    recorded["validityEndTime"] = end.isoformat().replace("+00:00", "Z")

    diff = plugin.diff(SIGNED, recorded, inputs, inputs)

    assert list(diff.replaces) == (["readyForRenewal"] if due else [])
    assert bool(diff.detailedDiff) == due


def test_a_refresh_says_that_a_certificate_is_due(
    plugin: Driver, signed_inputs: dict[str, Any]
) -> None:
    """common_cert.go, modifyStateIfCertificateReadyForRenewal; the next diff replaces still."""
    id_, state = plugin.create(SIGNED, signed_inputs)
    recorded = {**reveal(state), "validityEndTime": "2020-01-01T00:00:00Z"}

    _, read, _ = plugin.read(SIGNED, id_, recorded, signed_inputs)
    diff = plugin.diff(SIGNED, reveal(read), signed_inputs, signed_inputs)

    assert read["readyForRenewal"] is True
    assert list(diff.replaces) == ["readyForRenewal"]


def test_reading_a_valid_certificate_changes_nothing(
    plugin: Driver, signed_inputs: dict[str, Any]
) -> None:
    id_, state = plugin.create(SIGNED, signed_inputs)

    assert plugin.read(SIGNED, id_, reveal(state), signed_inputs)[1] == state


def test_a_period_within_the_early_renewal_is_due_from_the_start(
    plugin: Driver, signed_inputs: dict[str, Any]
) -> None:
    """attribute_plan_modifier_bool/default_value.go."""
    inputs = {**signed_inputs, "earlyRenewalHours": 10}

    assert plugin.create(SIGNED, inputs)[1]["readyForRenewal"] is True


def test_a_preview_of_a_chain_needs_none_of_it(plugin: Driver) -> None:
    inputs = {
        "caPrivateKeyPem": UNKNOWN,
        "caCertPem": UNKNOWN,
        "certRequestPem": UNKNOWN,
        "validityPeriodHours": 10,
        "allowedUses": ["client_auth"],
    }

    checked = plugin.check(SIGNED, inputs)
    _, state = plugin.create(SIGNED, reveal(checked), preview=True)

    assert checked["caPrivateKeyPem"] == Secret(UNKNOWN)
    assert state["certPem"] is state["validityEndTime"] is UNKNOWN
    assert state["earlyRenewalHours"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"caPrivateKeyPem": "secret-text"}, "caPrivateKeyPem is not an unencrypted private key"),
        ({"caCertPem": "x"}, "caCertPem is not a certificate"),
        ({"certRequestPem": "x"}, "certRequestPem is not a PEM certificate request"),
        ({"maxPathLength": 1}, "only CAs are allowed to specify MaxPathLen"),
    ],
)
def test_what_cannot_be_signed_fails_without_showing_a_key(
    plugin: Driver, signed_inputs: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(Exception, match=message) as failed:
        plugin.create(SIGNED, {**signed_inputs, **change})

    assert "secret-text" not in str(failed.value)


def test_a_key_that_is_not_the_authoritys_is_refused(
    plugin: Driver, signed_inputs: dict[str, Any]
) -> None:
    """Go's x509.CreateCertificate: provided PrivateKey doesn't match parent's PublicKey."""
    with pytest.raises(Exception, match="caPrivateKeyPem does not belong to the certificate"):
        plugin.create(SIGNED, {**signed_inputs, "caPrivateKeyPem": make_key(plugin)})


def test_an_authority_needs_a_subject(plugin: Driver) -> None:
    """common_cert.go: at least one distinguished name."""
    inputs = {
        "privateKeyPem": make_key(plugin),
        "isCaCertificate": True,
        "allowedUses": ["cert_signing"],
        "validityPeriodHours": 1,
    }

    with pytest.raises(Exception, match="must have at least one field in its subject"):
        plugin.create(SELF_SIGNED, inputs)


def test_a_self_signed_certificate_points_at_itself_only_when_asked(plugin: Driver) -> None:
    """common_cert.go: setSubjectKeyId and setAuthorityKeyId."""
    inputs = {
        "privateKeyPem": make_key(plugin),
        "subject": {"commonName": "x"},
        "allowedUses": ["server_auth"],
        "validityPeriodHours": 1,
    }
    flags = {"setSubjectKeyId": True, "setAuthorityKeyId": True}

    bare, full = (
        x509.load_pem_x509_certificate(plugin.create(SELF_SIGNED, one)[1]["certPem"].encode())
        for one in (inputs, {**inputs, **flags})
    )

    identifiers = (x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier)
    assert not [one for one in bare.extensions if isinstance(one.value, identifiers)]
    own = full.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    authority = full.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert own.digest == authority.key_identifier
    assert full.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "x"
