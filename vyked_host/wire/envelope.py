"""The envelope of an event, for buses that carry bytes and no headers: a msgpack array, version first.

Version 1: [1, id, service, version, name, source, body, content type, key or nil, headers, published, expires or nil, named, not before or nil];
times in seconds since 1970, the body as bin. Fields may be added at the end within a version: who reads ignores what it
does not know. Whatever would be misread gets another version, which is refused here by its number.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from math import isfinite
from typing import Literal

import msgspec

from ..errors import RemoteProtocolError, UsageError
from ..model.message import Event
from ..model.version import parse

VERSION: Literal[1] = 1
FEWEST = 12
"""Fields, the version among them; those that follow came later."""
EMPTY = 0x90
SHORTEST = EMPTY + FEWEST
"""The first byte of a msgpack array of so many."""
ID_CHARACTERS = 32
"""Of an event's id that its publisher did not choose: they are hexadecimal."""
_STR_8, _FLOAT = b"\xd9", b"\xcb"
_SHORT = [bytes((0xC4, size)) for size in range(256)]
"""What stands before so many bytes (https://github.com/msgpack/msgpack/blob/master/spec.md)."""
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)

MalformedKind = Literal["not an envelope", "another version", "wrong fields"]


class MalformedEnvelope(RemoteProtocolError):
    """These bytes are no event that this host can read. `kind` is one of few phrases, to count and to log by."""

    def __init__(self, kind: MalformedKind, message: str) -> None:
        super().__init__(message)
        self.kind: MalformedKind = kind


class _Numbered(msgspec.Struct, array_like=True, frozen=True):
    """The one field that all versions share."""

    v: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Event).decode
_number = msgspec.msgpack.Decoder(_Numbered).decode


def pack(event: Event) -> bytes:
    """`event` as bytes."""
    try:
        return _encode(event)
    except TypeError:
        if type(event.metadata) is dict:
            raise
        return _encode(msgspec.structs.replace(event, metadata=dict(event.metadata)))


def enveloping(event: Event) -> Callable[[str, bytes, float], bytes]:
    """(id, body, published) -> what `pack` makes of an event with them that is else like `event`. Ids are as long as those of this host
    (:data:`ID_CHARACTERS`)."""
    fields = [_encode(each) for each in (VERSION, *msgspec.structs.astuple(event))]
    before = bytes((EMPTY + len(fields),)) + fields[0] + _STR_8 + bytes((ID_CHARACTERS,))
    between, after, last = b"".join(fields[2:6]), b"".join(fields[7:10]) + _FLOAT, b"".join(fields[11:])
    end, short = struct.Struct(f">{len(after)}sd{len(last)}s").pack, _SHORT

    def envelope(id: str, body: bytes, published: float) -> bytes:
        size = len(body)
        head = short[size] if size < 256 else _long(size)
        return b"".join((before, id.encode(), between, head, body, end(after, published, last)))

    return envelope


def _long(size: int) -> bytes:
    """What stands before so many bytes."""
    return b"\xc5" + size.to_bytes(2) if size < 1 << 16 else b"\xc6" + size.to_bytes(4)


def unpack(packed: bytes) -> Event:
    """The event in `packed`. Raises MalformedEnvelope, and nothing else, whatever the bytes are."""
    try:
        found = _decode(packed)
        parse(found.version)
    except UsageError as error:
        raise MalformedEnvelope("wrong fields", f"the version of an event: {error}") from error
    except _UNREADABLE as error:
        raise _malformed(packed, error) from error
    if packed[0] < SHORTEST:
        raise MalformedEnvelope(
            "wrong fields", f"an envelope of {packed[0] - EMPTY} fields; there are at least {FEWEST}"
        )
    # compared with nothing it is ever over or due
    if not isfinite(found.published_unix_s) or found.expires_unix_s is not None or found.not_before_unix_s is not None:
        _refuse_times(found)
    return found


def _refuse_times(found: Event) -> None:
    for at in (found.published_unix_s, found.expires_unix_s, found.not_before_unix_s):
        if at is not None and not isfinite(at):
            raise MalformedEnvelope("wrong fields", f"a time of an event is {at}")


def _malformed(packed: bytes, error: Exception) -> MalformedEnvelope:
    """Why it could not be read: by its number, where it has one."""
    try:
        number = _number(packed).v
    except _UNREADABLE:
        return MalformedEnvelope("not an envelope", f"{len(packed)} bytes that are no envelope of an event: {error}")
    if number != VERSION:
        text = f"an envelope of version {number}; this host reads {VERSION}: upgrade it before those that publish"
        return MalformedEnvelope("another version", text)
    return MalformedEnvelope("wrong fields", f"an envelope with a field that does not fit: {error}")
