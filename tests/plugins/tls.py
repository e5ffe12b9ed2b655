"""What the tests of the tls stand-in share."""

from typing import Any

from tests.plugins.driver import Driver


def _urn(kind: str) -> str:
    return f"urn:pulumi:dev::p::tls:index/{kind[0].lower()}{kind[1:]}:{kind}::one"


KEY, REQUEST = _urn("PrivateKey"), _urn("CertRequest")
SIGNED, SELF_SIGNED = _urn("LocallySignedCert"), _urn("SelfSignedCert")


def make_key(plugin: Driver, **inputs: Any) -> str:
    """Return a new private key in PEM form; ECDSA P-256 unless asked otherwise."""
    given = inputs or {"algorithm": "ECDSA", "ecdsaCurve": "P256"}
    pem: str = plugin.create(KEY, given)[1]["privateKeyPem"].value
    return pem
