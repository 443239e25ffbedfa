"""``[security]`` as a transport needs it: how this host proves itself, and what it makes of who connects.

A transport calls it once per connection (tcp) or request (http), never per call of an open connection. The secret stays inside:
what is handed out makes and checks proofs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ..errors import PermissionDenied, Unauthenticated
from ..model import identity
from ..model.message import Peer
from ..wire.proof import Seal

Identify = Callable[[Mapping[str, str], Peer], str | None]
"""`Authenticator.identify`."""

MEMBERSHIP = (
    "the authenticator let this peer in as nobody in particular, so it has to prove that it belongs here ([security] secret or "
    "[security.tls], alike in both), or the authenticator has to name it"
)


class Trust:
    """`seal` is None without a mesh secret; `claims` is what this host says of itself to authenticators; `encrypted`: all that
    this host listens on and dials has to be TLS."""

    def __init__(
        self, mesh: str = "", *, seal: Seal | None = None, claims: Mapping[str, str] | None = None,
        peers: Sequence[str] = (), identify: Identify | None = None, encrypted: bool = False,
        serve: Mapping[str, Sequence[str]] | None = None, members_only: bool = False,
    ) -> None:  # fmt: skip
        self.seal, self.claims, self.encrypted = seal, dict(claims or {}), encrypted
        self.authenticates = identify is not None
        self._mesh, self._peers, self._identify, self._serve = mesh, tuple(peers), identify, dict(serve or {})
        self._members_only = members_only

    def for_members(self) -> Trust:
        """The same where nobody else has any business: `admit` refuses who does not belong to the mesh."""
        return Trust(
            self._mesh, seal=self.seal, claims=self.claims, peers=self._peers, identify=self._identify,
            encrypted=self.encrypted, serve=self._serve, members_only=True,
        )  # fmt: skip

    def __repr__(self) -> str:
        return "Trust(***)"

    @property
    def wants_proof(self) -> bool:
        """Does who calls have to prove that it belongs to this mesh?"""
        return self.seal is not None or self.encrypted

    def peer(self, link: Any, address: str) -> Peer:
        """Who is at the other end of `link`, an asyncio transport, by the certificate that was verified in its handshake."""
        found = link.get_extra_info("peercert")
        return Peer(
            address=address, secure=is_secure(link), certified=bool(found), identity=identity.of_certificate(found)
        )

    def check(self, found: str | None) -> None:
        """Raises PermissionDenied when `found`, the identity in a certificate, is none of those that peers may have."""
        if self._peers and not identity.allowed(found, self._peers):
            raise PermissionDenied(
                f"the certificate is of {found or 'nobody'}, which is none of [security.tls] peers", executed="not_sent"
            )

    def admit(self, claims: Mapping[str, str], peer: Peer, *, member: bool) -> Peer:
        """`peer` with its identity: what the authenticator says, else what its certificate says (`peer.identity`), else, of a
        `member` that proved the mesh secret, the mesh. It belongs to the mesh by its certificate or the secret; where neither
        is asked for, by what the authenticator calls it; and where there is none, as all that get here do. Raises
        Unauthenticated."""
        if peer.identity is None and member:
            peer = msgspec.structs.replace(peer, identity=identity.of_mesh(self._mesh))
        if self._identify is None:
            return msgspec.structs.replace(peer, is_member=member or peer.certified or not self.wants_proof)
        try:
            found = self._identify(claims, peer) or None
        except Unauthenticated:
            raise
        except Exception as error:  # a plugin's own: what it can't judge does not come in
            raise Unauthenticated(f"the authenticator failed: {type(error).__name__}", executed="not_sent") from error
        belongs = member or peer.certified or (not self.wants_proof and found is not None)
        if self._members_only and not belongs:
            raise Unauthenticated(
                f"this place is for members of mesh {self._mesh!r}: {MEMBERSHIP}", executed="not_sent"
            )
        return msgspec.structs.replace(peer, identity=found, is_member=belongs)

    def may_serve(self, found: str | None, service: str) -> bool:
        """May who has the identity `found` announce `service`? ``[security.serve]``, model.identity.may_serve."""
        return identity.may_serve(found, service, self._serve)


def is_secure(link: Any) -> bool:
    """Is `link`, an asyncio transport, encrypted?"""
    return link.get_extra_info("ssl_object") is not None


def binding(link: Any, *, server: bool) -> bytes:
    """What ties a proof to the TLS session it travels in: the SHA-256 of the certificate that the server shows, as in the
    channel binding `tls-server-end-point` (RFC 5929 4). Empty without TLS. Somebody in between, who has to show another
    certificate, can't pass a proof on."""
    tls = link.get_extra_info("ssl_object")
    if tls is None:
        return b""
    if server:
        return bytes(getattr(tls.context, "fingerprint", b""))
    return hashlib.sha256(tls.getpeercert(True) or b"").digest()
