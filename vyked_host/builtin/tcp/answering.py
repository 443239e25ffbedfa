"""The half of a server's connection that answers: it is the sink of every call that came over it.

Rules: a call that is answered while it is dispatched leaves no trace; one that goes on is kept until its outcome; when the
connection goes, each of those is cancelled and its outcome dropped.
"""

from __future__ import annotations

from typing import Any

from ...contracts import INITIAL_CREDIT, Call, Environment, Fault, Running
from ...errors import LocalProtocolError, RemoteProtocolError
from ...wire import packets
from ...wire.packets import ANSWER, Packet, Role, pack_answer
from ...wire.window import Window, cost
from .counters import Counters
from .link import Link

_CANCELLED = Fault(code="CANCELLED", message="the caller cancelled the call", executed="executed")
_LOST = Fault(code="CANCELLED", message="the connection of the caller was lost", executed="executed")


class ServerStream:
    """The credit of one call with streams. `credit`: what we may send; `window`: what the client may send."""

    __slots__ = ("closed", "credit", "inbound", "stalled", "window")

    def __init__(self, *, inbound: bool) -> None:
        self.credit, self.window = INITIAL_CREDIT, Window()
        self.inbound = inbound
        self.stalled = self.closed = False


class AnsweringLink(Link):
    """What runs for one client. `contracts.CreditSink`."""

    __slots__ = ("_at_once", "_running", "_streams")

    def __init__(self, env: Environment, counters: Counters) -> None:
        super().__init__(env, Role.SERVER, counters)
        self._at_once = 0  # before the WELCOME nothing is answered
        self._running: dict[int, Running] = {}
        self._streams: dict[int, ServerStream] = {}

    def _cancel_all(self) -> None:
        running = list(self._running.values())
        self._running.clear()
        self._streams.clear()
        for each in running:
            each.cancel(_LOST)

    # ---- what the client says about its calls ------------------------------------------------------------------------
    def _on_cancel(self, packet: Packet) -> None:
        call_id = packet[1]
        unsent = call_id in self._waits and self._outbox.drop(call_id)
        running = self._running.get(call_id)
        if running is not None:
            running.cancel(_CANCELLED)
        elif unsent:  # it has its answer, of which the client may have a part
            self._emit(self._connection.fault(call_id, _CANCELLED))

    def _on_item(self, packet: Packet) -> None:
        stream = self._inbound(packet[1], "ITEM")
        if stream is None:
            return
        if stream.window.left <= 0:
            raise RemoteProtocolError(f"call {packet[1]}: an ITEM beyond the credit")
        self._grant(packet[1], stream.window.arrived(len(packet[7])))
        running = self._running.get(packet[1])
        if running is not None:
            running.item(packet[7])

    def _on_end(self, packet: Packet) -> None:
        stream = self._inbound(packet[1], "END")
        if stream is None:
            return
        stream.inbound = False
        running = self._running.get(packet[1])
        if running is not None:
            running.end()

    def _inbound(self, call_id: int, what: str) -> ServerStream | None:
        """The client's stream of a call; None when the call is over, of which the client may not know yet."""
        stream = self._streams.get(call_id)
        if stream is None and call_id not in self._running:
            return None
        if stream is None or not stream.inbound:
            raise RemoteProtocolError(f"call {call_id}: {what} where no stream comes from the client (any more)")
        return stream

    def _on_credit(self, packet: Packet) -> None:
        call_id, items = packet[1], packet[5]
        stream = self._streams.get(call_id)
        if stream is None:
            return
        stream.credit += items
        self._wake(call_id, stream)

    def _wake(self, call_id: int, stream: ServerStream) -> None:
        running = self._running.get(call_id)
        if stream.stalled and stream.credit > 0 and running is not None and self._takes(call_id):
            stream.stalled = False
            running.credit(stream.credit)

    # ---- contracts.Sink ----------------------------------------------------------------------------------------------
    def respond(self, call: Call, body: Any) -> None:
        """The call succeeded."""
        if self._over:
            return
        call_id, running = call.id, self._running
        kept = running.pop(call_id, None)
        if self._streams:
            if self._is_told(call_id):
                return
            if body is None:  # a stream is complete
                body = b""
        size = len(body)
        if size > self._at_once or call_id in self._waits:
            self._respond_in_turn(call_id, body)
        elif running or kept is None:
            self._emit(pack_answer(size, call_id, ANSWER) + body)
        else:
            self._emit_last(pack_answer(size, call_id, ANSWER) + body)

    def _respond_in_turn(self, call_id: int, body: bytes) -> None:
        if len(body) > self._connection.sendable:
            self._say(call_id, self._connection.fault(call_id, self._too_large("result", len(body))))
        elif len(body) > self._connection.at_once:
            self._send_body(call_id, self._connection.large((call_id, 0, 0, packets.RESPONSE, 0, 0, 0), body))
        else:
            self._say(call_id, self._connection.response(call_id, body))

    def fail(self, call: Call, fault: Fault) -> None:
        """The call failed."""
        if self._over:
            return
        self._running.pop(call.id, None)
        if self._streams and self._is_told(call.id):
            return
        self._say(call.id, self._connection.fault(call.id, fault))

    def item(self, call: Call, body: Any) -> bool:
        """One item of the answer; False: wait for credit. Raises LocalProtocolError without credit."""
        stream = self._streams.get(call.id)
        if self._over or stream is None or stream.closed:
            return False  # nobody listens any more; the cancel is on its way
        if stream.credit <= 0:
            raise LocalProtocolError(f"call {call.id}: an item without credit")
        size = len(body)
        if size > self._connection.sendable:
            self._fail_early(call.id, stream, self._too_large("item", size))
            return False
        stream.credit -= cost(size)
        if size > self._connection.at_once:
            self._emit_large(call.id, self._connection.large((call.id, 0, 0, packets.ITEM, 0, 0, 0), body))
        else:
            self._say(call.id, self._connection.item(call.id, body))
        stream.stalled = stream.credit <= 0 or not self._takes(call.id)
        return not stream.stalled

    def credit(self, call: Call, items: int) -> None:
        """The handler can take `items` more items of the client's stream."""
        stream = self._streams.get(call.id)
        if stream is not None and stream.inbound and items > 0 and not self._over:
            self._grant(call.id, stream.window.taken(items))

    def _grant(self, call_id: int, units: int) -> None:
        if units:
            self._emit(self._connection.credit(call_id, units))

    def _is_told(self, call_id: int) -> bool:
        """A stream is over. True: its client was already told why."""
        stream = self._streams.pop(call_id, None)
        return stream is not None and stream.closed

    def _fail_early(self, call_id: int, stream: ServerStream, fault: Fault) -> None:
        stream.closed = True
        self._say(call_id, self._connection.fault(call_id, fault))
        running = self._running.get(call_id)
        if running is not None:
            running.cancel(fault)

    def _too_large(self, what: str, size: int) -> Fault:
        text = f"a {what} of {size} bytes: the caller takes at most {self._connection.sendable}"
        return Fault(code="TOO_LARGE", message=text, executed="executed")

    # ---- pressure ----------------------------------------------------------------------------------------------------
    def _press(self) -> None:
        """The client does not take its answers: it may not ask for more."""
        self._transport.pause_reading()

    def _eased(self) -> None:
        """It has caught up."""
        self._pulse.excuse(self._now())
        self._transport.resume_reading()
        self._wake_all()

    def resume_writing(self) -> None:
        """The socket takes more."""
        super().resume_writing()
        self._wake_all()

    def _moved(self, call_id: int) -> None:
        stream = self._streams.get(call_id)
        if stream is not None and stream.stalled:
            self._wake(call_id, stream)

    def _wake_all(self) -> None:
        for call_id, stream in list(self._streams.items()):
            self._wake(call_id, stream)

    @property
    def _deaf(self) -> bool:
        return self._pressed
