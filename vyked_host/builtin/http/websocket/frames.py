"""The frames of one peer, seen as they arrive and before aiohttp's parser: RFC 6455, section 5.

Pure. It keeps no payload but that of control frames, and finds what has to be refused at the first byte that shows it: frames
without a mask, which aiohttp takes, and messages over the limit, whose size is in the header. Everything else that a frame can
have wrong is aiohttp's to find.
"""

from __future__ import annotations

from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
CONTROL = 0x8
"""Opcodes from here on are those of control frames."""
LARGEST_CONTROL = 125
PROTOCOL_ERROR, TOO_BIG = 1002, 1009
NO_STATUS = 1005
"""What a close frame without a code means."""


class Violation(Exception):
    """The peer broke a rule: close with `code` and `reason`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Frame(NamedTuple):
    """One complete frame; `payload` is that of a control frame, unmasked, and empty for others."""

    opcode: int
    payload: bytes


class Scanner:
    """Follows the frames in a stream of bytes, however it is cut. `limit`: bytes of a message, None: no bound."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._head = bytearray()
        self._opcode = self._left = 0
        self._in_payload = False
        self._final = True
        self._mask = b""
        self._kept: bytearray | None = None
        self._message = 0
        self._open = False

    @property
    def is_partial(self) -> bool:
        """Has a message or a frame begun that is not complete?"""
        return self._open or self._in_payload or bool(self._head)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes. Raises Violation."""
        found: list[Frame] = []
        at = 0
        while at < len(data):
            at = self._payload(data, at) if self._in_payload else self._header(data, at)
            if self._in_payload and not self._left:
                found.append(self._complete())
        return found

    # ---- header ------------------------------------------------------------------------------------------------------
    def _header(self, data: bytes, at: int) -> int:
        head = self._head
        taken = min(self._needed() - len(head), len(data) - at)
        head += data[at : at + taken]
        if len(head) == 2 and not head[1] & 0x80:
            raise Violation(PROTOCOL_ERROR, "frames of a client have to be masked")
        if len(head) == self._needed():
            self._begin()
        return at + taken

    def _needed(self) -> int:
        """Bytes of the header, as far as it is known: 2, the longer length, 4 of the mask."""
        if len(self._head) < 2:
            return 2
        return 6 + {126: 2, 127: 8}.get(self._head[1] & 0x7F, 0)

    def _begin(self) -> None:
        head = self._head
        length = head[1] & 0x7F
        if length > LARGEST_CONTROL:
            length = int.from_bytes(head[2:-4], "big")
        self._opcode, self._final, self._mask = head[0] & 0x0F, bool(head[0] & 0x80), bytes(head[-4:])
        if self._opcode >= CONTROL:
            if length > LARGEST_CONTROL:
                raise Violation(PROTOCOL_ERROR, "a control frame has 125 bytes at most")
            self._kept = bytearray()
        else:
            self._message += length
            if self._limit is not None and self._message > self._limit:
                raise Violation(TOO_BIG, f"a message is over its limit of {self._limit} bytes")
        self._left, self._in_payload = length, True
        head.clear()

    # ---- payload -----------------------------------------------------------------------------------------------------
    def _payload(self, data: bytes, at: int) -> int:
        taken = min(self._left, len(data) - at)
        if self._kept is not None:
            self._kept += data[at : at + taken]
        self._left -= taken
        return at + taken

    def _complete(self) -> Frame:
        self._in_payload = False
        kept, self._kept = self._kept, None
        if kept is not None:
            return Frame(self._opcode, bytes(byte ^ self._mask[n % 4] for n, byte in enumerate(kept)))
        self._open = not self._final
        if self._final:
            self._message = 0
        return Frame(self._opcode, b"")


def close_code(payload: bytes) -> int:
    """The code in a close frame."""
    return int.from_bytes(payload[:2], "big") if len(payload) >= 2 else NO_STATUS


def control(opcode: int, payload: bytes = b"") -> bytes:
    """A control frame as a server sends it: final, unmasked."""
    return bytes((0x80 | opcode, len(payload))) + payload
