"""A request signed with the mesh secret, and an answer likewise: one header each, in the words of docs/http.md.

``Vyked-Proof: t=UNIX;n=NONCE;d=DIGEST;p=PROOF``. Signed are the mesh, the node that is meant, the verb, the path with its query, the
time, the nonce, the digest of the body, and the headers that say who calls and for what; so none of them can be changed, and the
whole is worth nothing a second time, nor at another node where one is named (who asks for the surface does not know it yet).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from ...wire.proof import PROOF_BYTES, Seal, read_hex
from . import headers

PROOF, NODE, IDENTITY = "Vyked-Proof", "Vyked-Node", "Vyked-Identity"
REQUEST, ANSWER = b"vyked-host http request", b"vyked-host http answer"
SIGNED = (
    headers.CALLER,
    headers.ENTITY,
    headers.METADATA,
    headers.IDEMPOTENCY,
    headers.SERIALIZER,
    IDENTITY,
    "Content-Type",
)
"""Headers that a proof covers, in this order; one that is not there counts as empty."""

STREAM = "stream"
"""Digest of a body that is written as it comes: it is not covered."""

WINDOW_S = 30.0
"""Seconds by which the clock of who asks may differ from ours."""

_NONCE_BYTES = 16
_FORM = re.compile(r"t=(\d{1,12});n=([0-9a-f]{32});d=([0-9a-f]{64}|stream);p=([0-9a-f]{64})\Z")


class Signature(NamedTuple):
    """What the header says."""

    time: str
    nonce: str
    digest: str
    proof: str = ""

    def __str__(self) -> str:
        return f"t={self.time};n={self.nonce};d={self.digest};p={self.proof}"


def digest(body: bytes) -> str:
    """SHA-256 of a body, in hexadecimal."""
    return hashlib.sha256(body).hexdigest()


def read(text: str) -> Signature | None:
    """The header's parts; None when it is not as it should be."""
    found = _FORM.match(text)
    return None if found is None else Signature(*found.groups())


def _parts(mesh: str, node: str, verb: str, path: str, said: Mapping[str, str], signature: Signature) -> list[bytes]:
    texts = (
        mesh,
        node,
        verb,
        path,
        signature.time,
        signature.nonce,
        signature.digest,
        *(said.get(name, "") for name in SIGNED),
    )
    return [REQUEST, *(text.encode("utf-8", "surrogateescape") for text in texts)]


class Signer:
    """Signs requests to the nodes of one mesh."""

    def __init__(self, seal: Seal, mesh: str) -> None:
        self._seal, self._mesh = seal, mesh

    def sign(
        self, node: str, verb: str, path: str, said: Mapping[str, str], body: bytes | None, unix_s: float
    ) -> Signature:
        """The proof of a request; `body` None: it is a stream."""
        bare = Signature(str(int(unix_s)), secrets.token_hex(_NONCE_BYTES), STREAM if body is None else digest(body))
        proof = self._seal.prove(*_parts(self._mesh, node, verb, path, said, bare))
        return bare._replace(proof=proof.hex())

    def verify(self, node: str, verb: str, path: str, said: Mapping[str, str], signature: Signature) -> Seal | None:
        """The seal that made `signature`; None: nobody of this mesh did."""
        proof = read_hex(signature.proof, PROOF_BYTES)
        return self._seal.accepts(proof, *_parts(self._mesh, node, verb, path, said, signature))

    def answer(self, seal: Seal, nonce: str, node: str, body: bytes) -> str:
        """The proof in the answer to a request with `nonce`."""
        return seal.prove(*self._answered(nonce, node, body)).hex()

    def answered(self, proof: str, nonce: str, node: str, body: bytes) -> bool:
        """Does who answered know the secret?"""
        return self._seal.accepts(read_hex(proof, PROOF_BYTES), *self._answered(nonce, node, body)) is not None

    def _answered(self, nonce: str, node: str, body: bytes) -> tuple[bytes, ...]:
        return (ANSWER, self._mesh.encode(), node.encode(), nonce.encode(), digest(body).encode())
