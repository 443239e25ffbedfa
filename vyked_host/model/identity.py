"""Who a peer is, and what that allows: pure functions over what certificates and tables say.

An identity is a text: ``spiffe://shop/payments`` or ``payments.internal`` out of a certificate, ``mesh:shop`` of a peer that
proved the mesh secret and nothing more, or whatever an authenticator answered. No text is special, so lists of them are compared
as they stand; an entry that ends in ``*`` allows all that begin like it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NOBODY = ("",)
"""An allow list that nobody is in: no identity is empty."""

EVERY = "*"
"""The key that stands for what has no key of its own."""


def of_certificate(certificate: Mapping[str, Any] | None) -> str | None:
    """The identity in a verified certificate, as `ssl.SSLObject.getpeercert` gives it: its first URI among the alternative
    names, else its first DNS name there, else its common name (RFC 5280 4.2.1.6); None when it has none of them."""
    if not certificate:
        return None
    alternatives: Sequence[tuple[str, str]] = certificate.get("subjectAltName", ())
    for kind in ("URI", "DNS"):
        for found, value in alternatives:
            if found == kind and value:
                return value
    names = [value for rdn in certificate.get("subject", ()) for key, value in rdn if key == "commonName" and value]
    return names[-1] if names else None


def of_mesh(mesh: str) -> str:
    """The identity of a peer that proved the mesh secret and nothing more."""
    return f"mesh:{mesh}"


def allowed(identity: str | None, entries: Iterable[str]) -> bool:
    """Is `identity` among `entries`? Who has none never is."""
    if not identity:
        return False
    return any(identity == each or (each.endswith(EVERY) and identity.startswith(each[:-1])) for each in entries)


def may_serve(identity: str | None, service: str, table: Mapping[str, Sequence[str]]) -> bool:
    """May who has `identity` announce that it serves `service`? `table` is ``[security.serve]``: service -> identities; the
    key ``*`` holds for services without a key; what no key holds for may be served by everybody."""
    entries = table.get(service, table.get(EVERY))
    return entries is None or allowed(identity, entries)
