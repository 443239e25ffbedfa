"""Peers that do not keep to the rules: sockets that say whatever a test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from vyked_host.wire import packets
from vyked_host.wire.packets import HEADER, HEADER_BYTES


def packet(
    kind: int, payload: bytes = b"", *, call: int = 0, endpoint: int = 0, flags: int = 0, value: int = 0
) -> bytes:
    return HEADER.pack(len(payload), call, endpoint, 0, kind, flags, 1, 0, value) + payload


def hello(**fields: Any) -> bytes:
    said = {"versions": [1], "mesh": "demo", "node": "evil", "serializers": ["json"], **fields}
    return packet(packets.HELLO, json.dumps(said).encode())


class RawClient:
    """A connection to a host under test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def hear(self) -> tuple[int, int, bytes]:
        """(kind, call id, payload) of the next packet."""
        length, call, _, _, kind, *_ = HEADER.unpack(await self.reader.readexactly(HEADER_BYTES))
        return kind, call, await self.reader.readexactly(length)

    async def closed(self) -> bytes:
        """What came until the host closed the connection."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


@asynccontextmanager
async def connected(address: tuple[str, int], *, introduced: bool = False) -> AsyncIterator[RawClient]:
    reader, writer = await asyncio.open_connection(*address)
    client = RawClient(reader, writer)
    if introduced:
        client.say(hello())
        assert (await client.hear())[0] == packets.WELCOME
    try:
        yield client
    finally:
        writer.transport.abort()


@asynccontextmanager
async def hostile_host(script: Callable[[RawClient], Any]) -> AsyncIterator[str]:
    """The uri of a host that follows `script` for each connection."""
    tasks = []

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.ensure_future(run(RawClient(reader, writer))))

    async def run(peer: RawClient) -> None:
        try:
            await script(peer)
            await peer.closed()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            peer.writer.transport.abort()

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    try:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def welcome(**fields: Any) -> bytes:
    rows = [{"index": 0, "service": "lab", "version": "1.0.0", "name": "echo"},
            {"index": 1, "service": "lab", "version": "1.0.0", "name": "count", "kind": 2}]  # fmt: skip
    said = {"version": 1, "mesh": "demo", "node": "evil", "serializer": "json", "limits": {"message": 1 << 20},
            "revision": 1, "endpoints": rows, **fields}  # fmt: skip
    return packet(packets.WELCOME, json.dumps(said).encode())
