"""Where an incomplete frame waits for its rest.

Memory follows what has arrived, never what a header claims; a frame that trickles in byte by byte costs its own length, not
its square. A chunk that ends at a frame's end - nearly every one - never gets here.
"""

from __future__ import annotations

from .packets import HEADER, HEADER_BYTES


class Leftover:
    """The bytes of one incomplete frame. Empty most of the time."""

    __slots__ = ("_bytes", "_needed")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._needed = 0

    def __len__(self) -> int:
        return len(self._bytes)

    def begins(self) -> bytes:
        """Its first two bytes."""
        return bytes(self._bytes[:2])

    def keep(self, rest: bytes) -> None:
        """Keep `rest`, which starts at a frame's first byte and does not reach its last."""
        self._bytes += rest
        self._measure()

    def join(self, chunk: bytes) -> bytes | None:
        """What was kept and `chunk`; None while the frame is still incomplete."""
        kept = self._bytes
        kept += chunk
        if len(kept) < self._needed:
            return None
        joined = bytes(kept)
        self._bytes = bytearray()
        return joined

    def _measure(self) -> None:
        kept = self._bytes
        self._needed = HEADER_BYTES
        if len(kept) >= HEADER_BYTES:
            self._needed += HEADER.unpack_from(kept)[0]

    def clear(self) -> None:
        """Forget it: nothing more is expected."""
        self._bytes = bytearray()
