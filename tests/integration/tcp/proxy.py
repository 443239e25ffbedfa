"""A fault proxy on real sockets: what a host sends passes through a function that may slice, drop, repeat or reorder it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable

from vyked_host.contracts import Address
from vyked_host.wire.packets import HEADER, HEADER_BYTES

Bend = Callable[[bytes], Iterable[bytes]]


def straight(data: bytes) -> Iterable[bytes]:
    return (data,)


class Packets:
    """Cuts a stream of bytes into whole packets and hands each batch to `bend`."""

    def __init__(self, bend: Callable[[list[bytes]], list[bytes]]) -> None:
        self._bend, self._left = bend, b""

    def __call__(self, data: bytes) -> Iterable[bytes]:
        data, found = self._left + data, []
        while len(data) >= HEADER_BYTES and len(data) >= (size := HEADER_BYTES + HEADER.unpack_from(data)[0]):
            found.append(data[:size])
            data = data[size:]
        self._left = data
        return self._bend(found)


class Proxy:
    """Between one client and a host. `to_host` and `to_client` bend what passes; `reset_after` bytes the client is cut."""

    def __init__(self, target: tuple[str, int], to_host: Bend = straight, to_client: Bend = straight) -> None:
        self._target, self._bends = target, (to_host, to_client)
        self.reset_after: int | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.address = Address(transport="tcp", uri=f"tcp://127.0.0.1:{port}")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host_reader, host_writer = await asyncio.open_connection(*self._target)
        for each in (writer, host_writer):
            each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._writers += [writer, host_writer]
        pairs = ((reader, host_writer, self._bends[0]), (host_reader, writer, self._bends[1]))
        self._tasks += [asyncio.ensure_future(self._pass(*pair)) for pair in pairs]

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bend: Bend) -> None:
        try:
            while data := await reader.read(65536):
                for piece in bend(data):
                    if self.reset_after is not None:
                        piece = piece[: self.reset_after]
                        self.reset_after -= len(piece)
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                    if self.reset_after == 0:
                        return self._reset()
        except OSError:
            pass
        finally:
            writer.close()

    def _reset(self) -> None:
        """RST on both sides, in the middle of whatever was under way."""
        for writer in self._writers:
            found = writer.get_extra_info("socket")
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
