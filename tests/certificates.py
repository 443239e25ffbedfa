"""Certificates for tests: an authority, and what it signs - also with URIs, which trustme does not do by itself."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOOPBACK = ("127.0.0.1", "localhost")


def authority(folder: Path, name: str = "ca") -> trustme.CA:
    """An authority; its certificate is ``NAME.pem`` in `folder`."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(folder / f"{name}.pem"))
    return made


def issue(
    ca: trustme.CA, folder: Path, name: str, *, uris: Sequence[str] = (), hosts: Sequence[str] = LOOPBACK,
    common_name: str | None = None, days: float = 30.0, chain: trustme.CA | None = None,
) -> dict[str, str]:  # fmt: skip
    """A certificate and its key as ``NAME.crt`` and ``NAME.key``; the ``[security.tls]`` table that names them. `days` below
    zero: expired for so long."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    signing = serialization.load_pem_private_key(ca.private_key_pem.bytes(), None)
    now = datetime.datetime.now(datetime.UTC)
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    names = [x509.UniformResourceIdentifier(each) for each in uris] + [_host(each) for each in hosts]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(subject))
        .issuer_name(signer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=60))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            critical=False,  # type: ignore[arg-type]
        )
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not subject)
    made = builder.sign(signing, hashes.SHA256())  # type: ignore[arg-type]
    (folder / f"{name}.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret = folder / f"{name}.key"
    secret.touch(mode=0o600)
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return {"cert": f"{name}.crt", "key": f"{name}.key", "ca": "ca.pem"}


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
