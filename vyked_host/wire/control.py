"""JSON of control packets: one way to write it, one way to read it that blames the peer for whatever is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from ..errors import RemoteProtocolError

T = TypeVar("T")

encode = msgspec.json.encode


def reader(what: str, shape: type[T]) -> Callable[[bytes], T]:
    """A function that reads a payload as `shape` and raises RemoteProtocolError, naming `what`, when it is not one."""
    decode = msgspec.json.Decoder(shape).decode

    def read(payload: bytes) -> T:
        try:
            return decode(payload)
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            raise RemoteProtocolError(f"a {what} is not as it should be: {error}") from error

    return read
