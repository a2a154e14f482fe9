"""The cluster's keys and certificates, made anew with every environment.

EC P-256 for TLS, RSA-2048 for service account tokens (the API server signs them with RS256 or ES256; clients in the
field meet RS256). Files are 0600.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox.paths import CLUSTER_DOMAIN, NODE_IP, NODE_NAME, SERVICE_IP

LIFETIME = datetime.timedelta(days=3650)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Certificate:
    """A certificate to make: whose it is, what it may be used for, which names and addresses it answers to."""

    common_name: str
    organization: str = ""
    usage: tuple[x509.ObjectIdentifier, ...] = (CLIENT,)
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    issuer: str = "ca"


CERTIFICATES: Mapping[str, Certificate] = {
    "etcd": Certificate("etcd", usage=(SERVER, CLIENT), names=("localhost",), addresses=("127.0.0.1",)),
    "etcd-client": Certificate("etcd-client"),
    "apiserver": Certificate(
        "kube-apiserver",
        usage=(SERVER,),
        names=("kubernetes", "kubernetes.default", "kubernetes.default.svc",
               f"kubernetes.default.svc.{CLUSTER_DOMAIN}", "localhost"),
        addresses=("127.0.0.1", NODE_IP, SERVICE_IP),
    ),
    "apiserver-kubelet": Certificate("kube-apiserver-kubelet-client", "system:masters"),
    "front-proxy-client": Certificate("front-proxy-client", issuer="front-proxy-ca"),
    "kubelet-server": Certificate(f"system:node:{NODE_NAME}", "system:nodes", usage=(SERVER,),
                                  names=(NODE_NAME,), addresses=(NODE_IP,)),
    "admin": Certificate("capstan-admin", "system:masters"),
    "controller-manager": Certificate("system:kube-controller-manager"),
    "scheduler": Certificate("system:kube-scheduler"),
    "kubelet": Certificate(f"system:node:{NODE_NAME}", "system:nodes"),
    "kube-proxy": Certificate("system:kube-proxy"),
}
AUTHORITIES = ("ca", "front-proxy-ca")


def make(folder: Path) -> None:
    """Writes every key and certificate into `folder`, which must be new; the last one written is ``complete``."""
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    now = datetime.datetime.now(datetime.UTC)
    authorities = {name: _authority(name, now) for name in AUTHORITIES}
    for name, (key, certificate) in authorities.items():
        _write(folder, name, key, certificate)
    for name, wanted in CERTIFICATES.items():
        key = ec.generate_private_key(ec.SECP256R1())
        issuer_key, issuer = authorities[wanted.issuer]
        _write(folder, name, key, _signed(wanted, key, issuer_key, issuer, now))
    signer = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    write_private(folder / "service-accounts.key", _private_pem(signer))
    write_private(folder / "service-accounts.pub", signer.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    write_private(folder / "complete", b"")


def is_complete(folder: Path) -> bool:
    """Whether `make` got to its end here."""
    return (folder / "complete").exists()


def write_private(path: Path, content: bytes) -> None:
    """Writes a file that only its owner can read, from its first byte on, in one step."""
    partial = path.with_name(f".{path.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
    partial.replace(path)


def _authority(name: str, now: datetime.datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(f"capstan-sandbox-{name}", "")
    usage = x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
                          key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                          decipher_only=False)
    certificate = (
        _builder(subject, subject, key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def _signed(wanted: Certificate, key: Key, issuer_key: ec.EllipticCurvePrivateKey, issuer: x509.Certificate,
            now: datetime.datetime) -> x509.Certificate:
    builder = _builder(_subject(wanted.common_name, wanted.organization), issuer.subject, key, now)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(list(wanted.usage)), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    if wanted.names or wanted.addresses:
        builder = builder.add_extension(x509.SubjectAlternativeName(_alternatives(wanted)), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _alternatives(wanted: Certificate) -> Iterable[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in wanted.names]
    return [*names, *(x509.IPAddress(ipaddress.ip_address(address)) for address in wanted.addresses)]


def _subject(common_name: str, organization: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: Key, now: datetime.datetime) -> x509.CertificateBuilder:
    # An hour back: a machine whose clock is set back a little must still accept them.
    return x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(),
                                   now - datetime.timedelta(hours=1), now + LIFETIME)


def _write(folder: Path, name: str, key: Key, certificate: x509.Certificate) -> None:
    write_private(folder / f"{name}.key", _private_pem(key))
    write_private(folder / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))


def _private_pem(key: Key) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())
