"""One connection of the old wire: bytes cut into packets on the way in, one write per turn of the loop on the way out."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections.abc import Callable
from typing import Any

from vyked_host.contracts import Environment

from .wire import speech
from .wire.packets import Dialect, Packet
from .wire.stream import Malformed, Stream

BATCH, BATCH_BYTES = 16, 64 << 10
"""Packets and bytes of one turn that are written before it ends: so the peer works on the first while the others are made."""
PATIENCE = 100
"""Malformed packets on one connection before it is closed: a peer that sends nothing else costs work for nothing."""


class Link(asyncio.Protocol):
    """Derive from it and write `heard`, and `lost` for the end. `dialect` is the peer's, as far as it has shown."""

    def __init__(self, env: Environment, largest: int, dialect: Dialect | None = None) -> None:
        self.env, self.dialect = env, dialect
        self._stream = Stream(largest)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._malformed = self._waiting_bytes = 0
        self._last_heard = 0.0
        self._due = math.inf  # when the next look at the peer is
        self._cancel_write: Callable[[], None] = _nothing
        self._cancel_pulse: Callable[[], None] = _nothing
        self.peer = ""
        self.why = ""

    def heard(self, packet: Packet) -> None:
        """One packet came."""
        raise NotImplementedError

    def lost(self, why: str) -> None:
        """The connection is over."""

    # ---- asyncio.Protocol --------------------------------------------------------------------------------------------
    def connection_made(self, transport: Any) -> None:
        """It stands."""
        self._transport = transport
        self._last_heard = self.env.clock.now()
        name = transport.get_extra_info("peername")
        self.peer = f"{name[0]}:{name[1]}" if isinstance(name, tuple) else "a peer"
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):  # the peer may be gone already
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        """A segment came."""
        self._last_heard = self.env.clock.now()
        for item in self._stream.receive(data):
            if item.__class__ is Packet:
                self.heard(item)
            elif isinstance(item, Malformed):
                self._on_malformed(item.why)

    def _on_malformed(self, why: str) -> None:
        self._malformed += 1
        if self._malformed == 1:
            self.env.log.warning("%s sends what is no packet (%s); others of it are only counted", self.peer, why)
        if self._malformed >= PATIENCE:
            self.abort(f"{PATIENCE} packets of it could not be read")

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._cancel_write()
        self._cancel_pulse()
        self._transport = None
        self.lost(self.why or (str(exc) if exc else "the peer closed the connection"))

    def pause_writing(self) -> None:
        """The peer does not read: it gets `[timing] write` seconds."""
        self._cancel_write = self.env.clock.expire(
            self.env.clock.now() + self.env.timing.write, lambda: self.abort("it does not read what it is sent")
        )

    def resume_writing(self) -> None:
        """It reads again."""
        self._cancel_write()

    # ---- writing -----------------------------------------------------------------------------------------------------
    @property
    def is_open(self) -> bool:
        """May more be sent?"""
        return self._transport is not None and not self.why

    @property
    def backlog(self) -> int:
        """Bytes that wait for the peer to read."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def send(self, packet: bytes) -> None:
        """Write `packet` with others of this turn of the loop. What is sent on a connection that is over is dropped."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(packet)
        self._waiting.append(self._stream.delimiter)
        self._waiting_bytes += len(packet)
        if len(self._waiting) >= 2 * BATCH or self._waiting_bytes >= BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        waiting, self._waiting, self._waiting_bytes = b"".join(self._waiting), [], 0
        if waiting and self._transport is not None:
            self._transport.write(waiting)

    def close(self, why: str = "this host closed the connection") -> None:
        """Write what waits and close it. Idempotent."""
        self._flush()
        self.why = self.why or why
        if self._transport is not None:
            self._transport.close()

    def abort(self, why: str) -> None:
        """Close it without writing what waits."""
        self.why = self.why or why
        if self._transport is not None:
            self._transport.abort()

    # ---- is the peer there? ------------------------------------------------------------------------------------------
    def watch(self, node_id: str) -> None:
        """Ping the peer when it is quiet for `[timing] ping`, and give it up when it stays so for `pong` more. A host that was held
        up itself asks once more: what came meanwhile may not have been read."""
        timing, now = self.env.timing, self.env.clock.now()
        quiet, is_late = now - self._last_heard, now - self._due > timing.pong / 2
        if quiet >= timing.ping + timing.pong and not is_late:
            self.abort(f"it has not answered for {quiet:.1f} s")
            return
        if quiet >= timing.ping:
            self.send(speech.ping(node_id))
        self._due = now + max(timing.pong if quiet >= timing.ping else timing.ping - quiet, 0.01)
        self._cancel_pulse = self.env.clock.expire(self._due, lambda: self.watch(node_id))


def _nothing() -> None:
    """Nothing to cancel."""
