"""The envelope of an event, for buses that carry bytes and no headers: a msgpack array, version first.

Version 1: [1, id, service, version, name, source, body, content type, key or nil, headers, published, expires or nil, named, not before or nil];
times in seconds since 1970, the body as bin. Fields may be added at the end within a version: who reads ignores what it
does not know. Whatever would be misread gets another version, which is refused here by its number.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ..errors import RemoteProtocolError, UsageError
from ..model.message import Event
from ..model.version import parse

VERSION: Literal[1] = 1
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)

MalformedKind = Literal["not an envelope", "another version", "wrong fields"]


class MalformedEnvelope(RemoteProtocolError):
    """These bytes are no event that this host can read. `kind` is one of few phrases, to count and to log by."""

    def __init__(self, kind: MalformedKind, message: str) -> None:
        super().__init__(message)
        self.kind: MalformedKind = kind


class _Envelope(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Version 1, in the order of its array."""

    v: Literal[1]
    id: str
    service: str
    version: str
    name: str
    source: str
    body: bytes
    content_type: str
    key: str | None
    metadata: dict[str, str]
    published_unix_s: float
    expires_unix_s: float | None
    named: bool = False
    not_before_unix_s: float | None = None


class _Numbered(msgspec.Struct, array_like=True, frozen=True):
    """The one field that all versions share."""

    v: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Envelope).decode
_number = msgspec.msgpack.Decoder(_Numbered).decode


def pack(event: Event) -> bytes:
    """`event` as bytes."""
    return _encode(
        _Envelope(
            VERSION, event.id, event.service, event.version, event.name, event.source, event.body, event.content_type,
            event.key, dict(event.metadata), event.published_unix_s, event.expires_unix_s,
            event.named, event.not_before_unix_s,
        )
    )  # fmt: skip


def unpack(packed: bytes) -> Event:
    """The event in `packed`. Raises MalformedEnvelope, and nothing else, whatever the bytes are."""
    try:
        found = _decode(packed)
        parse(found.version)
    except UsageError as error:
        raise MalformedEnvelope("wrong fields", f"the version of an event: {error}") from error
    except _UNREADABLE as error:
        raise _malformed(packed, error) from error
    return Event(
        id=found.id, service=found.service, version=found.version, name=found.name, source=found.source,
        body=found.body, content_type=found.content_type, key=found.key, metadata=found.metadata,
        published_unix_s=found.published_unix_s, expires_unix_s=found.expires_unix_s,
        named=found.named, not_before_unix_s=found.not_before_unix_s,
    )  # fmt: skip


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
