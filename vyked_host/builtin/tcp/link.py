"""What both ends of a connection share: what comes in, signs of life, and an orderly end."""

from __future__ import annotations

import asyncio
from typing import cast

from ...contracts import Environment
from ...errors import LocalProtocolError, RemoteProtocolError
from ...wire.connection import Connection
from ...wire.packets import BROKEN, Packet, Role
from .counters import Counters
from .output import Output
from .pulse import Pulse
from .sockets import gathering, peer_address, tune

READ_TURN_BYTES = 192 << 10
"""Input that came at once from which others of this loop get their turn before more is read: uvloop reads 8 MiB of one socket
at a stretch otherwise, and what the calls in it wake up waits for the last of them."""

LINGER_S = 1.0
"""For which a peer that was told the end may take to read it and to hang up; what it says meanwhile is not heard."""


class Link(Output):
    """One connection. Subclasses handle packets in `_handle` and say goodbye in `_lost`."""

    __slots__ = ("_broken", "_connection", "_pulse", "_receive", "gone", "peer")

    def __init__(self, env: Environment, role: Role, counters: Counters) -> None:
        super().__init__(env, counters)
        self._connection = Connection(role, env.limits)
        self._receive = self._connection.receive
        self._pulse = Pulse(env.timing, self._now())
        self._broken: RemoteProtocolError | None = None
        self.peer = ""
        self.gone: asyncio.Future[None] = self._loop.create_future()

    # ---- asyncio.Protocol --------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = cast(asyncio.Transport, transport)
        self._gather = gathering(self._transport)
        timing = self._env.timing
        tune(self._transport, timing.ping + timing.pong)
        self.peer = peer_address(self._transport)

    def data_received(self, data: bytes) -> None:
        """Bytes came: handle what they complete."""
        now = self._now()
        if len(data) >= READ_TURN_BYTES and not self._transport.is_closing():
            self._transport.pause_reading()
            self._loop.call_soon(self._read_on)
        packets = self._receive(data)
        self._pulse.progress(now, packets=bool(packets), incomplete=self._connection.incomplete)
        try:
            self._handle(packets, now)
        except RemoteProtocolError as error:
            self.break_off(error)
        except LocalProtocolError:
            # what came after broke the rules: the answer to what came before can't be said any more
            broken = packets[-1][7] if packets and packets[-1][0] == BROKEN else None
            if not isinstance(broken, RemoteProtocolError):
                raise
            self.break_off(broken)

    def _read_on(self) -> None:
        if not (self._deaf or self._over or self._transport.is_closing()):
            self._transport.resume_reading()

    def _handle(self, packets: list[Packet], now: float) -> None:
        raise NotImplementedError

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, whoever did it."""
        self._over = True
        for stop in self._timers.values():
            stop()
        self._timers.clear()
        self._lost(exc)
        self._clear()
        if not self.gone.done():
            self.gone.set_result(None)

    def _lost(self, exc: Exception | None) -> None:
        raise NotImplementedError

    # ---- signs of life -----------------------------------------------------------------------------------------------
    def _watch(self) -> None:
        """From here on the peer has to show that it lives."""
        self._pulse.excuse(self._now())
        self._look_again()

    def _look_again(self) -> None:
        self._timers["pulse"] = self._env.clock.expire(self._pulse.next(), self._look)

    def _look(self) -> None:
        if self._over:
            return
        now = self._now()
        if self._deaf:
            self._pulse.excuse(now)
        finding = self._pulse.look(now)
        if finding in ("dead", "stalled"):
            self._counters.cut_for_silence += 1
            self.cut("it did not answer a ping" if finding == "dead" else "it began a packet and did not complete it")
            return
        if finding == "ping":
            self._emit(self._connection.ping(0))
        self._look_again()

    @property
    def _bound(self) -> int:
        return max(self._write_cap, self._connection.sendable)

    @property
    def _plenty(self) -> int:
        return min(self._bound, 2 * self._connection.sendable)

    @property
    def _deaf(self) -> bool:
        """This side does not read at present."""
        return False

    def _answer_ping(self, packet: Packet) -> None:
        if self._pulse.pinged(self._now()):
            raise RemoteProtocolError("pings come faster than they are of use")
        self._emit(self._connection.pong(packet[5]))

    def _ignore(self, packet: Packet) -> None:
        """Nothing has to be done: any byte was a sign of life, and whoever leaves closes."""

    def _on_broken(self, packet: Packet) -> None:
        error: RemoteProtocolError = packet[7]
        raise error

    # ---- the end -----------------------------------------------------------------------------------------------------
    def break_off(self, error: RemoteProtocolError) -> None:
        """The peer broke the rules: tell it, and close."""
        self._broken = error
        self._counters.protocol_errors += 1
        self._env.log.info("%s: closed, for it broke the protocol: %r", self.peer, str(error))
        self._outbox.clear()
        self._emit(self._connection.farewell(error))
        self.close()

    def cut(self, why: str) -> None:
        """Close without waiting for anything."""
        self._env.log.info("%s: cut, for %s", self.peer, why)
        self.abort()

    def abort(self) -> None:
        """Close at once and silently; nothing happens when it is closed or was never open."""
        self._over = True
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Send what was collected, then close; a peer that does not take it is cut after `[timing] write`."""
        if self._over or self._transport is None:
            self._over = True
            return
        self._write_all()
        self._over = True
        self._hang_up()

    def part(self) -> None:
        """Send what was collected and the end, and let the peer hang up: to close a socket with bytes unread resets the connection
        (RFC 1122, 4.2.2.13), and a peer that writes then never reads its answers. Over TLS, which has no end of one direction, close."""
        if self._over or self._transport is None or not self._transport.can_write_eof():
            self.close()
            return
        self._write_all()
        self._over, self._receive = True, _unheard
        try:
            self._transport.write_eof()
        except OSError:  # the peer has gone already, and its end was not read yet
            self._hang_up()
        else:
            self._timer("closing", LINGER_S, self._hang_up)

    def _hang_up(self) -> None:
        self._transport.close()
        self._timer("closing", self._env.timing.write, self._transport.abort)


def _unheard(data: bytes) -> list[Packet]:  # noqa: ARG001 - takes the place of `Connection.receive`
    return []
