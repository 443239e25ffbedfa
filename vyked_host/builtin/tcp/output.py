"""The output of one connection: small packets in batches, large ones a piece at a time behind them, and a bound on what waits.

Output of a loop turn is collected and written at 32 packets, 64 KiB or the end of the turn, whichever is first: one write per
packet costs half the throughput, one per turn lets both ends wait for each other (docs/benchmarks.md). The only call under way
waits for no end of a turn. Pieces of large payloads
follow only while the socket takes them, so a small packet waits for two of them at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from ...contracts import Environment
from ...wire.hello import cap
from ...wire.outbox import Outbox
from ...wire.pieces import UNCUT_BYTES, Payload
from .counters import Counters
from .sockets import HIGH_WATER

BATCH = 32
BATCH_BYTES = 64 << 10
SMALL_BYTES = BATCH_BYTES // BATCH
TURN_BYTES = 256 << 10
"""Bytes of large payloads that are written before others of this loop get their turn."""

PRESSED_BYTES = 256 << 10
"""Bytes waiting in the socket from which a peer counts as slow: no more is read from it."""

CROWDED_SHARE = 0.1
"""Of `[timing] write`: how long more than `[limits] write_buffer` may wait for a peer."""


class Output(asyncio.Protocol):
    """Subclasses say what a connection is for. `waits`: the calls of which something large waits."""

    __slots__ = (
        "__weakref__",
        "_counters",
        "_env",
        "_full",
        "_gather",
        "_is_heavy",
        "_loop",
        "_now",
        "_out",
        "_outbox",
        "_over",
        "_pressed",
        "_pumping",
        "_timers",
        "_transport",
        "_waits",
        "_write_cap",
    )

    def __init__(self, env: Environment, counters: Counters) -> None:
        self._env, self._counters = env, counters
        self._loop = asyncio.get_running_loop()
        self._now = env.clock.now
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)  # before connection_made nothing is sent
        self._gather: Callable[[Sequence[bytes | memoryview]], None]
        self._out: list[bytes] = []
        self._is_heavy = False  # something among it is not small
        self._outbox = Outbox()
        self._waits = self._outbox.queued
        self._pumping = False
        self._full = False  # the socket takes no more at present
        self._pressed = False
        self._write_cap = cap(env.limits.write_buffer)
        self._over = False
        self._timers: dict[str, Callable[[], None]] = {}

    # ---- small -------------------------------------------------------------------------------------------------------
    def _emit(self, packet: bytes) -> None:
        out = self._out
        out.append(packet)
        count = len(out)
        if count >= BATCH or ((self._is_heavy or len(packet) > SMALL_BYTES) and self._is_enough()):
            self._flush()
        elif count == 1:  # the first of a turn, or after a batch of it: then there is nothing to do a second time
            self._loop.call_soon(self._flush)

    def _emit_last(self, packet: bytes) -> None:
        """Send it at once with what is collected: nobody else is under way who could share the write, and the end of the turn is
        one more look at all sockets away."""
        if self._out or self._over:
            self._out.append(packet)
            self._flush()
            return
        self._transport.write(packet)
        if self._full:
            self._weigh()

    def _is_enough(self) -> bool:
        """Are there so many bytes? While all packets are small they are fewer, however many there are."""
        self._is_heavy = True
        return sum(map(len, self._out)) >= BATCH_BYTES

    def _flush(self) -> None:
        out = self._out
        if not out:
            return
        if self._over:
            out.clear()
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        self._is_heavy = False
        self._transport.write(data)
        if self._full:
            self._weigh()

    # ---- large -------------------------------------------------------------------------------------------------------
    def _send_body(self, call_id: int, payload: Payload) -> None:
        """Send a whole request or answer: at once where it is one packet and nobody waits, or else in its turn. Left to the end of
        the turn, what one end sends would come when the other has nothing to do any more, and they would take turns in working."""
        if payload.left > UNCUT_BYTES or self._waits or self._full:
            self._emit_large(call_id, payload)
            return
        self._flush()
        if not self._over:
            self._gather(payload.next())

    def _emit_large(self, call_id: int, packet: Payload | bytes) -> None:
        """Send it when nothing small waits, after what waits of its call."""
        self._outbox.add(call_id, packet)
        self._weigh()
        self._pump_soon()

    def _say(self, call_id: int, packet: bytes) -> None:
        """Send a small packet, after what waits of its call."""
        if call_id in self._waits:
            self._emit_large(call_id, packet)
        else:
            self._emit(packet)

    def _pump_soon(self) -> None:
        if not self._pumping and not self._full and self._waits:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        room = TURN_BYTES
        while self._waits and not self._full and not self._over:
            if room <= 0:
                self._pump_soon()
                break
            self._flush()
            call_id, buffers = self._outbox.next()
            self._gather(buffers)
            room -= sum(map(len, buffers))
            self._moved(call_id)
        self._relieve()

    def _moved(self, call_id: int) -> None:
        """Less waits of this call."""

    def _takes(self, call_id: int) -> bool:
        """May more of this call's stream be sent?"""
        return not (self._full or self._pressed) and (
            call_id not in self._waits or self._outbox.of(call_id) < HIGH_WATER
        )

    # ---- pressure ----------------------------------------------------------------------------------------------------
    @property
    def waiting_bytes(self) -> int:
        """Bytes that the peer has not taken."""
        return self._transport.get_write_buffer_size() + self._outbox.waiting

    def pause_writing(self) -> None:
        """The peer does not read as fast as we write."""
        self._full = True
        self._timer("slow", self._env.timing.write, self._too_slow)

    def resume_writing(self) -> None:
        """It has caught up with what the socket holds."""
        self._full = False
        self._stop_timer("slow")
        self._relieve()
        self._pump_soon()

    def _weigh(self) -> None:
        """More waits: is it too much?"""
        size = self._transport.get_write_buffer_size()
        if not self._pressed and (size > PRESSED_BYTES or self._outbox.waiting > self._plenty):
            self._pressed = True
            self._press()
        if size > self._write_cap:
            self._too_slow()
        elif size + self._outbox.waiting > self._bound and "crowded" not in self._timers:
            self._timer("crowded", self._env.timing.write * CROWDED_SHARE, self._crowded)

    @property
    def _bound(self) -> int:
        """What may wait for the peer: one message at least."""
        raise NotImplementedError

    @property
    def _plenty(self) -> int:
        """What may wait for its turn until the peer is asked for no more."""
        raise NotImplementedError

    def _crowded(self) -> None:
        self._timers.pop("crowded", None)
        if self.waiting_bytes > self._bound:
            self._too_slow()

    def _press(self) -> None:
        """The peer is slow: ask it for no more."""

    def _relieve(self) -> None:
        if self._pressed and not self._full and self._outbox.waiting <= self._plenty:
            self._pressed = False
            self._eased()

    def _eased(self) -> None:
        """The peer is slow no longer."""

    def _too_slow(self) -> None:
        self._counters.cut_for_slowness += 1
        self.cut(f"it does not read: {self.waiting_bytes} bytes wait for it")

    # ---- the end -----------------------------------------------------------------------------------------------------
    def cut(self, why: str) -> None:
        """Close without waiting for anything."""
        raise NotImplementedError

    def _write_all(self) -> None:
        """Hand over what waits: nothing comes after it."""
        self._flush()
        while self._waits:
            self._gather(self._outbox.next()[1])

    def _clear(self) -> None:
        self._out.clear()
        self._outbox.clear()

    def _timer(self, name: str, seconds: float, expired: Callable[[], None]) -> None:
        self._stop_timer(name)
        self._timers[name] = self._env.clock.expire(self._now() + seconds, expired)

    def _stop_timer(self, name: str) -> None:
        stop = self._timers.pop(name, None)
        if stop is not None:
            stop()
