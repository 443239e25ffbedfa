"""The client end of one connection: the channel to a node, shared by all who call it.

Rules: what was never written when the connection goes is `not_sent`, all else `unknown`; a GOAWAY makes what lies beyond its
last call id `not_executed`; an answer that nobody waits for is dropped and counted. Deadlines are the caller's to watch: it
cancels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from ...contracts import Call, EndpointDescription, Environment, Fault, Running, Sink, Surface
from ...errors import LocalProtocolError, Unavailable
from ...wire import packets
from ...wire.hello import Goaway
from ...wire.metadata import CallMeta
from ...wire.packets import LARGEST, Packet
from .counters import Counters
from .greeting import GreetingLink
from .lookup import find
from .outgoing import Outgoing, OutgoingStream
from .refusals import not_sent
from .shapes import CONTROL, MISSING, STREAM, plain

_RESPONSE: Final = packets.RESPONSE
ATTEMPTS_SHOWN: Final = 255
ID_RESERVE: Final = 1 << 20
"""A channel retires this many call ids before they would run out: ids are never used twice on a connection."""


class ClientLink(GreetingLink):
    """`contracts.Channel`."""

    __slots__ = ("_at_once", "_away", "_last", "_plain", "_request", "_written", "retired", "waiting")

    def __init__(self, env: Environment, offers: tuple[str, ...], counters: Counters) -> None:
        super().__init__(env, offers, counters)
        self.retired: asyncio.Future[Fault | None] = self._loop.create_future()
        self.waiting: dict[int, Outgoing] = {}
        self._last = self._written = 0
        self._away: Fault | None = None
        self._request = self._connection.request
        self._at_once = 0
        self._plain: frozenset[int] = (
            frozenset()
        )  # indexes of what is called without another look; none while something is wrong

    def takes(self, call_id: int) -> bool:
        """May more of this call's stream be sent?"""
        return self._takes(call_id)

    # ---- contracts.Channel -------------------------------------------------------------------------------------------
    def endpoint(self, wanted: EndpointDescription) -> int:
        """The index to call `wanted` by. Raises NotFound naming what exists."""
        return find(self.surface, wanted, self.node_id)

    def dispatch(self, call: Call, sink: Sink) -> Running | None:
        """Send `call`; its outcome goes to `sink`. None: it was refused, and the sink knows why."""
        index, body, now, request = call.endpoint, call.body, self._now, self._request
        remaining = (call.deadline - now()) * 1000
        caller = self._callers.get(call.caller)
        if (
            index not in self._plain
            or not 1 <= remaining <= LARGEST
            or len(body) > self._at_once
            or caller is None
            or call.attempt > 1
            or call.metadata is not None
            or call.entity is not None
            or call.idempotency_key is not None
        ):
            return self._dispatch_otherwise(call, sink, remaining)
        call.id = self._last = call_id = self._last + 1
        packet = request(call_id, index, caller, 1, int(remaining), body)
        self.waiting[call_id] = entry = Outgoing(self, call, sink)
        self._emit(packet)
        return entry

    def _dispatch_otherwise(self, call: Call, sink: Sink, remaining: float) -> Running | None:
        """A call about which something is out of the ordinary."""
        index, body = call.endpoint, call.body
        shape = self._shapes[index] if index < len(self._shapes) else MISSING
        refusal = self._refusal(call, shape, remaining)
        if refusal is not None:
            sink.fail(call, refusal)
            return None
        caller = self._callers.get(call.caller)
        meta = None
        if caller is None or call.metadata is not None or call.entity is not None or call.idempotency_key is not None:
            meta = CallMeta(call.entity, call.idempotency_key, call.caller if caller is None else "", call.metadata)
        make = self._request if len(body) <= self._connection.at_once else self._connection.large_request
        call.id = call_id = self._last + 1
        attempt = min(call.attempt, ATTEMPTS_SHOWN)
        try:
            packet = make(call_id, index, caller or 0, attempt, int(min(remaining, LARGEST)), body, meta)
        except LocalProtocolError as error:
            sink.fail(call, not_sent("TOO_LARGE", str(error)))
            return None
        self._last = call_id
        entry = OutgoingStream(self, call, sink, shape) if shape & STREAM else Outgoing(self, call, sink)
        self.waiting[call_id] = entry
        if isinstance(packet, bytes):
            self._emit(packet)
        else:
            self._send_body(call_id, packet)
        return entry

    def in_flight(self) -> int:
        """Calls that wait for answers."""
        return len(self.waiting)

    async def aclose(self) -> None:
        """Close it; running calls fail with `unknown`. Idempotent."""
        self._retire(None)
        self.close()
        self._fail_all("the channel was closed")
        if self._transport is not None:
            await asyncio.shield(self.gone)

    # ---- what a call needs -------------------------------------------------------------------------------------------
    def _refusal(self, call: Call, shape: int, remaining: float) -> Fault | None:
        """Why a call can't be sent; None when it can, though something about it is out of the ordinary."""
        if self._over:
            return not_sent("UNAVAILABLE", f"the connection to node {self.node_id} is closed")
        if self._away is not None and not shape & CONTROL:
            return not_sent(self._away.code, self._away.message)
        if shape & MISSING:
            return not_sent("NOT_FOUND", f"node {self.node_id} has no endpoint {call.endpoint} (any more)")
        if remaining < 1:
            return not_sent("DEADLINE_EXCEEDED", "no time was left to send the call")
        size, most = len(call.body), self._connection.sendable
        if size > most:
            return not_sent("TOO_LARGE", f"a request of {size} bytes: node {self.node_id} takes at most {most}")
        if self._pressed and self._has_no_room(size):
            return not_sent("RESOURCE_EXHAUSTED", f"node {self.node_id} does not read what it is sent")
        return None

    def _has_no_room(self, size: int) -> bool:
        """What is large waits for its turn, and what is small only for what is in the socket."""
        if size > self._connection.at_once:
            return self._outbox.waiting + size > self._bound
        return self._transport.get_write_buffer_size() + size > self._write_cap

    def give_up(self, call_id: int) -> bool:
        """Nobody waits for this call any more. False: nobody did."""
        if self.waiting.pop(call_id, None) is None:
            return False
        if not self._over:
            self._outbox.drop(call_id)
            self._emit(self._connection.cancel(call_id))
        return True

    def stop(self, call_id: int) -> None:
        """The call is over before all of it was sent: the rest will not come."""
        if call_id in self._waits and self._outbox.drop(call_id) and not self._over:
            self._emit(self._connection.cancel(call_id))

    def send_item(self, entry: Outgoing, body: Any) -> bool:
        """An item towards the handler. False: it is too large, and the call has failed."""
        most = self._connection.sendable
        if len(body) > most:
            text = f"an item of {len(body)} bytes: node {self.node_id} takes at most {most}"
            entry.cancel(Fault(code="TOO_LARGE", message=text, executed="unknown"))
            return False
        if len(body) > self._connection.at_once:
            self._emit_large(entry.call.id, self._connection.large((entry.call.id, 0, 0, packets.ITEM, 0, 0, 0), body))
        else:
            self._say(entry.call.id, self._connection.item(entry.call.id, body))
        return True

    def send_end(self, call_id: int) -> None:
        """The stream towards the handler is complete."""
        if call_id in self.waiting:
            self._say(call_id, self._connection.end(call_id))

    def send_credit(self, call_id: int, items: int) -> bool:
        """More items may come. False: the call is over."""
        if call_id not in self.waiting:
            return False
        self._emit(self._connection.credit(call_id, items))
        return True

    # ---- asyncio.Protocol --------------------------------------------------------------------------------------------
    def _flush(self) -> None:
        handed_over = not self._over
        super()._flush()
        if handed_over:
            self._written = self._last
        if self._last > LARGEST - ID_RESERVE:
            self._retire(not_sent("UNAVAILABLE", "this connection has used up its call ids"))

    def _expose(self, found: Surface) -> None:
        super()._expose(found)
        self._look_over()

    def _press(self) -> None:
        self._look_over()

    def _look_over(self) -> None:
        """What may be called without another look, after all that it depends on."""
        self._plain = plain(self._shapes if self._away is None and not self._pressed else ())
        self._at_once = self._connection.at_once

    def resume_writing(self) -> None:
        """The node reads again."""
        super().resume_writing()
        self._eased()

    def _eased(self) -> None:
        self._look_over()
        for entry in list(self.waiting.values()):
            entry.relieved()

    def _moved(self, call_id: int) -> None:
        entry = self.waiting.get(call_id)
        if entry is not None:
            entry.relieved()

    def _lost(self, exc: Exception | None) -> None:
        cause = self._cause(exc)
        if not self.opened.done():
            self.opened.set_exception(self._not_opened(exc))
        self._retire(not_sent("UNAVAILABLE", cause))
        self._fail_all(cause)

    # ---- what the node says ------------------------------------------------------------------------------------------
    def _handle(self, packets: list[Packet], now: float) -> None:
        take = self.waiting.pop
        for packet in packets:
            if packet[0] != _RESPONSE:
                _HANDLERS[packet[0]](self, packet)
                continue
            entry = take(packet[1], None)
            if entry is None:
                self._counters.late_answers += 1
            elif entry.__class__ is Outgoing:
                entry.sink.respond(entry.call, packet[7])
            else:
                entry.answered(packet[7])

    def _on_fault(self, packet: Packet) -> None:
        entry = self.waiting.pop(packet[1], None)
        if entry is None:
            self._counters.late_answers += 1
        else:
            self.stop(packet[1])
            entry.sink.fail(entry.call, packet[7])

    def _on_item(self, packet: Packet) -> None:
        entry = self.waiting.get(packet[1])
        if entry is not None:
            entry.took(packet[7])

    def _on_credit(self, packet: Packet) -> None:
        entry = self.waiting.get(packet[1])
        if entry is not None:
            entry.granted(packet[5])

    def _on_goaway(self, packet: Packet) -> None:
        goaway: Goaway = packet[7]
        text = f"node {self.node_id or self.peer} takes no more calls: {goaway.message}"
        if not self.opened.done():
            self.opened.set_exception(Unavailable(text, executed="not_sent"))
        self._retire(not_sent("UNAVAILABLE", text))
        if goaway.code == "protocol_error":  # it runs nothing more, and we can't say what it has run
            return
        refused = Fault(code="UNAVAILABLE", message=text, executed="not_executed")
        for call_id in [each for each in self.waiting if each > packet[1]]:
            self._refused_late(call_id, refused)

    def _refused_late(self, call_id: int, fault: Fault) -> None:
        entry = self.waiting[call_id]
        if not self._is_control(entry.call.endpoint):
            del self.waiting[call_id]
            self.stop(call_id)
            entry.sink.fail(entry.call, fault)

    def _is_control(self, index: int) -> bool:
        return index < len(self._shapes) and bool(self._shapes[index] & CONTROL)

    # ---- the end -----------------------------------------------------------------------------------------------------
    def _retire(self, fault: Fault | None) -> None:
        if self._away is None:
            self._away = fault or not_sent("UNAVAILABLE", "the channel was closed")
            self._look_over()
        if not self.retired.done():
            self.retired.set_result(fault)

    def _fail_all(self, cause: str) -> None:
        waiting, written = list(self.waiting.items()), self._written
        self.waiting.clear()
        for call_id, entry in waiting:
            sent = call_id <= written and not self._outbox.holds_request(call_id)
            executed: Any = "unknown" if sent else "not_sent"
            entry.sink.fail(entry.call, Fault(code="UNAVAILABLE", message=cause, executed=executed))


_HANDLERS: Final[dict[int, Callable[[ClientLink, Packet], None]]] = {
    packets.BROKEN: ClientLink._on_broken,
    packets.CHALLENGE: ClientLink._on_challenge,
    packets.WELCOME: ClientLink._on_welcome,
    packets.REJECT: ClientLink._on_reject,
    packets.FAULT: ClientLink._on_fault,
    packets.ITEM: ClientLink._on_item,
    packets.CREDIT: ClientLink._on_credit,
    packets.PING: ClientLink._answer_ping,
    packets.PONG: ClientLink._ignore,
    packets.PIECE: ClientLink._ignore,
    packets.GOAWAY: ClientLink._on_goaway,
    packets.SURFACE: ClientLink._on_surface,
}
