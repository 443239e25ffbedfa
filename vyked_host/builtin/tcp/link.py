"""What both ends of a connection share: batched output, a bounded write buffer, signs of life, and an orderly end.

Output of a loop turn is collected and written at 32 packets, 64 KiB or the end of the turn, whichever is first: one write per
packet costs half the throughput, one per turn lets both ends wait for each other (docs/benchmarks.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from ...contracts import Environment
from ...errors import LocalProtocolError, RemoteProtocolError
from ...wire.connection import Connection
from ...wire.hello import cap
from ...wire.packets import BROKEN, Packet, Role
from .counters import Counters
from .pulse import Pulse
from .sockets import peer_address, tune

BATCH = 32
BATCH_BYTES = 64 << 10


class Link(asyncio.Protocol):
    """One connection. Subclasses handle packets in `_handle` and say goodbye in `_lost`."""

    def __init__(self, env: Environment, role: Role, counters: Counters) -> None:
        self._env, self._counters = env, counters
        self._loop = asyncio.get_running_loop()
        self._now = env.clock.now
        self._connection = Connection(role, env.limits)
        self._receive = self._connection.receive
        self._pulse = Pulse(env.timing, self._now())
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)  # before connection_made nothing is sent
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._scheduled = False
        self._write_cap = cap(env.limits.write_buffer)
        self._pressed = False
        self._over = False
        self._broken: RemoteProtocolError | None = None
        self._timers: dict[str, Callable[[], None]] = {}
        self.peer = ""
        self.gone: asyncio.Future[None] = self._loop.create_future()

    # ---- asyncio.Protocol --------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = cast(asyncio.Transport, transport)
        timing = self._env.timing
        tune(self._transport, timing.ping + timing.pong)
        self.peer = peer_address(self._transport)

    def data_received(self, data: bytes) -> None:
        """Bytes came: handle what they complete."""
        now = self._now()
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

    def _handle(self, packets: list[Packet], now: float) -> None:
        raise NotImplementedError

    def pause_writing(self) -> None:
        """The peer does not read as fast as we write."""
        self._pressed = True
        self._timer("slow", self._env.timing.write, self._too_slow)

    def resume_writing(self) -> None:
        """It has caught up."""
        self._pressed = False
        self._stop_timer("slow")

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, whoever did it."""
        self._over = True
        self._out.clear()
        for stop in self._timers.values():
            stop()
        self._timers.clear()
        self._lost(exc)
        if not self.gone.done():
            self.gone.set_result(None)

    def _lost(self, exc: Exception | None) -> None:
        raise NotImplementedError

    # ---- output ------------------------------------------------------------------------------------------------------
    def _emit(self, packet: bytes) -> None:
        out = self._out
        out.append(packet)
        self._out_bytes += len(packet)
        if len(out) >= BATCH or self._out_bytes >= BATCH_BYTES:
            self._flush()
        elif not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._end_of_turn)

    def _end_of_turn(self) -> None:
        self._scheduled = False
        self._flush()

    def _flush(self) -> None:
        out = self._out
        if not out:
            return
        if self._over:
            out.clear()
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        self._out_bytes = 0
        self._transport.write(data)
        if self._pressed and self._transport.get_write_buffer_size() > self._write_cap:
            self._too_slow()

    def _too_slow(self) -> None:
        waiting = self._transport.get_write_buffer_size()
        self._counters.cut_for_slowness += 1
        self.cut(f"it does not read: {waiting} bytes wait for it")

    # ---- signs of life -----------------------------------------------------------------------------------------------
    def _watch(self) -> None:
        """From here on the peer has to show that it lives."""
        self._pulse.excuse(self._now())
        self._look_again()

    def _look_again(self) -> None:
        self._timers["pulse"] = self._env.clock.at(self._pulse.next(), self._look)

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
        self._flush()
        self._over = True
        self._transport.close()
        self._timer("closing", self._env.timing.write, self._transport.abort)

    def _timer(self, name: str, seconds: float, expired: Callable[[], None]) -> None:
        self._stop_timer(name)
        self._timers[name] = self._env.clock.at(self._now() + seconds, expired)

    def _stop_timer(self, name: str) -> None:
        stop = self._timers.pop(name, None)
        if stop is not None:
            stop()
