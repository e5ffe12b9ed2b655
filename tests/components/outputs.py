"""What the providers would answer, made up: secrets are markers that can be looked for."""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.certificates import issue, make_request
from tests.configurations import materials

TOKEN_SECRET = "tokensecretmarker"[:16]
STATIC_TOKEN = "57a71c" + "0123456789" + "abcdef0123456789"
KUBE_PROXY_KEY = "-----BEGIN PRIVATE KEY-----\nkubeproxykeymarker\n-----END PRIVATE KEY-----\n"
_FIELDS = {
    "country": NameOID.COUNTRY_NAME,
    "organization": NameOID.ORGANIZATION_NAME,
    "organizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "province": NameOID.STATE_OR_PROVINCE_NAME,
    "commonName": NameOID.COMMON_NAME,
}


MACHINE_ID = "592d7339d2d648179d9c63bef315a7de"
TOKEN_END = 1790000000
# What a step tells the next.
_TOLD = {
    "preflight": f"fact machine-id {MACHINE_ID}\nok\n",
    "prepare": f"token open until {TOKEN_END}\n",
}


def make_outputs(type_: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """Make the outputs of a resource that its inputs do not tell."""
    if type_ == "kubernetes:core/v1:Service":
        return {"spec": inputs["spec"] | {"clusterIP": "10.96.0.50"}}
    if type_ == "tls:index/certRequest:CertRequest":
        return {"certRequestPem": _request(tuple(sorted(inputs["subject"].items())))}
    if type_ == "tls:index/locallySignedCert:LocallySignedCert":
        return {"certPem": _signed(inputs["certRequestPem"], name)}
    if type_.startswith("command:"):
        stdout = f"run {uuid5(NAMESPACE_DNS, name)}\nan answer\n"
        stdout += _TOLD.get(name.partition("-")[2], "")
        if inputs.get("create", "").endswith(" sign"):
            stdout = _signed(json.loads(inputs["stdin"])["request_pem"], name)
        return {"stdout": stdout, "stderr": ""}
    made: dict[str, dict[str, Any]] = {
        "random:index/randomString:RandomString": {"result": sha256(name.encode()).hexdigest()[:6]},
        "random:index/randomPassword:RandomPassword": {
            "result": STATIC_TOKEN if inputs.get("length") == 32 else TOKEN_SECRET
        },
        "tls:index/privateKey:PrivateKey": {"privateKeyPem": KUBE_PROXY_KEY},
    }
    return made.get(type_, {})


@cache
def _request(subject: tuple[tuple[str, str], ...]) -> str:
    return make_request(*(x509.NameAttribute(_FIELDS[key], value) for key, value in subject))


@cache
def _signed(request: str, name: str) -> str:
    return issue(request, materials()["ca"], materials()["ca_key"])
