"""A proxy with faults, on real sockets: between a client and a server, a node and a hub, one node and another.

What a network does to a TCP connection: latency with jitter, less bandwidth, a partition in one direction or both (bytes wait and
come later, as retransmission has it, or are lost), bytes cut into small pieces, a reset, a refusal.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

_CHUNK = 65536


class Direction:
    """The faults of one direction: `latency` and `jitter` in seconds, `bandwidth` in bytes a second, `piece` the most bytes that
    arrive at once. `lossy`: what is sent during a partition never arrives, instead of later. `passed` counts bytes."""

    def __init__(self) -> None:
        self.latency = self.jitter = 0.0
        self.bandwidth: float | None = None
        self.piece: int | None = None
        self.lossy = False
        self.passed = 0
        self._open = asyncio.Event()
        self._open.set()

    def cut(self) -> None:
        """Nothing arrives from now on."""
        self._open.clear()

    def heal(self) -> None:
        """What was sent meanwhile arrives, then the rest."""
        self._open.set()

    @property
    def is_cut(self) -> bool:
        """Does nothing arrive?"""
        return not self._open.is_set()

    async def wait(self) -> None:
        """Return once bytes may arrive."""
        await self._open.wait()


Pieces = Callable[[bytes, bool], Iterable[bytes]]
"""What goes on instead of some bytes of one connection; True: they go to the target."""


class Proxy:
    """Listens at `address` and passes on to `target`, both ``HOST:PORT``. Faults hold for all its connections, old and new::

        async with Proxy("127.0.0.1:6379") as proxy:
            bus = build(url=f"redis://{proxy.address}")
            proxy.to_client.cut()  # what the server answers does not arrive
            ...
            proxy.heal()

    `accepted` counts connections; `refuses` ends each new one at once. Chance (jitter, sizes of pieces) follows `seed`.
    """

    def __init__(self, target: str, *, seed: int = 0) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._random = random.Random(seed)
        self.to_host, self.to_client = Direction(), Direction()
        self.refuses = False
        self.accepted = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    # ---- life ------------------------------------------------------------------------------------------------------
    async def __aenter__(self) -> Proxy:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def start(self) -> Proxy:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def aclose(self) -> None:
        """End it with all its connections."""
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ---- faults ----------------------------------------------------------------------------------------------------
    @property
    def directions(self) -> tuple[Direction, Direction]:
        """Towards the target, and back."""
        return (self.to_host, self.to_client)

    def cut(self, *, lossy: bool = False) -> float:
        """A partition, both ways; gives the time."""
        for each in self.directions:
            each.lossy = lossy
            each.cut()
        return time.monotonic()

    def heal(self) -> float:
        """The end of a partition; gives the time."""
        for each in self.directions:
            each.heal()
        return time.monotonic()

    def slow(self, *, latency: float = 0.0, jitter: float = 0.0, bandwidth: float | None = None) -> None:
        """Seconds each way, and bytes a second."""
        for each in self.directions:
            each.latency, each.jitter, each.bandwidth = latency, jitter, bandwidth

    def slice(self, most: int | None) -> None:
        """Pieces of 1 to `most` bytes."""
        for each in self.directions:
            each.piece = most

    def reset(self) -> float:
        """RST on every connection; gives the time."""
        for writer in list(self._writers):
            found = writer.get_extra_info("socket")
            if found is not None:
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        return time.monotonic()

    def pieces(self) -> Pieces:
        """Asked once for each connection: what a subclass that knows a protocol puts in place of its bytes. Here: the same."""
        return _as_they_are

    # ---- passing on ------------------------------------------------------------------------------------------------
    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._join(reader, writer)
        except (OSError, asyncio.CancelledError):
            self._writers.discard(writer)
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect to the target, unless this proxy refuses or the client went meanwhile: then OSError."""
        if self.refuses:
            raise ConnectionRefusedError
        await self.to_host.wait()  # a partition lets no SYN through; who gave up meanwhile never was there
        if reader._eof or writer.transport.is_closing():  # type: ignore[attr-defined]
            raise ConnectionAbortedError
        host_reader, host_writer = await asyncio.open_connection(*self._target)
        for each in (writer, host_writer):
            each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._writers.add(host_writer)
        pieces = self.pieces()
        for pair in ((reader, host_writer, True), (host_reader, writer, False)):
            task = asyncio.ensure_future(self._pass(*pair, pieces))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to_host: bool, pieces: Pieces
    ) -> None:
        direction = self.to_host if to_host else self.to_client
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)
        sending = asyncio.ensure_future(self._send(queue, writer, direction))
        try:
            while data := await reader.read(_CHUNK):
                arrives = time.monotonic() + direction.latency + direction.jitter * self._random.uniform(-1, 1)
                if direction.lossy and direction.is_cut:
                    continue
                for piece in pieces(data, to_host):
                    await queue.put((arrives, piece))
            await queue.put((0.0, b""))
            await sending
        except OSError:
            await direction.wait()  # a partition hides a reset too
            writer.transport.abort()
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await sending
            self._writers.discard(writer)
            writer.close()

    async def _send(
        self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, direction: Direction
    ) -> None:
        while True:
            arrives, data = await queue.get()
            if (wait := arrives - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            await direction.wait()
            if not data:
                return
            if direction.bandwidth is not None:
                await asyncio.sleep(len(data) / direction.bandwidth)
            for piece in self._pieces(data, direction.piece):
                writer.write(piece)
                await writer.drain()
                if direction.piece is not None:
                    await asyncio.sleep(0)
            direction.passed += len(data)

    def _pieces(self, data: bytes, most: int | None) -> Iterable[bytes]:
        if most is None:
            yield data
            return
        while data:
            size = self._random.randint(1, most)
            yield data[:size]
            data = data[size:]


def _as_they_are(data: bytes, _to_host: bool) -> Iterable[bytes]:
    return (data,)
