"""What travels beside a request: trace headers and the callers' own pairs, the entity, the idempotency key.

`Call.metadata` holds the headers packed (a JSON object of strings), so that a host that only passes them on never builds
a dict. On the wire they stand inside the meta block of a REQUEST (flag META): u16 length, then that many bytes of JSON,
``{"e": entity, "k": idempotency key, "c": caller, "h": {headers}}``, each key only where there is something to say.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import msgspec

from ..errors import LocalProtocolError, RemoteProtocolError

_LENGTH = struct.Struct("<H")
LARGEST_META = 0xFFFF
"""Bytes of a meta block: what its length field can say."""

_encode = msgspec.json.encode
_headers = msgspec.json.Decoder(dict[str, str]).decode


def pack(headers: Mapping[str, str]) -> bytes | None:
    """`headers` as `Call.metadata` holds them; None for none."""
    return _encode(dict(headers)) if headers else None


def unpack(packed: bytes | None) -> dict[str, str]:
    """The headers in `packed`. Raises msgspec.DecodeError (a ValueError) when it was not made by :func:`pack`."""
    return _headers(packed) if packed else {}


class CallMeta(msgspec.Struct, gc=False):
    """The meta block of one request, read. `headers` are packed."""

    entity: str | None = None
    idempotency_key: str | None = None
    caller: str = ""
    headers: bytes | None = None


_NO_HEADERS = msgspec.Raw()  # one object: an omitted default is recognised by identity


class _Block(msgspec.Struct, omit_defaults=True):
    """The JSON of a meta block."""

    e: str | None = None
    k: str | None = None
    c: str = ""
    h: msgspec.Raw = _NO_HEADERS


_decode = msgspec.json.Decoder(_Block).decode


def join(meta: CallMeta, body: bytes, most: int) -> bytes:
    """`body` with `meta` before it. Raises LocalProtocolError when the meta block is over 65,535 bytes, or both over `most`."""
    headers = msgspec.Raw(meta.headers) if meta.headers else _NO_HEADERS
    block = _encode(_Block(e=meta.entity, k=meta.idempotency_key, c=meta.caller, h=headers))
    if len(block) > LARGEST_META:
        raise LocalProtocolError(f"metadata of {len(block)} bytes: {LARGEST_META} are the most a request can carry")
    if _LENGTH.size + len(block) + len(body) > most:
        raise LocalProtocolError(f"metadata of {len(block)} bytes: with it, the request is larger than the peer takes")
    return b"".join((_LENGTH.pack(len(block)), block, body))


def split(payload: bytes) -> tuple[CallMeta, bytes]:
    """A payload with a meta block -> the block and the body. Raises RemoteProtocolError when it is malformed."""
    if len(payload) < _LENGTH.size:
        raise RemoteProtocolError("a meta block needs its two bytes of length")
    stop = _LENGTH.size + _LENGTH.unpack_from(payload)[0]
    if stop > len(payload):
        raise RemoteProtocolError(f"a meta block of {stop - _LENGTH.size} bytes ends beyond its packet")
    try:
        block = _decode(payload[_LENGTH.size : stop])
        headers = bytes(block.h) or None
        unpack(headers)  # what reaches a handler was looked at here, where the peer can be told
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise RemoteProtocolError(f"a meta block is not as it should be: {error}") from error
    return CallMeta(block.e, block.k, block.c, headers), payload[stop:]
