"""Fan-out: every subscriber has a bounded queue of its own. A slow one loses its oldest events and is told how many; it
never slows down a publisher or another subscriber."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

from ...contracts import Delivery, Event, Verdict
from ...errors import LocalProtocolError
from .done import DONE

QUEUE_BYTES = 8 << 20
"""Bytes that wait for one subscriber, beside the number of events in the options."""


class FanOutDelivery:
    """`contracts.Delivery`, at most once: whatever the verdict, the event does not come again."""

    __slots__ = ("_queue", "_settled", "count", "event", "gap")

    def __init__(self, queue: FanOutQueue, event: Event, gap: int) -> None:
        self._queue, self.event, self.gap = queue, event, gap
        self.count = 1
        self._settled = False

    def settle(self, verdict: Verdict) -> Awaitable[None]:
        """Make room for the next. Raises LocalProtocolError when it was settled before."""
        if verdict.action != "extend":
            if self._settled:
                raise LocalProtocolError(f"event {self.event.id} was settled before")
            self._settled = True
            self._queue.settled()
        return DONE


class FanOutQueue:
    """One subscriber, and the `contracts.Consumer` it holds."""

    def __init__(
        self, concurrency: int, most: int, deliver: Callable[[Delivery], None], wake: Callable[[FanOutQueue], None],
        left: Callable[[FanOutQueue], None],
    ) -> None:  # fmt: skip
        self._room, self._most, self._deliver, self._wake, self._left = concurrency, most, deliver, wake, left
        self._events: deque[Event] = deque()
        self._bytes = self._gap = 0
        self._paused = False
        self.dropped = 0

    def accept(self, event: Event) -> None:
        """One more event; the oldest go where there is no room."""
        self._events.append(event)
        self._bytes += len(event.body)
        while len(self._events) > self._most or (self._bytes > QUEUE_BYTES and len(self._events) > 1):
            self._take()
            self._gap += 1
            self.dropped += 1
        self._wake(self)

    def pump(self) -> None:
        """Hand over what can be handed over now."""
        while self._events and self._room > 0 and not self._paused:
            gap, self._gap = self._gap, 0
            delivery = FanOutDelivery(self, self._take(), gap)
            try:
                self._deliver(delivery)
            except BaseException:
                self._gap = gap + 1  # at most once: this one is lost too, and the next delivery says so
                raise
            self._room -= 1

    def settled(self) -> None:
        """A handler is free again."""
        self._room += 1
        if self._events:
            self._wake(self)

    def pause(self) -> None:
        """Deliver nothing new."""
        self._paused = True

    async def pending(self) -> int:
        """Events that wait for this subscriber."""
        return len(self._events)

    async def aclose(self) -> None:
        """Forget the subscriber and what waits for it. Idempotent."""
        self._paused = True
        self._events.clear()
        self._bytes = 0
        self._left(self)

    def _take(self) -> Event:
        event = self._events.popleft()
        self._bytes -= len(event.body)
        return event
