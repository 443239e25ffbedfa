"""CBOR codecs: cbor2 reads and writes, msgspec says what may be inside.

cbor2 builds objects before the type is checked; the cap, from the type as everywhere, bounds what they take. What makes a
decoder do more than read is refused: shared references, regular expressions, MIME, fractions, keys that
are not text or bytes (colliding hashes), equal keys, simple values without a meaning, anything after the first item.
Times, UUIDs, decimals travel as text, as in JSON; bytes as bytes; keys as text.
"""

from __future__ import annotations

import re
import sys
from io import BytesIO
from typing import Any, NoReturn

import cbor2
import msgspec

from vyked_host import TooLarge
from vyked_host.contracts import Codec, LimitsTable

from .shapes import untyped

MAX_DEPTH = 128
_PLAIN_TAGS = frozenset({0, 1, 2, 3, 55799})  # text and epoch time, big integers, "this is CBOR"
_READ_TAGS = (4, 5, 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 261, 1004, 43000)
# bytes that may start a simple value; also the start of much UTF-8, so that they only call for a closer look
_SUSPECT = re.compile(rb"[\xe0-\xf3\xf7\xf8]")


class MessageTooLarge(TooLarge, ValueError):
    """A body over its cap; a ValueError, as a codec has to raise, that knows its code."""


class Cbor:
    """RFC 8949."""

    content_type = "application/cbor"

    def __init__(self, limits: LimitsTable) -> None:
        self._limits = limits

    def codec(self, shape: Any) -> Codec:
        """A codec for `shape`. Raises TypeError when msgspec does not know the type."""
        msgspec.json.Decoder(shape)  # at start-up, and not with the first message
        return _CborCodec(shape, self._limits)


class _CborCodec:
    __slots__ = ("_cap", "_limit", "_shape")

    def __init__(self, shape: Any, limits: LimitsTable) -> None:
        self._shape, self._limit = shape, "untyped_message" if untyped(shape) else "message"
        cap = getattr(limits, self._limit)
        self._cap = sys.maxsize if cap == "none" else cap

    def encode(self, value: Any) -> bytes:
        """`value` as bytes. Raises TypeError, ValueError."""
        try:
            return cbor2.dumps(msgspec.to_builtins(value, builtin_types=(bytes,), str_keys=True))
        except RecursionError:
            raise ValueError("nested too deeply to be encoded, or it contains itself") from None
        except cbor2.CBORError as error:
            raise ValueError(str(error)) from error

    def decode(self, body: Any) -> Any:
        """The value in `body`. Raises ValueError: too large, not CBOR, or not of the type."""
        if len(body) > self._cap:
            what = f"{len(body)} bytes are over [limits] {self._limit} = {self._cap}: send less, stream it, or raise the limit"
            raise MessageTooLarge(what, executed="not_executed", details={"size": len(body), "limit": self._cap})
        return msgspec.convert(_read(body), self._shape, builtin_types=(bytes,), str_keys=True)


def _read(body: Any) -> Any:
    source = BytesIO(body)
    try:
        value = cbor2.CBORDecoder(
            source, tag_hook=_refuse, semantic_decoders=_REFUSED, max_depth=MAX_DEPTH, allow_duplicate_keys=False,
            strict_hashable_types=True,
        ).decode()  # fmt: skip
    except cbor2.CBORError as error:
        raise ValueError(f"not CBOR that is read here: {error.__cause__ or error}") from error
    if source.tell() != len(body):
        raise ValueError(f"{len(body) - source.tell()} bytes after the end of the item")
    if _SUSPECT.search(body):
        _refuse_simple(value)
    return value


def _refuse(*_of_decoder: Any) -> NoReturn:
    raise ValueError(f"a tag other than {', '.join(map(str, sorted(_PLAIN_TAGS)))}")


def _refuse_simple(value: Any) -> None:
    try:
        msgspec.to_builtins(value, builtin_types=(bytes,))
    except TypeError as error:
        raise ValueError(f"a simple value that means nothing here: {error}") from error


_REFUSED = dict.fromkeys(_READ_TAGS, _refuse)
