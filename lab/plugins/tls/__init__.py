"""Stand-in for pulumi-tls 5.6.2: PrivateKey, CertRequest, LocallySignedCert, SelfSignedCert.

Rules: terraform-provider-tls, internal/provider/resource_*.go, common_cert.go and common_key.go.
Its write-only inputs (privateKeyPemWo and the like) are left out.
"""
