"""What the providers would answer, made up: secrets are markers that can be looked for."""

from __future__ import annotations

from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from tests.configurations import materials

TOKEN_SECRET = "tokensecretmarker"[:16]
STATIC_TOKEN = "57a71c" + "0123456789" + "abcdef0123456789"
KUBE_PROXY_KEY = "-----BEGIN PRIVATE KEY-----\nkubeproxykeymarker\n-----END PRIVATE KEY-----\n"


def make_outputs(type_: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """Make the outputs of a resource that its inputs do not tell."""
    made: dict[str, dict[str, Any]] = {
        "random:index/randomString:RandomString": {"result": sha256(name.encode()).hexdigest()[:6]},
        "random:index/randomPassword:RandomPassword": {
            "result": STATIC_TOKEN if inputs.get("length") == 32 else TOKEN_SECRET
        },
        "tls:index/privateKey:PrivateKey": {"privateKeyPem": KUBE_PROXY_KEY},
        "tls:index/certRequest:CertRequest": {"certRequestPem": "a request"},
        "tls:index/locallySignedCert:LocallySignedCert": {"certPem": materials()["leaf"]},
    }
    if type_ == "kubernetes:core/v1:Service":
        return {"spec": inputs["spec"] | {"clusterIP": "10.96.0.50"}}
    if type_.startswith("command:"):
        signs = inputs["create"].endswith(" sign")
        stdout = f"run {uuid5(NAMESPACE_DNS, name)}\nan answer\n"
        return {"stdout": materials()["leaf"] if signs else stdout, "stderr": ""}
    return made.get(type_, {})
