"""The resource types of the stand-in, by token."""

from lab.plugins.tls.certificates import LOCALLY_SIGNED, SELF_SIGNED
from lab.plugins.tls.keys import PRIVATE_KEY
from lab.plugins.tls.requests import CERT_REQUEST

TYPES = {
    "tls:index/privateKey:PrivateKey": PRIVATE_KEY,
    "tls:index/certRequest:CertRequest": CERT_REQUEST,
    "tls:index/locallySignedCert:LocallySignedCert": LOCALLY_SIGNED,
    "tls:index/selfSignedCert:SelfSignedCert": SELF_SIGNED,
}
