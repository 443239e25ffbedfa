"""Certificates of a mesh of the suite: one authority, one certificate for all hosts of this machine."""

from __future__ import annotations

from pathlib import Path

import trustme

TABLE = '[security.tls]\ncert = "tls/host.crt"\nkey = "tls/host.key"\nca = "tls/ca.crt"\n'


def issue(folder: Path, *names: str, authority: trustme.CA | None = None) -> trustme.CA:
    """Write authority, certificate and key for `names` (addresses among them) to `folder`/tls, where `TABLE` expects them."""
    authority = authority or trustme.CA()
    place = folder / "tls"
    place.mkdir(mode=0o700)
    certificate = authority.issue_cert(*names)
    authority.cert_pem.write_to_path(place / "ca.crt")
    key = place / "host.key"
    key.touch(0o600)
    key.write_bytes(certificate.private_key_pem.bytes())
    (place / "host.crt").write_bytes(b"".join(each.bytes() for each in certificate.cert_chain_pems))
    return authority
