"""Private keys: make, encode and read them."""

import base64
import hashlib
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from lab.plugins.bridged import Attribute, ResourceType, Values, never

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

CURVES: dict[str, ec.EllipticCurve] = {
    "P224": ec.SECP224R1(),
    "P256": ec.SECP256R1(),
    "P384": ec.SECP384R1(),
    "P521": ec.SECP521R1(),
}
ALGORITHMS = ("RSA", "ECDSA", "ED25519")


def generate(plan: Values) -> PrivateKey:
    """Make a key of the planned algorithm."""
    if plan["algorithm"] == "RSA":
        return rsa.generate_private_key(public_exponent=65537, key_size=plan["rsaBits"])
    if plan["algorithm"] == "ECDSA":
        return ec.generate_private_key(CURVES[plan["ecdsaCurve"]])
    return ed25519.Ed25519PrivateKey.generate()


def read(pem: str, what: str) -> PrivateKey:
    """Read a private key.

    Raises:
        ValueError: without any part of the key in it.
    """
    try:
        key: Any = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        # The cause is dropped: a parser's message can quote what it read.
        raise ValueError(f"{what} is not an unencrypted private key in PEM form") from None
    if isinstance(key, PrivateKey):
        return key
    raise ValueError(f"{what}: {type(key).__name__} is none of {', '.join(ALGORITHMS)}")


def algorithm(key: PrivateKey) -> str:
    """Name the algorithm as the inputs and outputs do."""
    if isinstance(key, rsa.RSAPrivateKey):
        return "RSA"
    return "ECDSA" if isinstance(key, ec.EllipticCurvePrivateKey) else "ED25519"


def digest(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """Choose the digest to sign with, as Go's crypto/x509 does by default."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if isinstance(key, rsa.RSAPrivateKey) or key.curve.key_size < 384:
        return hashes.SHA256()
    return hashes.SHA384() if key.curve.key_size == 384 else hashes.SHA512()


def state_id(der: bytes) -> str:
    """Hash DER bytes to a resource's id, with the surrounding white space off as officially."""
    return hashlib.sha1(der.strip(), usedforsecurity=False).hexdigest()


def _make(plan: Values) -> Values:
    key = generate(plan)
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    # Ed25519 has no form of its own before PKCS#8.
    own = (
        PrivateFormat.PKCS8 if plan["algorithm"] == "ED25519" else PrivateFormat.TraditionalOpenSSL
    )
    return {
        "id": state_id(der),
        "privateKeyPem": _private(key, own),
        "privateKeyPemPkcs8": _private(key, PrivateFormat.PKCS8),
        "publicKeyPem": key.public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        .decode(),
        **_openssh(key),
    }


def _private(key: PrivateKey, form: PrivateFormat) -> str:
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def _openssh(key: PrivateKey) -> Values:
    """Return OpenSSH's forms; they are empty for P-224, which OpenSSH does not have."""
    names = (
        "privateKeyOpenssh",
        "publicKeyOpenssh",
        "publicKeyFingerprintMd5",
        "publicKeyFingerprintSha256",
    )
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP224R1):
        return dict.fromkeys(names, "")
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    blob = base64.b64decode(line.split()[1])
    md5 = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    sha256 = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    pairs = ":".join(md5[i : i + 2] for i in range(0, len(md5), 2))
    forms = (_private(key, PrivateFormat.OpenSSH), line + "\n", pairs, f"SHA256:{sha256}")
    return dict(zip(names, forms, strict=True))


_secret_output = Attribute(made=True, secret=True, replaces=never)
_output = Attribute(made=True, replaces=never)

PRIVATE_KEY = ResourceType(
    schema_version=1,
    attributes={
        "algorithm": Attribute(required=True, choices=ALGORITHMS),
        "rsaBits": Attribute(kind=int, default=2048),
        "ecdsaCurve": Attribute(default="P224", choices=tuple(CURVES)),
        "privateKeyPem": _secret_output,
        "privateKeyOpenssh": _secret_output,
        "privateKeyPemPkcs8": _secret_output,
        "publicKeyPem": _output,
        "publicKeyOpenssh": _output,
        "publicKeyFingerprintMd5": _output,
        "publicKeyFingerprintSha256": _output,
    },
    make=_make,
)
