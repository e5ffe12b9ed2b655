"""The client certificate that every kube-proxy of a cluster uses."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Literal

import pulumi
import pulumi_tls as tls
from cryptography import x509

from kube_nodes.components.commands import DEFAULT_LOCAL_COMMAND, local_command
from kube_nodes.model.certificate_checks import WARN_DAYS
from kube_nodes.model.certificate_requests import KUBE_PROXY_USER
from kube_nodes.model.client_certificates import find_certificate_faults
from kube_nodes.model.cluster import Cluster
from kube_nodes.model.pem import signing_certificate
from kube_nodes.model.requests import SignRequest
from kube_nodes.model.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class KubeProxyCertificateArgs:
    """What a KubeProxyCertificate is made from."""

    cluster: Cluster
    """The cluster whose CA vouches for it."""
    issuer: Literal["cluster", "ca"] = "cluster"
    """`cluster`: the signer kubernetes.io/kube-apiserver-client; `ca`: the CA's key, from here."""
    algorithm: Literal["RSA", "ECDSA"] = "RSA"
    """RSA of 2048 bits, or ECDSA on P-256."""
    validity_hours: int = 8760
    """Life of a certificate from the issuer `ca`; the cluster's signer decides its own."""
    subject: Subject = field(default_factory=Subject)
    """Its names beside the user; another one makes a new request and certificate."""
    epoch: int = 1
    """Another number makes a new key and certificate."""
    ca_key: pulumi.Input[str] | None = field(default=None, repr=False)
    """The CA's private key, PEM; for the issuer `ca` alone."""
    local_command: str = DEFAULT_LOCAL_COMMAND
    """How membership/ is started."""


class KubeProxyCertificate(pulumi.ComponentResource):
    """Key, request and certificate of the user system:kube-proxy, for client authentication only.

    Attributes:
        certificate: the certificate, PEM.
        key: its private key, PEM, secret.
        expires: when it expires, RFC 3339 in UTC.
    """

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]
    expires: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: KubeProxyCertificateArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the certificate."""
        super().__init__("kube-nodes:index:KubeProxyCertificate", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self._key = tls.PrivateKey(
            # The epoch is in the name: a new key and certificate are there before the old ones go.
            f"{name}-key-{args.epoch}",
            algorithm=args.algorithm,
            rsa_bits=2048 if args.algorithm == "RSA" else None,
            ecdsa_curve="P256" if args.algorithm == "ECDSA" else None,
            opts=child,
        )
        self._request = tls.CertRequest(
            f"{name}-request-{args.epoch}",
            private_key_pem=self._key.private_key_pem,
            subject=tls.CertRequestSubjectArgs(
                common_name=KUBE_PROXY_USER, **args.subject.model_dump(exclude_none=True)
            ),
            opts=child,
        )
        issue = self._from_ca if args.issuer == "ca" else self._from_cluster
        issued = issue(f"{name}-certificate-{args.epoch}", args)
        # Against the request and not the key, which is secret and would make all of it so.
        self.certificate = pulumi.Output.all(issued, self._request.cert_request_pem).apply(
            lambda pems: _checked(pems[0], pems[1], args)
        )
        self.key = pulumi.Output.secret(self._key.private_key_pem)
        self.expires = self.certificate.apply(lambda pem: self._expiry(pem, args.epoch))
        self.register_outputs({"expires": self.expires})

    def _from_ca(self, name: str, args: KubeProxyCertificateArgs) -> pulumi.Output[str]:
        """Sign with the CA's key; it is in the state then, encrypted."""
        return tls.LocallySignedCert(
            name,
            # Of several the one that signs: another one beside it issues nothing anew.
            ca_cert_pem=signing_certificate(args.cluster.ca_certificate),
            ca_private_key_pem=args.ca_key,
            cert_request_pem=self._request.cert_request_pem,
            allowed_uses=["client_auth", "digital_signature", "key_encipherment"],
            validity_period_hours=args.validity_hours,
            opts=pulumi.ResourceOptions(parent=self),
        ).cert_pem

    def _from_cluster(self, name: str, args: KubeProxyCertificateArgs) -> pulumi.Output[str]:
        """Let the cluster sign: no CA key leaves the control plane.

        Not a CertificateSigningRequest resource: the cluster removes those after an hour.
        """
        stdin = self._request.cert_request_pem.apply(
            lambda pem: SignRequest(
                cluster=args.cluster.identity,
                name="kube-proxy",
                request_pem=pem,
                user=KUBE_PROXY_USER,
                names=args.subject.names,
            ).to_json()
        )
        signed = local_command(
            name,
            "sign",
            stdin,
            local=args.local_command,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return signed.stdout

    def _expiry(self, pem: str, epoch: int) -> str:
        """Read when the certificate expires, and warn in time: nothing renews it by itself."""
        end = x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
        left = end - datetime.datetime.now(datetime.UTC)
        if left.days < WARN_DAYS:
            pulumi.log.warn(
                f"kube-proxy's certificate expires in {left.days} days; raise"
                f" kubeProxyCertificate.epoch to {epoch + 1} to renew it",
                self,
            )
        return end.strftime("%Y-%m-%dT%H:%M:%SZ")


def _checked(certificate: str, request: str, args: KubeProxyCertificateArgs) -> str:
    """Return the certificate if the cluster's CA vouches for it, before a host gets it.

    Raises:
        pulumi.RunError: with every fault; a traceback would bury them.
    """
    found = "; ".join(
        find_certificate_faults(
            certificate,
            request=request,
            names=(f"CN={KUBE_PROXY_USER}", *args.subject.names),
            ca_certificates=args.cluster.ca_certificate,
        )
    )
    if found:
        raise pulumi.RunError(
            f"kube-proxy's certificate {found}; no host was given it. Correct caCertificate, or"
            f" raise kubeProxyCertificate.epoch to {args.epoch + 1} for a new one"
        )
    return certificate
