"""Certificate requests: make and read them."""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lab.plugins.bridged import Attribute, ResourceType, Values, never
from lab.plugins.tls import keys, subjects


def read(pem: str) -> x509.CertificateSigningRequest:
    """Read a request; its signature is not checked, as officially."""
    try:
        return x509.load_pem_x509_csr(pem.encode())
    except ValueError as error:
        raise ValueError(f"certRequestPem is not a PEM certificate request: {error}") from error


def public_key(request: x509.CertificateSigningRequest) -> keys.PublicKey:
    """Return the key that is asked to be certified."""
    key = request.public_key()
    if isinstance(key, keys.PublicKey):
        return key
    raise ValueError(f"certRequestPem: a {type(key).__name__} cannot be certified here")


def _make(plan: Values) -> Values:
    key = keys.read(plan["privateKeyPem"], "privateKeyPem")
    builder = x509.CertificateSigningRequestBuilder(subject_name=subjects.name(plan))
    if names := subjects.alternative_names(plan):
        builder = builder.add_extension(names, critical=False)
    request = builder.sign(key, keys.digest(key))
    return {
        "id": keys.state_id(request.public_bytes(Encoding.DER)),
        "certRequestPem": request.public_bytes(Encoding.PEM).decode(),
        "keyAlgorithm": keys.algorithm(key),
    }


CERT_REQUEST = ResourceType(
    attributes={
        "privateKeyPem": Attribute(required=True, secret=True),
        **subjects.ATTRIBUTES,
        "certRequestPem": Attribute(made=True, replaces=never),
        "keyAlgorithm": Attribute(made=True, replaces=never),
    },
    check=subjects.check,
    make=_make,
)
