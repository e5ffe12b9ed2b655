"""The random and tls stand-ins under the real engine: secrets, replacement, a chain, refresh."""

from dataclasses import dataclass
from typing import Any

import pytest
from cryptography import x509

from tests.plugins.engine import Engine, Run, is_secret, plain

PROGRAM = """
import pulumi
import pulumi_random as random
import pulumi_tls as tls

generation = pulumi.Config().require("generation")
keepers = {"generation": generation}
token = random.RandomString("token", length=6, special=False, upper=False, keepers=keepers)
password = random.RandomPassword("password", length=16, special=False, keepers=keepers)
hidden = random.RandomString(
    "hidden", length=6, keepers={"plain": "x", "secret": pulumi.Output.secret("hush")}
)

ca_key = tls.PrivateKey("ca-key", algorithm="ECDSA", ecdsa_curve="P256")
ca = tls.SelfSignedCert(
    "ca", private_key_pem=ca_key.private_key_pem, subject={"common_name": "lab"},
    is_ca_certificate=True, allowed_uses=["cert_signing"], validity_period_hours=24,
)
key = tls.PrivateKey("key", algorithm="RSA")
request = tls.CertRequest(
    "request", private_key_pem=key.private_key_pem, subject={"common_name": "system:kube-proxy"},
)
certificate = tls.LocallySignedCert(
    "certificate", ca_cert_pem=ca.cert_pem, ca_private_key_pem=ca_key.private_key_pem,
    cert_request_pem=request.cert_request_pem, allowed_uses=["client_auth"],
    validity_period_hours=10, early_renewal_hours=int(generation),
)
pulumi.export("ca", ca.cert_pem)
pulumi.export("certificate", certificate.cert_pem)
pulumi.export("password", password.result)
"""
RESOURCES = 8


@dataclass
class History:
    """A stack's life, run once for all tests of this file."""

    first: Run
    outputs: dict[str, Any]
    state_text: str
    secrets: dict[str, str]
    hidden: dict[str, Any]
    refreshed: Run
    unchanged: Run
    changed: Run
    state: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    engine = Engine(tmp_path_factory.mktemp("stack"), PROGRAM, {"generation": "1"})
    first = engine.up()
    assert first.ok, first.output
    state_text, outputs = engine.state_text(), engine.outputs()
    keys = {one: engine.resource(one, decrypted=True)["outputs"] for one in ("ca-key", "key")}
    hidden = engine.resource("hidden")
    refreshed = engine.refresh()
    unchanged = engine.preview("--expect-no-changes")
    engine.configure({"generation": "2"})
    return History(
        first=first,
        outputs=outputs,
        state_text=state_text,
        secrets={one: plain(keys[one]["privateKeyPem"]) for one in keys},
        hidden=hidden,
        refreshed=refreshed,
        unchanged=unchanged,
        changed=engine.up(),
        state={one: engine.resource(one) for one in ("token", "password", "certificate")},
    )


def test_everything_is_created_in_one_run(history: History) -> None:
    assert history.first.changes == {"create": RESOURCES}


def test_secrets_are_encrypted_in_the_state_and_hidden_in_what_is_printed(
    history: History,
) -> None:
    password = history.outputs["password"]
    assert len(password) == 16
    # Other lines of a key hold its public half: the first of an EC key and this one of RSA do not.
    lines = [history.secrets["ca-key"].splitlines()[1], history.secrets["key"].splitlines()[12]]
    for text in (history.state_text, history.first.output, str(history.first.events)):
        assert password not in text
        assert not [line for line in lines if line in text]


def test_a_secret_input_makes_a_secret_output(history: History) -> None:
    """sdk/go/common/resource/plugin/provider_plugin.go, annotateSecrets: by the same path."""
    keepers = history.hidden["outputs"]["keepers"]

    assert is_secret(keepers["secret"])
    assert keepers["plain"] == "x"


def test_the_certificates_of_a_stack_make_a_chain(history: History) -> None:
    authority, certificate = (
        x509.load_pem_x509_certificate(history.outputs[name].encode())
        for name in ("ca", "certificate")
    )

    certificate.verify_directly_issued_by(authority)
    assert certificate.subject.rfc4514_string() == "CN=system:kube-proxy"


def test_a_refresh_and_a_second_run_change_nothing(history: History) -> None:
    assert history.refreshed.ok, history.refreshed.output
    assert "updated" not in history.refreshed.output
    assert history.unchanged.ok, history.unchanged.output
    assert history.unchanged.changes == {"same": RESOURCES}


def test_changed_keepers_replace_create_before_delete(history: History) -> None:
    for name in ("token", "password"):
        operations = [one["op"] for one in history.changed.steps if one["urn"].endswith(name)]
        assert operations == ["create-replacement", "replace", "delete-replaced"]
        step = history.changed.step(name)
        assert step["detailedDiff"]["keepers.generation"]["diffKind"] == "update-replace"
    assert history.state["password"]["id"] == "none"


def test_the_hours_of_early_renewal_are_updated_in_place(history: History) -> None:
    assert history.changed.ok, history.changed.output
    assert history.changed.step("certificate")["op"] == "update"
    state = history.state["certificate"]["outputs"]
    assert state["earlyRenewalHours"] == 2
    assert state["certPem"] == history.outputs["certificate"]
