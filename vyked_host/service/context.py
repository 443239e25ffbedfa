"""What a handler may know of the call or delivery it runs for: ``context()``.

The runtime sets `CURRENT` once per call, with an object that holds references only; everything else is computed when
it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

import msgspec

from ..errors import UsageError, VykedError
from ..model.description import EndpointDescription, SubscriptionDescription
from ..model.message import Call
from ..model.values import Value
from ..routing.priority import PRIORITY, Priority, lower
from ..wire.metadata import pack, unpack
from ..wire.trace import TRACEPARENT, inherited, joined

CURRENT: ContextVar[Context] = ContextVar("vyked_context")
"""The context of the running handler; unset outside of one."""
inherited_context: Callable[[None], Context | None] = CURRENT.get
"""(None) -> the context of the running handler, or None."""
enter_context = CURRENT.set
"""These two are methods of `CURRENT`, found once: up to Python 3.12 each call of a method of what was imported makes a method of it anew."""


class Retry(VykedError):
    """Raised by an @xsubscribe handler: bring the event again after so many seconds."""

    def __init__(self, after: float, reason: str = "") -> None:
        super().__init__(reason or f"again after {after} s")
        self.after, self.reason = after, reason


class Reject(VykedError):
    """Raised by an @xsubscribe handler: this event can't be handled, make it a dead letter at once."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Peer(Value):
    """Who calls: the service, the node it runs at, and the identity that its connection proved."""

    service: str
    instance: str
    identity: str | None = None


class Handled(Protocol):
    """What the runtime knows of a delivery while its handler runs."""

    @property
    def event_id(self) -> str:
        """The event's."""

    @property
    def count(self) -> int:
        """How often it was delivered, at least."""

    async def extend(self) -> None:
        """Tell the bus that the handler is still at it. Raises DeadlineExceeded, Unavailable."""


class Delivery:
    """One delivery of one event."""

    __slots__ = ("_handled",)

    def __init__(self, handled: Handled) -> None:
        self._handled = handled

    @property
    def id(self) -> str:
        """The event's."""
        return self._handled.event_id

    @property
    def idempotency_key(self) -> str:
        """Two deliveries with the same one are of the same event."""
        return self._handled.event_id

    @property
    def delivery_count(self) -> int:
        """A lower bound, 1 the first time."""
        return self._handled.count

    @property
    def redelivered(self) -> bool:
        """Was it delivered before?"""
        return self.delivery_count > 1

    async def in_progress(self) -> None:
        """Tell the bus that the handler is still at it, before it gives the event to somebody else. Raises DeadlineExceeded once
        it has been at it for 12 hours, and Unavailable when the bus did not confirm within its ack wait: somebody else may have it."""
        await self._handled.extend()

    def __repr__(self) -> str:
        return f"<Delivery {self.delivery_count} of event {self.id}>"


class Context(msgspec.Struct):
    """The call that runs now. `now` is the host's monotonic clock, in seconds; `told` is set for events; `made`: the call itself, where
    it is there already."""

    made: Call | None
    described: EndpointDescription | SubscriptionDescription
    now: Callable[[], float]
    told: Delivery | None = None
    headers: dict[str, str] | None = None
    trace: dict[str, str] | None = None
    packed_trace: bytes | None = None

    @property
    def call(self) -> Call:
        """The call as it travels; one inside this process does not, so it is made when somebody asks for it."""
        if self.made is None:
            self.made = self.make()
        return self.made

    @property
    def description(self) -> EndpointDescription | SubscriptionDescription:
        """Of the endpoint that runs."""
        return self.described

    @property
    def delivery(self) -> Delivery | None:
        """What is known of it as a delivery; None: it is no event."""
        return self.told

    @property
    def deadline(self) -> float:
        """When its caller gives up, in seconds of `now`."""
        return self.call.deadline

    @property
    def packed(self) -> bytes | None:
        """The metadata as they travel."""
        return self.call.metadata

    def make(self) -> Call:
        """The call, of a context that was put together without it."""
        raise NotImplementedError

    def without_end(self) -> Context:
        """The same for what may outlive the call: its deadline does not hold."""
        call = msgspec.structs.replace(self.call, deadline=math.inf)
        return Context(
            call, self.description, self.now, self.delivery, self.headers, self.trace, self.packed_trace
        )  # fmt: skip

    @property
    def id(self) -> str:
        """Names this call in logs: the event's id, or the caller's node and its number there."""
        if self.delivery is not None:
            return self.delivery.id
        peer = self.call.peer
        return f"{peer.node_id or peer.address if peer else 'local'}-{self.call.id}"

    @property
    def request(self) -> Any:
        """The web framework's request, where the call came as one; else None."""
        return self.call.request

    @property
    def endpoint(self) -> str:
        """``service.method``, or for an event ``service.event@major``."""
        found = self.description
        if isinstance(found, SubscriptionDescription):
            return f"{found.service}.{found.event}@{found.major}"
        return found.path

    @property
    def caller(self) -> Peer | None:
        """Who calls; None when nobody said (a browser, the command line)."""
        call = self.call
        if not call.caller and call.peer is None:
            return None
        instance, identity = (call.peer.node_id, call.peer.identity) if call.peer else ("", None)
        return Peer(service=call.caller.partition("/")[0], instance=instance, identity=identity)

    @property
    def attempt(self) -> int:
        """1, and one more for each time the caller tried again."""
        return self.call.attempt if self.delivery is None else self.delivery.delivery_count

    @property
    def metadata(self) -> Mapping[str, str]:
        """The caller's own pairs, and what it inherited itself (:mod:`vyked_host.wire.trace`)."""
        if self.headers is None:
            self.headers = unpack(self.packed)
        return self.headers

    @property
    def priority(self) -> Priority:
        """Of this call: what its method is declared with, or the lower one that its caller asked for."""
        found = self.description
        most = found.priority if isinstance(found, EndpointDescription) else "normal"
        return lower(most, self.metadata.get(PRIORITY) if self.packed else None)

    @property
    def traceparent(self) -> str:
        """The W3C trace header, empty when there is none that is valid."""
        return self.inherited.get(TRACEPARENT, "")

    @property
    def inherited(self) -> Mapping[str, str]:
        """What goes on by itself to calls and events made here: ``traceparent tracestate baggage``, and a priority that is low, or
        that was asked for."""
        if self.trace is None:
            self.trace = inherited(self.metadata) if self.packed else {}
            if self.priority == "low" or (self.packed and self.metadata.get(PRIORITY) == "normal"):
                self.trace[PRIORITY] = self.priority
            self.packed_trace = pack(self.trace)
        return self.trace

    def onward(self, own: Mapping[str, str] | None) -> bytes | None:
        """The metadata, packed, of a call made here: `own`, and what it inherits."""
        outer = self.inherited
        if not own:
            return self.packed_trace
        kept = {PRIORITY: outer[PRIORITY]} if PRIORITY in outer else {}  # also where the trace begins anew
        return pack(kept | joined(outer, own))

    @property
    def idempotency_key(self) -> str | None:
        """The caller's key: two calls with the same one are the same."""
        return self.call.idempotency_key if self.delivery is None else self.delivery.idempotency_key

    @property
    def remaining(self) -> float:
        """Seconds until the caller gives up; 0.0 when it has."""
        return max(0.0, self.deadline - self.now())


def context() -> Context:
    """The context of the handler that runs now. Raises UsageError outside of one."""
    try:
        return CURRENT.get()
    except LookupError:
        raise UsageError(
            "context() was called outside of a call: it is there in handlers, and in what they await or start"
        ) from None
