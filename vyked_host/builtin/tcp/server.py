"""The server end of one connection: it is the sink of every call that comes over it.

Rules: a call that is answered while it is dispatched leaves no trace; one that goes on is kept until its outcome; when the
connection goes, each of those is cancelled and its outcome dropped.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from ...contracts import INITIAL_CREDIT, Call, Environment, Fault, Peer, Running, Surface
from ...errors import LocalProtocolError, RemoteProtocolError
from ...wire import packets
from ...wire.hello import Hello, Reject, wire_limits
from ...wire.metadata import CallMeta
from ...wire.packets import Packet, Role, State
from .counters import Counters
from .exposed import Exposed
from .link import Link
from .shapes import CONTROL, IN, MISSING, STREAM
from .sockets import is_near, peer_host

REQUEST: Final = packets.REQUEST
RETRY_AFTER_S = 0.1

_CANCELLED = Fault(code="CANCELLED", message="the caller cancelled the call", executed="executed")
_LOST = Fault(code="CANCELLED", message="the connection of the caller was lost", executed="executed")
_LATE = Fault(code="DEADLINE_EXCEEDED", message="no time was left when the request came", executed="not_executed")


class ServerStream:
    """The credit of one call with streams. `credit`: items we may send; `granted`: items the client may send."""

    __slots__ = ("closed", "credit", "granted", "inbound", "stalled")

    def __init__(self, *, inbound: bool) -> None:
        self.credit = self.granted = INITIAL_CREDIT
        self.inbound = inbound
        self.stalled = self.closed = False


class ServerLink(Link):
    """One accepted connection."""

    def __init__(self, env: Environment, exposed: Exposed, counters: Counters) -> None:
        super().__init__(env, Role.SERVER, counters)
        self._exposed = exposed
        self._dispatch = exposed.calls.dispatch
        self._running: dict[int, Running] = {}
        self._streams: dict[int, ServerStream] = {}
        self._last = 0
        self._most = sys.maxsize
        self._codec = ""
        self._callers: tuple[str, ...] = ("",)
        self._peer = Peer(address="")
        self.host = ""

    # ---- life --------------------------------------------------------------------------------------------------------
    def connection_made(self, transport: Any) -> None:
        """A client connected: it has `[timing] hello` seconds to say who it is."""
        super().connection_made(transport)
        self.host = peer_host(self._transport)
        refusal = self._exposed.admit(self)
        if refusal is not None:
            self._counters.connections_refused += 1
            self._turn_away(self._exposed.host().reject("busy", refusal))
            return
        if not is_near(self.host):
            self._most = wire_limits(self._env.limits).in_flight or sys.maxsize
        timing = self._env.timing
        self._timer("hello", timing.hello * timing.scale, self._too_late)

    def _too_late(self) -> None:
        self._counters.hello_timeouts += 1
        self.cut("it did not introduce itself in time")

    def _lost(self, exc: Exception | None) -> None:
        self._exposed.forget(self)
        running = list(self._running.values())
        self._running.clear()
        self._streams.clear()
        for each in running:
            each.cancel(_LOST)

    def leave(self, why: str) -> None:
        """Drain began: GOAWAY to a client that is in, no entry for one that is not."""
        if self._over:
            return
        if self._connection.state is State.OPEN:
            self._emit(self._connection.goaway(self._last, "draining", why))
        else:
            self._turn_away(self._exposed.host().reject("draining", why))

    def evict(self) -> None:
        """Others need the place of this one, which never introduced itself."""
        self._counters.hello_timeouts += 1
        self.cut("it did not introduce itself, and others need its place")

    def tell(self, surface: Surface) -> None:
        """The endpoints changed."""
        if not self._over and self._connection.state is State.OPEN:
            self._emit(self._connection.surface(surface))

    # ---- what the client says ----------------------------------------------------------------------------------------
    def _handle(self, packets: list[Packet], now: float) -> None:
        for packet in packets:
            if packet[0] == REQUEST:
                self._on_request(packet, now)
            else:
                _HANDLERS[packet[0]](self, packet)

    def _on_request(self, packet: Packet, now: float) -> None:
        _, call_id, endpoint, caller, attempt, value, meta, body = packet
        if call_id in self._running:
            raise RemoteProtocolError(f"call id {call_id} is used again while its call still runs")
        if call_id > self._last:
            self._last = call_id
        exposed = self._exposed
        shape = exposed.shapes[endpoint] if endpoint < len(exposed.shapes) else MISSING
        call = Call(
            call_id, endpoint, self._codec, body, now + value * 0.001, self._peer, None, attempt or 1, None, None,
            self._caller(caller) if caller else "",
        )  # fmt: skip
        if shape or not value or meta is not None or exposed.leaving or len(self._running) >= self._most:
            refusal = self._examine(call, shape, value, meta)
            if refusal is not None:
                self._emit(self._connection.fault(call_id, refusal))
                return
        running = self._dispatch(call, self)
        if running is not None:
            self._running[call_id] = running

    def _caller(self, index: int) -> str:
        if index >= len(self._callers):
            raise RemoteProtocolError(f"caller {index} of a HELLO that named {len(self._callers) - 1}")
        return self._callers[index]

    def _examine(self, call: Call, shape: int, value: int, meta: CallMeta | None) -> Fault | None:
        """What is out of the ordinary about a call; a Fault when it is not to be run."""
        if shape & MISSING:
            return self._missing(call)
        if not value:
            return _LATE
        if not shape & CONTROL:
            if self._exposed.leaving:
                return Fault(code="UNAVAILABLE", message=self._exposed.leaving, executed="not_executed")
            if len(self._running) >= self._most:
                return self._too_many()
        if meta is not None:
            call.metadata, call.entity, call.idempotency_key = meta.headers, meta.entity, meta.idempotency_key
            call.caller = call.caller or meta.caller
        if shape & STREAM:
            self._streams[call.id] = ServerStream(inbound=bool(shape & IN))
        return None

    def _missing(self, call: Call) -> Fault:
        found = sorted({each.path for each in self._exposed.surface.endpoints if each is not None})
        known = ", ".join(found[:20]) + (", ..." if len(found) > 20 else "")
        text = f"there is no endpoint {call.endpoint} here (any more); there are: {known or 'none'}"
        return Fault(code="NOT_FOUND", message=text, executed="not_executed")

    def _too_many(self) -> Fault:
        text = f"{self._most} calls of this connection already run ([limits] in_flight_per_connection)"
        return Fault(code="RESOURCE_EXHAUSTED", message=text, executed="not_executed", retry_after_s=RETRY_AFTER_S)

    def _on_hello(self, packet: Packet) -> None:
        hello: Hello = packet[7]
        host = self._exposed.host()
        verdict = host.judge(hello)
        if isinstance(verdict, Reject):
            self._env.log.info("%s: turned away: %s", self.peer, verdict.message)
            self._turn_away(verdict)
            return
        self._stop_timer("hello")
        self._exposed.greeted(self)
        self._codec, self._callers = verdict, ("", *hello.callers)
        secure = self._transport.get_extra_info("ssl_object") is not None
        self._peer = Peer(address=self.peer, secure=secure, node_id=hello.node)
        self._emit(self._connection.welcome(host.welcome(verdict, self._exposed.surface)))
        self._watch()

    def _turn_away(self, reject: Reject) -> None:
        self._counters.rejected += 1
        self._emit(self._connection.reject(reject))
        self.close()

    def _on_cancel(self, packet: Packet) -> None:
        running = self._running.get(packet[1])
        if running is not None:
            running.cancel(_CANCELLED)

    def _on_item(self, packet: Packet) -> None:
        stream = self._inbound(packet[1], "ITEM")
        if stream is None:
            return
        stream.granted -= 1
        if stream.granted < 0:
            raise RemoteProtocolError(f"call {packet[1]}: an ITEM beyond the credit")
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
        if not self._pressed:
            self._wake(call_id, stream)

    def _wake(self, call_id: int, stream: ServerStream) -> None:
        running = self._running.get(call_id)
        if stream.stalled and stream.credit > 0 and running is not None:
            stream.stalled = False
            running.credit(stream.credit)

    def _on_pong(self, packet: Packet) -> None:
        """Any byte is a sign of life, this one too."""

    def _on_goaway(self, packet: Packet) -> None:
        """The client leaves; it closes when it has its answers."""

    def _on_broken(self, packet: Packet) -> None:
        error: RemoteProtocolError = packet[7]
        raise error

    # ---- contracts.Sink ----------------------------------------------------------------------------------------------
    def respond(self, call: Call, body: Any) -> None:
        """The call succeeded."""
        if self._over:
            return
        call_id = call.id
        self._running.pop(call_id, None)
        if self._streams and self._is_told(call_id):
            return
        body = b"" if body is None else body
        if len(body) > self._connection.sendable:
            self._emit(self._connection.fault(call_id, self._too_large("result", len(body))))
            return
        self._emit(self._connection.response(call_id, body))

    def fail(self, call: Call, fault: Fault) -> None:
        """The call failed."""
        if self._over:
            return
        self._running.pop(call.id, None)
        if self._streams and self._is_told(call.id):
            return
        self._emit(self._connection.fault(call.id, fault))

    def item(self, call: Call, body: Any) -> bool:
        """One item of the answer; False: wait for credit. Raises LocalProtocolError without credit."""
        stream = self._streams.get(call.id)
        if self._over or stream is None or stream.closed:
            return False  # nobody listens any more; the cancel is on its way
        if stream.credit <= 0:
            raise LocalProtocolError(f"call {call.id}: an item without credit")
        if len(body) > self._connection.sendable:
            self._fail_early(call.id, stream, self._too_large("item", len(body)))
            return False
        stream.credit -= 1
        self._emit(self._connection.item(call.id, body))
        stream.stalled = stream.credit <= 0 or self._pressed
        return not stream.stalled

    def credit(self, call: Call, items: int) -> None:
        """The handler can take `items` more items of the client's stream."""
        stream = self._streams.get(call.id)
        if stream is not None and stream.inbound and items > 0 and not self._over:
            stream.granted += items
            self._emit(self._connection.credit(call.id, items))

    def _is_told(self, call_id: int) -> bool:
        """A stream is over. True: its client was already told why."""
        stream = self._streams.pop(call_id, None)
        return stream is not None and stream.closed

    def _fail_early(self, call_id: int, stream: ServerStream, fault: Fault) -> None:
        stream.closed = True
        self._emit(self._connection.fault(call_id, fault))
        running = self._running.get(call_id)
        if running is not None:
            running.cancel(fault)

    def _too_large(self, what: str, size: int) -> Fault:
        text = f"a {what} of {size} bytes: the caller takes at most {self._connection.sendable}"
        return Fault(code="TOO_LARGE", message=text, executed="executed")

    # ---- pressure ----------------------------------------------------------------------------------------------------
    def pause_writing(self) -> None:
        """The client does not take its answers: it may not ask for more."""
        super().pause_writing()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        super().resume_writing()
        self._pulse.excuse(self._now())
        self._transport.resume_reading()
        for call_id, stream in list(self._streams.items()):
            self._wake(call_id, stream)

    @property
    def _deaf(self) -> bool:
        return self._pressed


_HANDLERS: Final[dict[int, Callable[[ServerLink, Packet], None]]] = {
    packets.BROKEN: ServerLink._on_broken,
    packets.HELLO: ServerLink._on_hello,
    packets.CANCEL: ServerLink._on_cancel,
    packets.ITEM: ServerLink._on_item,
    packets.END: ServerLink._on_end,
    packets.CREDIT: ServerLink._on_credit,
    packets.PING: ServerLink._answer_ping,
    packets.PONG: ServerLink._on_pong,
    packets.GOAWAY: ServerLink._on_goaway,
}
