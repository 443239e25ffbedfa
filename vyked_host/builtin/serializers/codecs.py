"""Codecs bound to one type. Caps hold before any object is built; whatever a peer wrote, the answer is a ValueError.

JSON has no NaN and no Infinity: reading them is refused, and msgspec writes both as null, which a typed reader refuses.
Times, UUIDs, bytes (base64 in JSON) and decimals (strings) are msgspec's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import msgspec

from ...contracts import Codec, LimitsTable, message_limit
from ...errors import TooLarge
from ...model import shapes
from . import numbers


class MessageTooLarge(TooLarge, ValueError):
    """A body over its cap; a ValueError, as a codec has to raise, that knows its code."""


class BoundCodec:
    """Encoder and decoder of one type, with a cap in bytes; `inspect` may refuse a body before it is decoded."""

    __slots__ = ("_cap", "_decode", "_encode", "_inspect", "_untyped")

    def __init__(
        self, encode: Callable[[Any], bytes], decode: Callable[[Any], Any], cap: int, untyped: bool,
        inspect: Callable[[bytes], None] | None = None,
    ) -> None:  # fmt: skip
        self._encode, self._decode, self._cap, self._untyped, self._inspect = encode, decode, cap, untyped, inspect

    def encode(self, value: Any) -> bytes:
        """`value` as bytes. Raises TypeError (a type that can't travel), ValueError (nested too deeply)."""
        encode = self._encode  # CPython 3.11 looks up `self._encode(...)` anew each time, as a method that is none
        try:
            return encode(value)
        except RecursionError:
            raise ValueError("nested too deeply to be encoded, or it contains itself") from None

    def decode(self, body: Any) -> Any:
        """The value in `body`. Raises MessageTooLarge, msgspec.ValidationError, msgspec.DecodeError: all ValueErrors."""
        if len(body) > self._cap:
            raise self._too_large(len(body))
        if self._inspect is not None:
            self._inspect(body)
        decode = self._decode
        try:
            return decode(body)
        except RecursionError:
            raise ValueError("nested too deeply - at `$`") from None

    def _too_large(self, size: int) -> MessageTooLarge:
        limit, why = ("message", "") if not self._untyped else ("untyped_message", " of a type with untyped parts")
        return MessageTooLarge(
            f"{size} bytes{why} are over [limits] {limit} = {self._cap}: send less, stream it, or raise the limit",
            executed="not_executed",
            details={"size": size, "limit": self._cap},
        )


class Json:
    """RFC 8259."""

    content_type = "application/json"

    def __init__(self, limits: LimitsTable) -> None:
        self._limits = limits
        self._encode = msgspec.json.Encoder().encode

    def codec(self, shape: Any) -> Codec:
        """A codec for `shape`. Raises TypeError when msgspec does not know the type."""
        decode = msgspec.json.Decoder(shape).decode
        guard = numbers.check if shapes.floating(shape) else None
        return BoundCodec(self._encode, decode, *cap_of(shape, self._limits), guard)


class Msgpack:
    """https://msgpack.org, with the timestamp extension."""

    content_type = "application/msgpack"

    def __init__(self, limits: LimitsTable) -> None:
        self._limits = limits
        self._encode = msgspec.msgpack.Encoder().encode

    def codec(self, shape: Any) -> Codec:
        """A codec for `shape`. Raises TypeError when msgspec does not know the type."""
        return BoundCodec(self._encode, msgspec.msgpack.Decoder(shape).decode, *cap_of(shape, self._limits))


def cap_of(shape: Any, limits: LimitsTable) -> tuple[int, bool]:
    """Bytes a message of `shape` may have, and whether that is the cap of untyped ones."""
    limit = message_limit(shape, limits)
    return (sys.maxsize if limit is None else limit), shapes.untyped(shape)
