"""Proof of a shared secret that never travels: HMAC-SHA256 (RFC 2104) over what both ends have said, compared in constant time.

Each end proves with a label of its own, so what one end said is of no use to whoever says it back, and both ends have put a
fresh nonce into what is signed, so what was recorded is of no use later. docs/wire-protocol.md, section 3.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

NONCE_BYTES = 32
"""Bytes of chance that each end contributes. They come from outside: nothing in here knows chance."""

PROOF_BYTES = 32
"""Bytes of a proof."""

CLIENT, SERVER = b"vyked-host client", b"vyked-host server"
"""What the proof of each end begins with."""


def framed(*parts: bytes) -> bytes:
    """Each part after its length, so that no two sequences of parts become the same bytes."""
    return b"".join(len(part).to_bytes(4, "little") + part for part in parts)


class Seal:
    """Knows the mesh secret: makes proofs with the first one, accepts those of any. It never shows them."""

    __slots__ = ("_keys",)

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = tuple(each.encode() for each in secrets)

    def __repr__(self) -> str:
        return "Seal(***)"

    def prove(self, *parts: bytes) -> bytes:
        """The proof of `parts`: 32 bytes."""
        return hmac.digest(self._keys[0], framed(*parts), hashlib.sha256)

    def accepts(self, proof: bytes, *parts: bytes) -> Seal | None:
        """The seal that made `proof` of `parts`, knowing that one secret only; None: nobody who belongs to this mesh did."""
        found = None
        for key in self._keys:  # all of them, whichever fits: the time tells nothing
            if hmac.compare_digest(hmac.digest(key, framed(*parts), hashlib.sha256), proof):
                found = key
        return None if found is None else Seal((found.decode(),))


def read_hex(text: str, size: int) -> bytes:
    """`text` as `size` bytes; empty when it is not that."""
    try:
        found = bytes.fromhex(text) if len(text) == 2 * size else b""
    except ValueError:
        return b""
    return found if len(found) == size else b""
