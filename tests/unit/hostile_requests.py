"""Hostile certificate requests as data: what each one tries, and the rule that refuses it."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kube_nodes.model.certificate_requests import CLIENT_SIGNER, SERVING_SIGNER
from tests.unit.certificate_requests import (
    BOOTSTRAP_GROUPS,
    CLIENT,
    NODE_GROUPS,
    SERVING,
    Case,
    Recipe,
    extension_request,
)

O, CN = NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME  # noqa: E741
_HONEST_SUBJECT = CLIENT.subject


def _dns(name: str) -> x509.DNSName:
    return x509.DNSName(name)


def _ip(address: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_address(address))


def _san(*names: x509.GeneralName) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(names)


def _client(title: str, reason: str, base: Recipe = CLIENT, **fault: object) -> Case:
    return Case(title=f"client: {title}", base=base, reason=reason, fault=fault)


def _serving(title: str, reason: str, base: Recipe = SERVING, **fault: object) -> Case:
    return Case(title=f"serving: {title}", base=base, reason=reason, fault=fault)


_SUBJECTS = [
    ("no organization", "organization", ((CN, "system:node:n1"),)),
    ("organization system:masters", "organization", ((O, "system:masters"), _HONEST_SUBJECT[1])),
    ("two organizations", "organization", (*_HONEST_SUBJECT, (O, "system:masters"))),
    ("the organization twice", "organization", (*_HONEST_SUBJECT, (O, "system:nodes"))),
    ("organization in capitals", "organization", ((O, "System:Nodes"), _HONEST_SUBJECT[1])),
    ("organization with a blank", "organization", ((O, "system:nodes "), _HONEST_SUBJECT[1])),
    ("no name", "name", ((O, "system:nodes"),)),
    ("two names", "name", (*_HONEST_SUBJECT, (CN, "system:node:n2"))),
    ("a user's name", "name", (_HONEST_SUBJECT[0], (CN, "system:kube-proxy"))),
    ("the bare node name", "name", (_HONEST_SUBJECT[0], (CN, "n1"))),
    ("the prefix in capitals", "name", (_HONEST_SUBJECT[0], (CN, "System:Node:n1"))),
    ("the prefix alone", "node", (_HONEST_SUBJECT[0], (CN, "system:node:"))),
    ("an undeclared node", "node", (_HONEST_SUBJECT[0], (CN, "system:node:n9"))),
    ("the declared id, not the name", "node", (_HONEST_SUBJECT[0], (CN, "system:node:web-1"))),
    ("a name with a zero byte", "node", (_HONEST_SUBJECT[0], (CN, "system:node:n1\0"))),
    ("a name with a blank", "node", (_HONEST_SUBJECT[0], (CN, "system:node:n1 "))),
    ("a unit beside it", "subject", (*_HONEST_SUBJECT, (NameOID.ORGANIZATIONAL_UNIT_NAME, "x"))),
    ("a serial number beside it", "subject", (*_HONEST_SUBJECT, (NameOID.SERIAL_NUMBER, "1"))),
]

_BOTH = [
    case
    for make, base in ((_client, CLIENT), (_serving, SERVING))
    for case in (
        *(make(title, reason, subject=subject) for title, reason, subject in _SUBJECTS),
        make("no usages", "usages", usages=()),
        make("an unknown usage more", "usages", usages=(*base.usages, "code signing")),
        make("certificate signing", "usages", usages=(*base.usages, "cert sign")),
        make("both purposes", "usages", usages=("digital signature", "client auth", "server auth")),
        make("only the purpose", "usages", usages=base.usages[1:]),
        make("encipherment for signature", "usages", usages=("key encipherment", base.usages[1])),
        make("a short RSA key", "key", replace(base, key="rsa2048"), key="rsa1024"),
        make("a curve of wallets", "key", key="k256"),
        make("a short curve", "key", replace(base, key="p384"), key="p224"),
        make("an Ed25519 key", "key", key="ed25519"),
        make("a DSA key", "key", replace(base, key="rsa2048"), key="dsa"),
        make("a short hash", "hash", replace(base, hash="sha384"), hash="sha224"),
        make("a broken signature", "signature", spoil="signature"),
        make("somebody else's public key", "signature", spoil="foreign-key"),
        make("cut short", "parse", spoil="truncated"),
        make("a challenge password", "attributes", password=True),
        make("a CA's constraints", "extensions", extensions=(x509.BasicConstraints(True, None),)),
        make(
            "another key usage",
            "extensions",
            extensions=(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]),),
        ),
        make("text before the block", "pem", replace(base, wrap=(b"\n", b"")), wrap=(b"x\n", b"")),
        make("a second block", "pem", wrap=(b"", b"-----BEGIN X-----\nAA==\n-----END X-----\n")),
        make("a certificate's label", "pem", label=b"CERTIFICATE"),
        make("the old label", "pem", label=b"NEW CERTIFICATE REQUEST"),
        make("a header in the block", "pem", body=b"Proc-Type: 4,ENCRYPTED\n\n"),
        make("a large request", "size", wrap=(b"", b"\n" * 20_000)),
        make("an unknown signer", "signer", signer="example.com/kubelet"),
        make("the users' signer", "signer", signer="kubernetes.io/kube-apiserver-client"),
        make("the old signer", "signer", signer="kubernetes.io/legacy-unknown"),
        make("nobody", "requester", username=""),
        make("anonymous", "requester", username="system:anonymous", groups=()),
        make("an administrator", "requester", username="admin", groups=("system:masters",)),
        make("another node", "requester", username="system:node:n2", groups=NODE_GROUPS),
        make("no groups", "groups", groups=()),
    )
]

_CLIENT_ONLY = [
    _client("another node's token", "requester", username="system:bootstrap:def456"),
    _client("a token's id in capitals", "requester", username="system:bootstrap:ABC123"),
    _client("a longer user name", "requester", username="system:bootstrap:abc123x"),
    _client("the static user, of a node with a token", "requester", username="kubelet-bootstrap"),
    _client("the node itself", "renewal", username="system:node:n1", groups=NODE_GROUPS),
    _client("a token of kubeadm's group", "groups", groups=("system:bootstrappers",)),
    _client("our group alone", "groups", groups=BOOTSTRAP_GROUPS[1:]),
    _client("the group of nodes", "groups", groups=NODE_GROUPS),
    _client("its own name as DNS name", "names", names=(_dns("n1"),)),
    _client("its own address", "names", names=(_ip("10.0.0.11"),)),
    _client("an e-mail address", "names", names=(x509.RFC822Name("a@example.org"),)),
    _client("a URI", "names", names=(x509.UniformResourceIdentifier("spiffe://x"),)),
    _client("server auth", "usages", usages=("digital signature", "server auth")),
    _client("by the serving signer", "usages", signer=SERVING_SIGNER),
    _client("an empty extension request", "attributes", attributes=(extension_request(),)),
    _client(
        "the static user for a node with a token",
        "requester",
        base=replace(
            CLIENT,
            username="kubelet-bootstrap",
            groups=("system:kubelet-bootstrap",),
            subject=(_HONEST_SUBJECT[0], (CN, "system:node:n3")),
        ),
        subject=_HONEST_SUBJECT,
    ),
]

_SERVING_ONLY = [
    _serving("no names", "names", names=()),
    _serving("only another's address", "names", names=(_ip("10.0.0.12"),)),
    _serving("another's address too", "names", names=(*SERVING.names, _ip("10.0.0.12"))),
    _serving("another's name", "names", names=(_dns("n2"),)),
    _serving("the API server's name", "names", names=(_dns("n1"), _dns("kubernetes.default.svc"))),
    _serving("a wildcard", "names", names=(_dns("*.example.org"),)),
    _serving("a longer domain", "names", names=(_dns("n1.example.org.evil.example"),)),
    _serving("a domain that is not declared", "names", names=(_dns("n1.example.com"),)),
    _serving("the address as a DNS name", "names", names=(_dns("10.0.0.11"),)),
    _serving("a zero byte in the name", "names", names=(_dns("n1\0.example.org"),)),
    _serving("loopback", "names", names=(*SERVING.names, _ip("127.0.0.1"))),
    _serving(
        "an address mapped into IPv6",
        "names",
        replace(SERVING, names=(_ip("fd00::11"),)),
        names=(_ip("::ffff:10.0.0.11"),),
    ),
    _serving("an e-mail address", "names", names=(*SERVING.names, x509.RFC822Name("a@b.example"))),
    _serving(
        "a URI", "names", names=(*SERVING.names, x509.UniformResourceIdentifier("https://n1"))
    ),
    _serving(
        "a registered id",
        "names",
        names=(*SERVING.names, x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4"))),
    ),
    _serving(
        "a directory name",
        "names",
        names=(*SERVING.names, x509.DirectoryName(x509.Name([x509.NameAttribute(CN, "n1")]))),
    ),
    _serving(
        "another kind of name",
        "names",
        names=(*SERVING.names, x509.OtherName(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")),
    ),
    _serving("its bootstrap token", "requester", username="system:bootstrap:abc123"),
    _serving("not in the group of nodes", "groups", groups=("system:authenticated",)),
    _serving("client auth", "usages", usages=("digital signature", "client auth")),
    _serving("by the client signer", "usages", signer=CLIENT_SIGNER),
    # Go collects the extensions of every extension request; other parsers look at the first only.
    _serving(
        "two extension requests",
        "attributes",
        replace(SERVING, attributes=(extension_request(_san(*SERVING.names)),)),
        attributes=(
            extension_request(_san(*SERVING.names)),
            extension_request(_san(_dns("kubernetes.default.svc"))),
        ),
    ),
    _serving(
        "alternative names twice",
        "extensions",
        replace(SERVING, attributes=(extension_request(_san(*SERVING.names)),)),
        attributes=(extension_request(_san(*SERVING.names), _san(_dns("kubernetes"))),),
    ),
    _serving(
        "alternative names without a name",
        "names",
        replace(SERVING, attributes=(extension_request(_san(*SERVING.names)),)),
        attributes=(extension_request(_san()),),
    ),
]

HOSTILE = [*_BOTH, *_CLIENT_ONLY, *_SERVING_ONLY]
