"""A fault proxy on real sockets, between a node and the hub or another node.

What a network does to a TCP connection: latency with jitter, less bandwidth, a partition in one direction or both (bytes wait and
come later, as retransmission has it), bytes cut into small pieces, a reset. And what only a proxy can do: it knows the packets
of the native protocol (docs/wire-protocol.md) and lets a rule drop, repeat or hold back some of them, by service and method.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from vyked_host.wire.packets import HEADER, HEADER_BYTES

WELCOME, REQUEST, RESPONSE, ITEM, SURFACE = 2, 3, 4, 7, 13
_CHUNK = 65536


class Packet(NamedTuple):
    """One packet on its way. `service` and `method` are those of the call that it belongs to, where it belongs to one."""

    to_host: bool
    kind: int
    call: int
    service: str
    method: str
    data: bytes


Rule = Callable[[Packet], Iterable[Packet]]
"""What goes on in place of a packet: nothing, the same, it twice, or others that were held back."""


def as_it_is(packet: Packet) -> Iterable[Packet]:
    return (packet,)


class Direction:
    """The faults of one direction. `lossy`: what is sent during a partition never arrives, instead of later."""

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
        return not self._open.is_set()

    async def wait(self) -> None:
        await self._open.wait()


class Cutter:
    """Cuts the bytes of one connection into packets, and knows what each call is about."""

    def __init__(self, rule: Callable[[], Rule]) -> None:
        self._rule = rule
        self._left = {True: b"", False: b""}
        self._table: dict[int, tuple[str, str]] = {}
        self._calls: dict[int, tuple[str, str]] = {}

    def feed(self, data: bytes, *, to_host: bool) -> list[bytes]:
        """What goes on instead of `data`, packet by packet."""
        data, found = self._left[to_host] + data, list[bytes]()
        while len(data) >= HEADER_BYTES and len(data) >= (size := HEADER_BYTES + HEADER.unpack_from(data)[0]):
            found += [each.data for each in self._rule()(self._known(data[:size], to_host))]
            data = data[size:]
        self._left[to_host] = data
        return found

    def _known(self, data: bytes, to_host: bool) -> Packet:
        _length, call, endpoint, _caller, kind, *_rest = HEADER.unpack_from(data)
        if kind in (WELCOME, SURFACE) and not to_host:
            rows = json.loads(data[HEADER_BYTES:])["endpoints"]
            self._table.update({row["index"]: (row["service"], row["name"]) for row in rows})
        if kind == REQUEST and to_host:
            self._calls[call] = self._table.get(endpoint, ("", ""))
        service, method = self._calls.get(call, ("", ""))
        return Packet(to_host, kind, call, service, method, data)


class Proxy:
    """Listens at `address` and passes on to `target`, both ``HOST:PORT``. Faults hold for all its connections, old and new.
    `raw`: it is another protocol than ours, of which nothing is known."""

    def __init__(self, target: str, *, seed: int = 0, raw: bool = False) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._random, self._raw = random.Random(seed), raw
        self.to_host, self.to_client = Direction(), Direction()
        self.rule: Rule = as_it_is
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
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ---- faults ----------------------------------------------------------------------------------------------------
    @property
    def directions(self) -> Sequence[Direction]:
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
        cutter = Cutter(lambda: self.rule)
        for pair in ((reader, host_writer, True), (host_reader, writer, False)):
            task = asyncio.ensure_future(self._pass(*pair, cutter))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to_host: bool, cutter: Cutter
    ) -> None:
        direction = self.to_host if to_host else self.to_client
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)
        sending = asyncio.ensure_future(self._send(queue, writer, direction))
        try:
            while data := await reader.read(_CHUNK):
                arrives = time.monotonic() + direction.latency + direction.jitter * self._random.uniform(-1, 1)
                if direction.lossy and direction.is_cut:
                    continue
                for packet in [data] if self._raw else cutter.feed(data, to_host=to_host):
                    await queue.put((arrives, packet))
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


# ---- rules -----------------------------------------------------------------------------------------------------------
class Disorder:
    """Of the packets that `concerns` picks, some are dropped, some come twice, some later than the next; counted by what was
    done. Off once `calm` is set."""

    def __init__(
        self,
        concerns: Callable[[Packet], bool],
        seed: int,
        *,
        drop: float = 0.0,
        repeat: float = 0.0,
        hold: float = 0.0,
    ) -> None:
        self._concerns, self._random = concerns, random.Random(seed)
        self._drop, self._repeat, self._hold = drop, repeat, hold
        self._held: list[Packet] = []
        self.dropped = self.repeated = self.held = 0
        self.calm = False

    def __call__(self, packet: Packet) -> Iterable[Packet]:
        if self.calm or not self._concerns(packet):
            return (packet,)
        held, self._held = self._held, []
        chance = self._random.random()
        if chance < self._drop:
            self.dropped += 1
            return held
        if chance < self._drop + self._repeat:
            self.repeated += 1
            return (packet, packet, *held)
        if chance < self._drop + self._repeat + self._hold:
            self.held += 1
            self._held = [*held, packet]
            return ()
        return (packet, *held)


def of(service: str, method: str, kind: int) -> Callable[[Packet], bool]:
    """Packets of one kind of one method's calls."""
    return lambda packet: packet.kind == kind and packet.service == service and packet.method == method
