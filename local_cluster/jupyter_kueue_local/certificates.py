"""The certificates of one local cluster: six authorities and the leaf certificates they sign.

Each authority has one purpose, so that a user's certificate gives access to neither etcd nor the
node. No key ever leaves the machine.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

# As long as anybody keeps a local cluster: the keys never leave its folder.
_LIFETIME = timedelta(days=3650)
# A new certificate must be valid even if the clock is set back a little.
_BACKDATED = timedelta(days=1)

NODE_NAME = "local-node"


@dataclass(frozen=True)
class _Leaf:
    """One certificate and its subject (Kubernetes reads CN as user and O as groups)."""

    name: str
    authority: str
    common_name: str
    groups: tuple[str, ...] = ()
    serves: bool = False


# cluster       signs what serves on loopback, and the users and components of the API server
# etcd          who may read and write the whole state
# front-proxy   the API server speaking for a user to Kueue's position API
# node-client   the API server asking the node for logs
# kueue-webhook the API server asking Kueue's webhooks
# object-store  SeaweedFS's components talking to each other, past the bucket's identities
_AUTHORITIES = ("cluster", "etcd", "front-proxy", "node-client", "kueue-webhook", "object-store")
_LEAVES = (
    _Leaf("serving", "cluster", "localhost", serves=True),
    _Leaf("etcd", "etcd", "localhost", serves=True),
    _Leaf("front-proxy", "front-proxy", "front-proxy-client"),
    _Leaf("node-client", "node-client", "kube-apiserver-kubelet-client"),
    _Leaf("kueue-webhook", "kueue-webhook", "kube-apiserver-webhook-client"),
    _Leaf("object-store", "object-store", "localhost", serves=True),
    _Leaf("admin", "cluster", "admin", ("system:masters",)),
    _Leaf("kube-controller-manager", "cluster", "system:kube-controller-manager"),
    _Leaf("kube-scheduler", "cluster", "system:kube-scheduler"),
    _Leaf("kueue", "cluster", "kueue-controller-manager", ("system:masters",)),
    _Leaf("node", "cluster", f"system:node:{NODE_NAME}", ("system:nodes",)),
    _Leaf("user", "cluster", "user"),
    _Leaf("other", "cluster", "other"),
)


@dataclass(frozen=True)
class Certificates:
    """The files of one folder, by name."""

    folder: Path

    def authority(self, name: str) -> Path:
        """Return the certificate of an authority, for example ``cluster``."""
        return self.folder / f"{name}-ca.crt"

    def certificate(self, name: str) -> Path:
        """Return a leaf certificate, such as ``admin``."""
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        """Return the private key of a leaf certificate."""
        return self.folder / f"{name}.key"

    def generation(self) -> bytes:
        """Return a value that differs for each generation of certificates."""
        return b"".join(self.authority(name).read_bytes() for name in _AUTHORITIES)

    @property
    def service_account_key(self) -> Path:
        """The private key that signs service account tokens."""
        return self.folder / "service-accounts.key"

    @property
    def service_account_public_key(self) -> Path:
        """The public key that verifies service account tokens."""
        return self.folder / "service-accounts.pub"


def ensure_certificates(folder: Path) -> Certificates:
    """Return the certificates in ``folder``; create all of them again if others are needed.

    All or nothing: certificates of one generation do not match the authorities of another.
    """
    certificates = Certificates(folder)
    complete = folder / "complete"
    wanted = repr((_AUTHORITIES, _LEAVES))
    if not complete.exists() or complete.read_text() != wanted:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in _AUTHORITIES:
            _make_authority(certificates, name, [e for e in _LEAVES if e.authority == name])
        key = ec.generate_private_key(ec.SECP256R1())
        _write(certificates.service_account_key, _key_pem(key))
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        _write(certificates.service_account_public_key, public)
        complete.write_text(wanted)
    return certificates


def _make_authority(certificates: Certificates, name: str, leaves: list[_Leaf]) -> None:
    """Create an authority and its leaf certificates, and discard the authority's key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"jupyter-kueue-local-{name}")])
    public = key.public_key()
    authority = (
        _builder(subject, subject, public)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(certificates.authority(name), authority.public_bytes(serialization.Encoding.PEM))
    for leaf in leaves:
        _make_leaf(certificates, leaf, authority, key)


def _make_leaf(
    certificates: Certificates,
    leaf: _Leaf,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in leaf.groups]
    names.append(x509.NameAttribute(NameOID.COMMON_NAME, leaf.common_name))
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    hosts: list[x509.GeneralName] = []
    if leaf.serves:
        usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
        hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (
        _builder(x509.Name(names), authority.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    certificate = builder.sign(authority_key, hashes.SHA256())
    _write(certificates.key(leaf.name), _key_pem(key))
    _write(
        certificates.certificate(leaf.name), certificate.public_bytes(serialization.Encoding.PEM)
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFETIME)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
