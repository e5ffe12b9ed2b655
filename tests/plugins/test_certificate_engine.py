"""KubeProxyCertificate under the real engine, signed with a CA's key by pulumi-tls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.configurations import materials
from tests.plugins.engine import CHECKOUT, Engine

PROGRAM = """
import pulumi
from kube_nodes.components.kube_proxy_certificate import *
from kube_nodes.model.cluster import Cluster
from kube_nodes.model.subjects import Subject

config = pulumi.Config()
made = KubeProxyCertificate(
    "kube-proxy",
    KubeProxyCertificateArgs(
        cluster=Cluster(
            name="c", server="https://192.0.2.1", ca_certificate=config.require("ca"), uid="u",
            pod_cidrs=(), service_cidrs=(),
        ),
        issuer=config.require("issuer"), ca_key=config.require("caKey"), epoch=1,
        local_command="sh -c 'cat foreign.pem'",
        subject=Subject.model_validate(config.require_object("subject")),
    ),
)
pulumi.export("certificate", made.certificate)
pulumi.export("expires", made.expires)
"""
_MANUALS = {
    "country": "CN",
    "province": "ShangHai",
    "locality": "ShangHai",
    "organization": "k8s",
    "organizationalUnit": "paas",
}


def _configuration(issuer: str) -> dict[str, Any]:
    secrets = {"ca": materials()["ca"], "caKey": materials()["ca_key"]}
    return {**secrets, "issuer": issuer, "subject": _MANUALS}


def _operations(steps: list[dict[str, Any]], name: str) -> list[str]:
    return [step["op"] for step in steps if step["urn"].endswith(f"::{name}")]


def test_the_manuals_certificate_and_another_subject_new_before_the_old_goes(
    tmp_path: Path,
) -> None:
    config = _configuration("ca")
    engine = Engine(tmp_path, PROGRAM, config, {"PYTHONPATH": str(CHECKOUT)})
    first = engine.up()
    assert first.ok, first.output
    before = x509.load_pem_x509_certificate(engine.outputs()["certificate"].encode())
    names = "CN=system:kube-proxy,ST=ShangHai,L=ShangHai,OU=paas,O=k8s,C=CN"
    assert before.subject.rfc4514_string() == names
    before.verify_directly_issued_by(x509.load_pem_x509_certificate(config["ca"].encode()))
    key = before.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 2048
    usage = before.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    kinds = {extension.oid for extension in before.extensions}
    assert x509.SubjectAlternativeName.oid not in kinds

    engine.configure({"subject": {**_MANUALS, "organization": "nodes"}})
    changed = engine.up()
    assert changed.ok, changed.output
    for name in ("kube-proxy-request-1", "kube-proxy-certificate-1"):
        operations = _operations(changed.steps, name)
        assert operations == ["create-replacement", "replace", "delete-replaced"], name
    assert _operations(changed.steps, "kube-proxy-key-1") == ["same"]
    after = x509.load_pem_x509_certificate(engine.outputs()["certificate"].encode())
    assert ",O=nodes," in after.subject.rfc4514_string()
    assert after.public_key() == key


def test_a_certificate_that_is_not_the_cas_ends_the_run_with_the_reason_and_no_traceback(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path, PROGRAM, _configuration("cluster"), {"PYTHONPATH": str(CHECKOUT)})
    (engine.program / "foreign.pem").write_text(materials()["leaf"])
    run = engine.up()
    assert not run.ok
    for said in ("is for another key", "is not for client authentication", "no host was given it"):
        assert said in run.output
    assert "Traceback" not in run.output
