"""A call that was sent and has no answer yet: the entry by which its answer is found, and the `Running` its caller holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ...contracts import INITIAL_CREDIT, Call, Fault, Sink
from ...errors import LocalProtocolError, RemoteProtocolError
from ...wire.window import Window, cost
from .shapes import IN, OUT

if TYPE_CHECKING:
    from .sending import SendingLink


class Outgoing(msgspec.Struct, gc=False, eq=False):
    """A unary call. Not tracked by the collector: the link drops each entry when the call is over or the socket closes."""

    link: SendingLink
    call: Call
    sink: Sink

    def cancel(self, fault: Fault) -> None:
        """The caller gave up: the handler is told, the sink hears `fault` at once, the answer is dropped when it comes."""
        if self.link.give_up(self.call.id):
            self.sink.fail(self.call, fault)

    def item(self, body: Any) -> bool:
        """A unary call takes no items."""
        raise LocalProtocolError(f"call {self.call.id} has no stream towards the handler")

    def end(self) -> None:
        """A unary call has no stream to end."""
        raise LocalProtocolError(f"call {self.call.id} has no stream towards the handler")

    def credit(self, items: int) -> None:
        """A unary call gets no items."""
        raise LocalProtocolError(f"the answer of call {self.call.id} is no stream")

    def answered(self, body: bytes) -> None:
        """The RESPONSE came."""
        self.sink.respond(self.call, body)

    def took(self, body: bytes) -> None:
        """An ITEM came."""
        raise RemoteProtocolError(f"call {self.call.id}: an ITEM, and its answer is no stream")

    def granted(self, items: int) -> None:
        """A CREDIT came."""
        raise RemoteProtocolError(f"call {self.call.id}: a CREDIT, and it has no stream towards the handler")

    def relieved(self) -> None:
        """The peer reads again."""


class OutgoingStream(Outgoing, gc=False, eq=False):
    """A call with a stream in one or both directions. `sendable`: what the handler can take; `window`: what may come."""

    shape: int
    sendable: int = INITIAL_CREDIT
    window: Window = msgspec.field(default_factory=Window)
    ended: bool = False
    stalled: bool = False

    def item(self, body: Any) -> bool:
        """One item for the handler; False: wait for the sink's `credit`. Raises LocalProtocolError without credit."""
        self._check_open("an item")
        if self.call.id not in self.link.waiting:
            return False  # the call is over; its sink knows
        if self.sendable <= 0:
            raise LocalProtocolError(f"call {self.call.id}: an item without credit")
        if not self.link.send_item(self, body):
            return False
        self.sendable -= cost(len(body))
        self.stalled = self.sendable <= 0 or not self.link.takes(self.call.id)
        return not self.stalled

    def end(self) -> None:
        """The stream towards the handler is complete."""
        self._check_open("an end")
        self.ended = True
        self.link.send_end(self.call.id)

    def _check_open(self, what: str) -> None:
        if not self.shape & IN or self.ended:
            raise LocalProtocolError(f"call {self.call.id}: {what} where no stream goes to the handler (any more)")

    def credit(self, items: int) -> None:
        """The caller can take `items` more items."""
        if not self.shape & OUT:
            raise LocalProtocolError(f"the answer of call {self.call.id} is no stream")
        if items > 0 and (units := self.window.taken(items)):
            self.link.send_credit(self.call.id, units)

    def answered(self, body: bytes) -> None:
        """The RESPONSE came; it is empty where the answer was a stream."""
        self.link.stop(self.call.id)
        self.sink.respond(self.call, None if self.shape & OUT else body)

    def took(self, body: bytes) -> None:
        """An ITEM came. Raises RemoteProtocolError beyond the credit."""
        if self.window.left <= 0 or not self.shape & OUT:
            raise RemoteProtocolError(f"call {self.call.id}: an ITEM beyond the credit")
        if units := self.window.arrived(len(body)):
            self.link.send_credit(self.call.id, units)
        self.sink.item(self.call, body)

    def granted(self, items: int) -> None:
        """A CREDIT came. Raises RemoteProtocolError when nothing streams that way."""
        if not self.shape & IN:
            raise RemoteProtocolError(f"call {self.call.id}: a CREDIT, and it has no stream towards the handler")
        self.sendable += items
        self.relieved()

    def relieved(self) -> None:
        """The handler or the socket can take more: the one who waits for that hears of it."""
        if self.stalled and self.sendable > 0 and self.link.takes(self.call.id):
            self.stalled = False
            self.sink.credit(self.call, self.sendable)  # type: ignore[attr-defined]  # contracts.CreditSink
