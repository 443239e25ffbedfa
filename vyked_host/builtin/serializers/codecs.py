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
    """Encoder and decoder of one type, with a cap in bytes; `inspect` may refuse a body that is not short (:data:`numbers.SHORT`) before it is decoded. Both are functions made
    for it: most calls decode and encode once at either end.

    `encode` raises TypeError (a type that can't travel) and ValueError (nested too deeply); `decode` MessageTooLarge,
    msgspec.ValidationError, msgspec.DecodeError: all ValueErrors."""

    __slots__ = ("decode", "encode")

    def __init__(
        self, encode: Callable[[Any], bytes], decode: Callable[[Any], Any], cap: int, untyped: bool,
        inspect: Callable[[bytes], None] | None = None,
    ) -> None:  # fmt: skip
        self.encode = _encoding(encode)
        self.decode = _decoding(decode, cap, untyped, inspect)


def _encoding(encode: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    def checked(value: Any) -> bytes:
        try:
            return encode(value)
        except RecursionError:
            raise ValueError("nested too deeply to be encoded, or it contains itself") from None

    return checked


def _decoding(
    decode: Callable[[Any], Any], cap: int, untyped: bool, inspect: Callable[[bytes], None] | None
) -> Callable[[Any], Any]:  # fmt: skip
    short = cap if inspect is None else min(cap, numbers.SHORT)  # of these bytes nothing has to be looked at

    def examine(body: Any) -> None:
        if len(body) > cap:
            raise _too_large(len(body), cap, untyped)
        if inspect is not None:
            inspect(body)

    def checked(body: Any) -> Any:
        if len(body) > short:
            examine(body)
        try:
            return decode(body)
        except RecursionError:
            raise ValueError("nested too deeply - at `$`") from None

    return checked


def _too_large(size: int, cap: int, untyped: bool) -> MessageTooLarge:
    limit, why = ("untyped_message", " of a type with untyped parts") if untyped else ("message", "")
    return MessageTooLarge(
        f"{size} bytes{why} are over [limits] {limit} = {cap}: send less, stream it, or raise the limit",
        executed="not_executed",
        details={"size": size, "limit": cap},
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
