"""A network without sockets: `contracts.Net` within one process, with latency, partitions, resets and refusals, in virtual time too.

What is written arrives in order, after `latency` seconds of the loop's clock; with `virtual_time` that takes no time and never
races. Reading that is paused holds bytes back, and beyond the high-water mark the writer is paused, as over TCP.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from ..errors import StartError, UsageError

HIGH_WATER, LOW_WATER = 65536, 16384
"""Bytes on their way at which a writer is paused, and goes on: asyncio's own."""
FIRST_PORT = 50_000

Link = Callable[[], asyncio.BaseProtocol]


class MemoryNet:
    """One network: give it to every `environment(net=...)` that is to be on it. Faults hold for all its connections, old and new."""

    def __init__(self, *, latency: float = 0.0) -> None:
        self.latency = latency
        self.refuses = False
        self._listeners: dict[str, MemoryServer] = {}
        self._ends: set[MemoryTransport] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._port = FIRST_PORT

    # ---- contracts.Net -----------------------------------------------------------------------------------------------
    async def listen(self, uri: str, link: Link, tls: ssl.SSLContext | None) -> asyncio.AbstractServer:
        """Accept at `uri`; port 0 picks one. Raises StartError when it is taken, UsageError for TLS, which is not simulated."""
        _refuse_tls(tls)
        address = self._with_port(uri)
        if address in self._listeners:
            raise StartError(f"{address.partition('://')[2]} is in use in this network; choose another port, or port 0")
        self._listeners[address] = server = MemoryServer(self, address, link)
        return server

    async def connect(self, uri: str, link: Link, tls: ssl.SSLContext | None) -> None:
        """Connect `link` to who listens at `uri`; waits while the network is cut. Raises OSError, as a socket would."""
        _refuse_tls(tls)
        await self._open.wait()
        server = self._listeners.get(uri)
        if server is None or self.refuses:
            raise ConnectionRefusedError(f"nobody listens at {uri} in this network")
        self._port += 1
        near = MemoryTransport(self, ("127.0.0.1", self._port), _host_port(uri))
        far = MemoryTransport(self, _host_port(uri), ("127.0.0.1", self._port))
        near.peer, far.peer = far, near
        self._ends |= {near, far}
        server.accepted.add(far)
        far.begin(server.link())
        near.begin(link())

    # ---- faults --------------------------------------------------------------------------------------------------------
    def cut(self) -> None:
        """A partition: from now on nothing arrives. What is sent comes later."""
        self._open.clear()

    def heal(self) -> None:
        """The end of the partition: what was sent meanwhile arrives, in order."""
        self._open.set()
        for end in list(self._ends):
            end.deliver()

    def reset(self) -> None:
        """Every connection breaks, at both ends."""
        for end in list(self._ends):
            end.lose(ConnectionResetError("reset by the network"))

    @property
    def is_cut(self) -> bool:
        """Does nothing arrive?"""
        return not self._open.is_set()

    def forget(self, end: MemoryTransport) -> None:
        """That end is closed."""
        self._ends.discard(end)

    def release(self, address: str) -> None:
        """Nobody listens there any more."""
        self._listeners.pop(address, None)

    def _with_port(self, uri: str) -> str:
        split = urlsplit(uri)
        if split.scheme == "unix" or split.port:
            return uri
        if split.hostname is None or split.port is None:
            raise UsageError(f"{uri!r} is no address: write tcp://HOST:PORT or unix:/PATH")
        self._port += 1
        return f"{split.scheme}://{split.hostname}:{self._port}"


class MemoryServer(asyncio.AbstractServer):
    """Who accepts. `sockets` tell the address, as those of a real server do."""

    def __init__(self, net: MemoryNet, address: str, link: Link) -> None:
        self._net, self.address, self.link = net, address, link
        self.accepted: set[MemoryTransport] = set()
        self.sockets = (_Named(_host_port(address)),)
        self._serving = True

    def close(self) -> None:
        """Accept no more; what is open stays."""
        self._net.release(self.address)
        self._serving = False

    def close_clients(self) -> None:
        """Close what was accepted."""
        for end in list(self.accepted):
            end.close()

    def abort_clients(self) -> None:
        """Break what was accepted."""
        for end in list(self.accepted):
            end.abort()

    def is_serving(self) -> bool:
        """Does it accept?"""
        return self._serving

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        return asyncio.get_running_loop()

    async def start_serving(self) -> None:
        """It does already."""

    async def serve_forever(self) -> None:
        """Until it is cancelled."""
        await asyncio.get_running_loop().create_future()

    async def wait_closed(self) -> None:
        """At once: nothing of the system is to be waited for."""


class MemoryTransport(asyncio.Transport):
    """One end of a connection. Bytes wait in `_incoming` of the end that will read them."""

    peer: MemoryTransport

    def __init__(self, net: MemoryNet, own: tuple[str, int], other: tuple[str, int]) -> None:
        super().__init__({"peername": other, "sockname": own})
        self._net, self._loop = net, asyncio.get_running_loop()
        self._incoming: list[tuple[float, bytes | None]] = []
        self._unread = 0
        self._high, self._low = HIGH_WATER, LOW_WATER
        self._held = self._closing = self._over = self._paused = False
        self._due: asyncio.TimerHandle | asyncio.Handle | None = None
        self._protocol: Any = None

    # ---- life ----------------------------------------------------------------------------------------------------------
    def begin(self, protocol: asyncio.BaseProtocol) -> None:
        """It is open."""
        self._protocol = protocol
        protocol.connection_made(self)
        self.deliver()

    def close(self) -> None:
        """What was written still arrives, then the end."""
        if not self._closing:
            self._closing = True
            self._send(None)
            self._loop.call_soon(self.lose, None)

    def abort(self) -> None:
        """At once; the other end sees a reset."""
        self._closing = True
        self._loop.call_soon(self.lose, None)
        self._loop.call_soon(self.peer.lose, ConnectionResetError("reset by the other end"))

    def lose(self, error: Exception | None) -> None:
        """The connection is over for this end."""
        if self._over:
            return
        self._over = self._closing = True
        self._net.forget(self)
        if self._protocol is not None:
            self._protocol.connection_lost(error)

    # ---- writing -------------------------------------------------------------------------------------------------------
    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send it on its way."""
        if data and not self._closing:
            self._send(bytes(data))

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Send all of it, as one."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """The other end reads the end."""
        self._send(None)

    def can_write_eof(self) -> bool:
        """It can."""
        return True

    def get_write_buffer_size(self) -> int:
        """Bytes that the other end has not read."""
        return self.peer._unread

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """When the writer is paused, and when it goes on."""
        self._high = HIGH_WATER if high is None else high
        self._low = self._high // 4 if low is None else low

    def is_closing(self) -> bool:
        """Was it closed, here or there?"""
        return self._closing

    def _send(self, data: bytes | None) -> None:
        self.peer._incoming.append((self._loop.time() + self._net.latency, data))
        self.peer._unread += len(data or b"")
        if self.peer._unread > self._high and not self._held:
            self._held = True
            self._protocol.pause_writing()
        self.peer.deliver()

    # ---- reading -------------------------------------------------------------------------------------------------------
    def pause_reading(self) -> None:
        """Hold back what arrives."""
        self._paused = True

    def resume_reading(self) -> None:
        """Go on."""
        self._paused = False
        self.deliver()

    def deliver(self) -> None:
        """Hand over what has arrived, on a turn of the loop of its own."""
        if self._incoming and self._due is None:
            self._due = self._loop.call_at(max(self._incoming[0][0], self._loop.time()), self._arrive)

    def _arrive(self) -> None:
        self._due = None
        while self._incoming and not (self._paused or self._over or self._net.is_cut or self._protocol is None):
            if self._incoming[0][0] > self._loop.time():
                return self.deliver()
            _, data = self._incoming.pop(0)
            if data is None:
                return self._ended()
            self._unread -= len(data)
            self.peer._go_on()
            self._read(data)
        return None

    def _read(self, data: bytes) -> None:
        if not isinstance(self._protocol, asyncio.BufferedProtocol):
            self._protocol.data_received(data)
            return
        while data and not self._over:
            room = memoryview(self._protocol.get_buffer(len(data)))
            size = min(len(room), len(data))
            room[:size] = data[:size]
            self._protocol.buffer_updated(size)
            data = data[size:]

    def _ended(self) -> None:
        if not self._protocol.eof_received():
            self.close()

    def _go_on(self) -> None:
        if self._held and self.peer._unread <= self._low:
            self._held = False
            self._protocol.resume_writing()


class _Named:
    """What is asked of the socket of a listener."""

    def __init__(self, name: tuple[str, int]) -> None:
        self._name = name

    def getsockname(self) -> tuple[str, int]:
        """(host, port)"""
        return self._name


def _host_port(uri: str) -> tuple[str, int]:
    split = urlsplit(uri)
    return (split.hostname or split.path, split.port or 0)


def _refuse_tls(tls: ssl.SSLContext | None) -> None:
    if tls is not None:
        raise UsageError("this network has no TLS: leave it out, or use real sockets")
