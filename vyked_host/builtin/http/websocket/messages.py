"""What one socket receives and sends: values of its two types, as text and binary messages.

`str` is the text itself, `bytes` the binary message itself, everything else JSON in a text message. Bound once per route.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ....contracts import Codec
from ....errors import TooLarge
from ....service.annotations import type_name
from ....service.sockets import Sides, sides_of
from .frames import BINARY, TEXT, TOO_BIG

UNSUPPORTED, INVALID = 1003, 1007
"""RFC 6455, 7.4.1: a message of a type that can't be accepted; data that don't fit the type of the message."""


class Misfit(Exception):
    """A message that does not fit: close with `code` and `reason`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Messages:
    """`limit`: bytes of one message, None: no bound."""

    def __init__(
        self, inbound: Any, outbound: Any, codec_of: Callable[[Any], Codec], limit: int | None
    ) -> None:  # fmt: skip
        self._in, self._out, self._limit = sides_of(inbound), sides_of(outbound), limit
        self._reads = codec_of(self._in.shape) if self._in.text == "json" else None
        anything = outbound is Any
        self._writes = codec_of(Any if anything else self._out.shape) if anything or self._out.text == "json" else None
        self._takes, self._gives = type_name(inbound), type_name(outbound)

    # ---- in ----------------------------------------------------------------------------------------------------------
    def text(self, body: bytes) -> Any:
        """The value in a text message. Raises Misfit."""
        if self._in.text is None:
            raise Misfit(UNSUPPORTED, f"a text message; this socket takes {self._takes}")
        try:
            return self._reads.decode(body) if self._reads is not None else _converted(body.decode(), self._in.shape)
        except TooLarge as error:
            raise Misfit(TOO_BIG, str(error)) from None
        except ValueError as error:  # msgspec's and UnicodeDecodeError are
            raise Misfit(INVALID, _reason(error)) from None

    def binary(self, body: bytes) -> Any:
        """The value in a binary message. Raises Misfit."""
        if self._in.binary is None:
            raise Misfit(UNSUPPORTED, f"a binary message; this socket takes {self._takes}")
        try:
            return _converted(body, self._in.binary)
        except ValueError as error:
            raise Misfit(INVALID, _reason(error)) from None

    # ---- out ---------------------------------------------------------------------------------------------------------
    def encode(self, value: Any) -> tuple[int, bytes]:
        """Opcode and payload of `value`. Raises TypeError when its type can't be sent, TooLarge."""
        opcode, body = self._encoded(value, self._out)
        if self._limit is not None and len(body) > self._limit:
            text = f"a message of {len(body)} bytes is over [limits] message = {self._limit}: send less"
            raise TooLarge(text, executed="not_sent")
        return opcode, body

    def _encoded(self, value: Any, out: Sides) -> tuple[int, bytes]:
        if isinstance(value, bytes) and out.binary is not None:
            return BINARY, value
        if isinstance(value, str) and out.text == "text":
            return TEXT, value.encode()
        if self._writes is None or isinstance(value, bytes):
            raise TypeError(f"this socket sends {self._gives}, not {type(value).__name__}")
        return TEXT, self._writes.encode(value)


def _converted(value: Any, shape: Any) -> Any:
    """`value`, checked against the constraints of its type."""
    return value if shape in (str, bytes) else msgspec.convert(value, shape)


def _reason(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "the text is no UTF-8"
    return str(error)
