"""Payloads that are too large to be sent at a stretch: cut at one end, put together at the other.

A payload travels as PIECE packets, each of which says how many bytes follow it, and as the packet it belongs to - REQUEST, RESPONSE or
ITEM, with flag PARTED - which carries the last bytes. What is small goes between the pieces. Both are pure.
"""

from __future__ import annotations

from typing import Final

from ..errors import RemoteProtocolError
from . import packets
from .packets import HEADER, PARTED, PIECE

PIECE_BYTES: Final = 64 << 10
"""What is sent at a stretch: what is small waits for it, less than a tenth of a millisecond on a fast link."""

UNCUT_BYTES: Final = 80 << 10
"""Up to here a payload, or its rest, is sent whole: a piece of a few bytes would be a packet for nothing."""

MOST_PARTED: Final = 8
"""Payloads in pieces that one end may have under way at once: what the other has to keep of them is bounded by it."""

Buffers = tuple[bytes | memoryview, ...]
Fields = tuple[int, int, int, int, int, int, int]
"""call id, endpoint, caller, kind, flags, attempt, value: a header without its length and its reserved byte."""

_pack = HEADER.pack


class Payload:
    """One payload on its way out: `prefix` (a meta block, or nothing) and `body`, which is never copied here."""

    __slots__ = ("_begun", "_fields", "_prefix", "_view", "left")

    def __init__(self, fields: Fields, body: bytes, prefix: bytes = b"") -> None:
        self._fields, self._prefix, self._view = fields, prefix, memoryview(body)
        self._begun = False
        self.left = len(prefix) + len(body)

    @property
    def is_request(self) -> bool:
        """Is it a REQUEST, which does not run before all of it has come?"""
        return self._fields[3] == packets.REQUEST

    def next(self) -> Buffers:
        """The next packet, as buffers to be written one after the other. `left` is 0 after the last one."""
        call_id, endpoint, caller, kind, flags, attempt, value = self._fields
        piece: bytes | memoryview = self._prefix
        if piece:
            self._prefix = b""
        elif self.left > UNCUT_BYTES:
            piece, self._view = self._view[:PIECE_BYTES], self._view[PIECE_BYTES:]
        else:
            self.left = 0
            flags |= PARTED if self._begun else 0
            return _pack(len(self._view), call_id, endpoint, caller, kind, flags, attempt, 0, value), self._view
        self._begun = True
        self.left -= len(piece)
        return _pack(len(piece), call_id, 0, 0, PIECE, 0, 0, 0, self.left), piece


class Assembly:
    """The payloads of one connection that have come in part. Memory follows what has come, never what was claimed."""

    __slots__ = ("_most", "_parts")

    def __init__(self, most: int) -> None:
        self._most = most
        self._parts: dict[int, tuple[bytearray, int]] = {}

    def __len__(self) -> int:
        return len(self._parts)

    def check(self, call_id: int, length: int, following: int) -> None:
        """A PIECE of `length` bytes is announced. Raises RemoteProtocolError."""
        begun = self._parts.get(call_id)
        if begun is not None:
            if length + following != begun[1]:
                raise RemoteProtocolError(f"call {call_id}: {length + following} bytes follow, said were {begun[1]}")
            return
        if length + following > self._most:
            raise RemoteProtocolError(f"a payload of {length + following} bytes: at most {self._most} are taken")
        if len(self._parts) >= MOST_PARTED:
            raise RemoteProtocolError(f"more than {MOST_PARTED} payloads in pieces at once")

    def check_last(self, call_id: int, length: int) -> None:
        """The last bytes are announced. Raises RemoteProtocolError."""
        found = self._parts.get(call_id)
        if found is None:
            raise RemoteProtocolError(f"call {call_id}: the last bytes of a payload whose first ones never came")
        if found[1] != length:
            raise RemoteProtocolError(f"call {call_id}: {length} last bytes of a payload, said were {found[1]}")

    def keep(self, call_id: int, piece: bytes, following: int) -> None:
        """A PIECE came."""
        found = self._parts.get(call_id)
        kept = bytearray() if found is None else found[0]
        kept += piece
        self._parts[call_id] = (kept, following)

    def complete(self, call_id: int, last: bytes) -> bytes:
        """The whole payload."""
        kept, _ = self._parts.pop(call_id)
        kept += last
        return bytes(kept)

    def drop(self, call_id: int) -> None:
        """The rest will not come: its sender has given up."""
        self._parts.pop(call_id, None)

    def clear(self) -> None:
        """Nothing more will come."""
        self._parts.clear()
