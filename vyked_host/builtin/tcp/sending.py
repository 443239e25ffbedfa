"""The client end of a connection as its calls see it: what they send, and why one is not sent.

Nearly all calls are ordinary: an endpoint without streams, a small body, nothing beside it, a node that is well. What that depends on
is put together when it changes, so that each call asks it once.
"""

from __future__ import annotations

from typing import Any, Final

from ...contracts import Call, Environment, Fault, Running, Sink, Surface
from ...errors import LocalProtocolError
from ...wire import packets
from ...wire.metadata import CallMeta
from ...wire.packets import LARGEST, REQUEST, State, pack_request
from .counters import Counters
from .greeting import GreetingLink
from .outgoing import Outgoing, OutgoingStream
from .refusals import not_sent
from .shapes import CONTROL, MISSING, STREAM, plain

ATTEMPTS_SHOWN: Final = 255


class SendingLink(GreetingLink):
    """A connection to a node. `waiting`: the calls that have no answer, by id."""

    __slots__ = ("_at_once", "_away", "_last", "_one_by_one", "_plain", "_request", "waiting")

    def __init__(self, env: Environment, offers: tuple[str, ...], counters: Counters) -> None:
        super().__init__(env, offers, counters)
        self.waiting: dict[int, Outgoing] = {}
        self._last = 0
        self._away: Fault | None = None  # why no calls are taken any more
        self._request = self._connection.request
        self._at_once = 0
        self._one_by_one = True  # the calls that began while none was under way were left alone since
        self._plain: frozenset[int] = frozenset()  # indexes of what is called without another look

    # ---- a call ------------------------------------------------------------------------------------------------------
    def dispatch(self, call: Call, sink: Sink) -> Running | None:
        """Send `call`; its outcome goes to `sink`. None: it was refused, and the sink knows why."""
        index, body = call.endpoint, call.body
        remaining, size, caller = (call.deadline - self._now()) * 1000, len(body), self._callers.get(call.caller)
        if index not in self._plain or not 1 <= remaining <= LARGEST or size > self._at_once or call.attempt > 1:
            return self._dispatch_otherwise(call, sink, remaining)
        call_id = self._last + 1
        if caller is None or call.metadata is not None or call.entity is not None or call.idempotency_key is not None:
            try:
                packet = self._request(call_id, index, caller or 0, 1, int(remaining), body, beside(call, caller))
            except LocalProtocolError as error:
                sink.fail(call, not_sent("TOO_LARGE", str(error)))
                return None
        else:
            packet = pack_request(size, call_id, index, caller, REQUEST, 1, int(remaining)) + body
        call.id = self._last = call_id
        waiting, entry = self.waiting, Outgoing(self, call, sink)
        if waiting:
            waiting[call_id], self._one_by_one = entry, False
            self._emit(packet)
        elif self._one_by_one:
            waiting[call_id] = entry
            self._emit_last(packet)
        else:  # the first of several, as before: alone it would part with them for good
            waiting[call_id], self._one_by_one = entry, True
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
        caller, call_id = self._callers.get(call.caller), self._last + 1
        make = self._request if len(body) <= self._connection.at_once else self._connection.large_request
        attempt, left = min(call.attempt, ATTEMPTS_SHOWN), int(min(remaining, LARGEST))
        try:
            packet = make(call_id, index, caller or 0, attempt, left, body, beside(call, caller))
        except LocalProtocolError as error:
            sink.fail(call, not_sent("TOO_LARGE", str(error)))
            return None
        call.id = self._last = call_id
        entry = OutgoingStream(self, call, sink, shape) if shape & STREAM else Outgoing(self, call, sink)
        self.waiting[call_id] = entry
        if isinstance(packet, bytes):
            self._emit(packet)
        else:
            self._send_body(call_id, packet)
        return entry

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

    # ---- what becomes of it ------------------------------------------------------------------------------------------
    def takes(self, call_id: int) -> bool:
        """May more of this call's stream be sent?"""
        return self._takes(call_id)

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

    # ---- what it depends on ------------------------------------------------------------------------------------------
    def _expose(self, found: Surface) -> None:
        super()._expose(found)
        self._look_over()

    def _press(self) -> None:
        self._look_over()

    def _look_over(self) -> None:
        """What may be called without another look, after all that it depends on."""
        is_well = self._away is None and not self._pressed and self._connection.state is State.OPEN
        self._plain = plain(self._shapes if is_well else ())
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


def beside(call: Call, caller: int | None) -> CallMeta | None:
    """What travels beside the body of `call`, whose caller has an index in the HELLO or is named here; None: nothing."""
    if caller is not None and call.metadata is None and call.entity is None and call.idempotency_key is None:
        return None
    return CallMeta(call.entity, call.idempotency_key, call.caller if caller is None else "", call.metadata)
