"""The client end of one connection: the channel to a node, shared by all who call it.

Rules: what was never written when the connection goes is `not_sent`, all else `unknown`; a GOAWAY makes what lies beyond its
last call id `not_executed`; an answer that nobody waits for is dropped and counted. Deadlines are the caller's to watch: it
cancels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from ...contracts import EndpointDescription, Environment, Fault
from ...errors import Unavailable
from ...wire import packets
from ...wire.hello import Goaway
from ...wire.packets import LARGEST, Packet
from .counters import Counters
from .lookup import find
from .outgoing import Outgoing
from .refusals import not_sent
from .sending import SendingLink
from .shapes import CONTROL

_RESPONSE: Final = packets.RESPONSE
ID_RESERVE: Final = 1 << 20
"""A channel retires this many call ids before they would run out: ids are never used twice on a connection."""
_LAST: Final = LARGEST - ID_RESERVE


class ClientLink(SendingLink):
    """`contracts.Channel`."""

    __slots__ = ("_written", "retired")

    def __init__(self, env: Environment, offers: tuple[str, ...], counters: Counters) -> None:
        super().__init__(env, offers, counters)
        self.retired: asyncio.Future[Fault | None] = self._loop.create_future()
        self._written = 0

    # ---- contracts.Channel -------------------------------------------------------------------------------------------
    def endpoint(self, wanted: EndpointDescription) -> int:
        """The index to call `wanted` by. Raises NotFound naming what exists."""
        return find(self.surface, wanted, self.node_id)

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

    # ---- asyncio.Protocol --------------------------------------------------------------------------------------------
    def _flush(self) -> None:
        handed_over = not self._over
        super()._flush()
        self._sent(handed_over)

    def _emit_last(self, packet: bytes) -> None:
        if self._out or self._over:
            self._out.append(packet)
            self._flush()
            return
        self._transport.write(packet)
        self._written = self._last
        if self._full or self._last > _LAST:
            self._weigh()
            self._sent(handed_over=True)

    def _sent(self, handed_over: bool) -> None:
        """What was collected went to the socket, unless that is closed."""
        if handed_over:
            self._written = self._last
        if self._last > _LAST:
            self._retire(not_sent("UNAVAILABLE", "this connection has used up its call ids"))

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
