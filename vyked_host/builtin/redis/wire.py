"""A connection of redis-py, as far as it is used, and what goes wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol, cast

from redis.exceptions import AskError, ClusterDownError, MovedError, ReadOnlyError, RedisError, TryAgainError
from redis.exceptions import ConnectionError as NoConnection

Word = str | bytes
FAILURES = (RedisError, OSError, EOFError, ValueError, RecursionError)
"""What redis-py raises when a connection can't be used; the last three come out of its parser when garbage comes in."""
CLOSED = "Connection closed by server."
"""What redis-py says of it."""

ELSEWHERE = (MovedError, AskError, TryAgainError, ClusterDownError, ReadOnlyError)
"""What a server says that is not, or not any more, the one to ask: nothing was done."""


class Wire(Protocol):
    """What is used of a connection of redis-py (5.0 and later)."""

    async def connect(self) -> None:
        """Open it, log in and choose the database."""

    def pack_commands(self, commands: Iterable[Iterable[Word]]) -> list[bytes]:
        """Commands as bytes."""
        ...

    async def send_packed_command(self, command: Iterable[bytes]) -> None:
        """Write."""

    async def read_response(self, *, disable_decoding: bool, disconnect_on_error: bool) -> Any:
        """The next reply."""

    async def disconnect(self, nowait: bool = False) -> None:
        """Close it."""


def packed(words: Iterable[Word]) -> bytes:
    """A command as it travels (https://redis.io/docs/latest/develop/reference/protocol-spec/)."""
    parts = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n%b" % (len(parts), b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]))


def taken_over(wire: Wire, protocol: asyncio.Protocol) -> asyncio.Transport:
    """What comes over a connection that is logged in goes to `protocol` from now on, past redis-py, which keeps nothing: every command so
    far is answered. Raises redis-py's ConnectionError where the server has ended it."""
    streams = cast(Any, wire)
    transport = cast(asyncio.Transport, streams._writer.transport)
    if transport.is_closing() or streams._reader.at_eof():
        raise NoConnection(CLOSED)
    transport.set_protocol(protocol)
    return transport


async def hang_up(wire: Wire) -> None:
    """Close a connection without waiting for whoever is at the other end. Idempotent."""
    cut(wire)
    await wire.disconnect(nowait=True)


def cut(wire: Wire) -> None:
    """Break a connection off: whoever reads or writes it is told by an exception."""
    # a plain close() waits until everything is written, for ever where the server has stopped reading: only the
    # transport can be aborted, and redis-py has no way to it but this
    writer = getattr(wire, "_writer", None)
    if writer is not None:
        writer.transport.abort()
