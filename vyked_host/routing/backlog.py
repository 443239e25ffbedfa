"""What waits for one @subscribe handler: bounded, the oldest goes where there is no room, and what was lost is told with
the delivery before which it was lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator

import msgspec

from ..errors import LocalProtocolError
from ..model.message import Event, Verdict

QUEUE_BYTES = 8 << 20
"""Bytes that wait for one handler, beside the number of events in the options."""
UNKNOWN = -1


class _Settled:
    """Settling has nothing to wait for: the server keeps no record of deliveries."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        return
        yield  # a generator that yields nothing


SETTLED = _Settled()


class FanOutDelivery(msgspec.Struct, gc=False, eq=False):  # what it has leads nowhere back to it
    """`contracts.Delivery`, at most once: whatever the verdict, the event does not come again."""

    backlog: Backlog
    event: Event
    gap: int
    count: int = 1
    is_settled: bool = False

    def settle(self, verdict: Verdict) -> _Settled:
        """Make room for the next. Raises LocalProtocolError when it was settled before."""
        if verdict.action == "extend":
            return SETTLED
        if self.is_settled:
            raise LocalProtocolError(f"event {self.event.id} was settled before")
        self.is_settled = True
        return self.backlog.settled()

    def abandon(self) -> None:
        """The consumer raised: it will not settle this one, if it has not."""
        if not self.is_settled:
            self.is_settled = True
            self.backlog.settled()


class Backlog:
    """One handler's events, and the `contracts.Consumer` it holds. `leave` ends the subscription; `failed` is told, in its
    except block, of each event that `deliver` could not take."""

    def __init__(
        self, concurrency: int, most: int, deliver: Callable[[FanOutDelivery], None], leave: Callable[[Backlog], None],
        failed: Callable[[Event], None],
    ) -> None:  # fmt: skip
        self._room, self._most, self._deliver, self._leave, self._failed = concurrency, most, deliver, leave, failed
        self._events: deque[tuple[Event, int]] = deque()  # an event, and how many were lost right before it
        self._bytes = 0
        self._lost_first = self._lost_last = 0  # before the first that waits, and after the last
        self._paused = self._pumping = False
        self.dropped = 0
        self.roomy: Callable[[], None] = _nothing  # called when there is room again for more than half of what may wait

    @property
    def is_roomy(self) -> bool:
        """Does no more than half of what may wait do so? Who can wait with more loses nothing."""
        return len(self._events) <= self._most // 2 and self._bytes <= QUEUE_BYTES // 2

    @property
    def waiting(self) -> int:
        """Events that wait for the handler."""
        return len(self._events)

    def accept(self, event: Event) -> None:
        """One more event: handed over at once, where nothing stands in between."""
        if self._events or self._room <= 0 or self._pumping or self._paused or self._lost_last or self._lost_first:
            self._keep(event)
            return
        self._pumping = True
        self._room -= 1
        delivery = FanOutDelivery(self, event, 0)
        try:
            self._deliver(delivery)
        except Exception:  # noqa: BLE001 - as in _hand_over
            self._not_taken(delivery)
        finally:
            self._pumping = False
        if self._events:  # they came within deliver()
            self.pump()

    def _keep(self, event: Event) -> None:
        gap, self._lost_last = self._lost_last, 0
        self._events.append((event, gap))
        self._bytes += len(event.body)
        if len(self._events) > self._most or self._bytes > QUEUE_BYTES:
            self._drop()
        if self._room > 0:
            self.pump()

    def _drop(self) -> None:
        """The oldest go, until there is room for the others."""
        while len(self._events) > self._most or (self._bytes > QUEUE_BYTES and len(self._events) > 1):
            event, gap = self._events.popleft()
            self._bytes -= len(event.body)
            self._lost_first = joined(joined(self._lost_first, gap), 1)
            self.dropped += 1

    def missed(self, lost: int = UNKNOWN) -> None:
        """So many would have come now, and are lost."""
        self._lost_last = joined(self._lost_last, lost)

    def pump(self) -> None:
        """Hand over what can be handed over now. Never raises."""
        if self._pumping:  # settled within deliver(): the loop below goes on by itself
            return
        self._pumping, events = True, self._events
        try:
            while events and self._room > 0 and not self._paused:
                event, gap = events.popleft()
                self._bytes -= len(event.body)
                if self._lost_first:
                    gap, self._lost_first = joined(self._lost_first, gap), 0
                self._hand_over(event, gap)
        finally:
            self._pumping = False

    def _hand_over(self, event: Event, gap: int) -> None:
        self._room -= 1
        delivery = FanOutDelivery(self, event, gap)
        try:
            self._deliver(delivery)
        except Exception:  # noqa: BLE001 - told; one consumer's fault ends neither its subscription nor the others'
            self._not_taken(delivery)

    def _not_taken(self, delivery: FanOutDelivery) -> None:
        self._failed(delivery.event)
        self._lost_first = joined(delivery.gap, 1)
        delivery.abandon()

    def settled(self) -> _Settled:
        """A handler is free again."""
        self._room += 1
        if self._events and not self._pumping:
            self.pump()
        if self.roomy is not _nothing and self.is_roomy:
            self.roomy()
        return SETTLED

    def pause(self) -> None:
        """Deliver nothing new."""
        self._paused = True

    async def pending(self) -> int:
        """Events that wait for this handler, here; the server has none."""
        return len(self._events)

    async def aclose(self) -> None:
        """Forget the subscription and what waits for it. Idempotent."""
        self._paused = True
        self._events.clear()
        self._bytes = 0
        leave, self._leave = self._leave, _left
        leave(self)


def _nothing() -> None:
    """Nobody waits for room."""


def _left(_backlog: Backlog) -> None:
    """It was left before."""


def joined(one: int, other: int) -> int:
    """Two gaps as one: unknown as soon as one of them is."""
    return UNKNOWN if UNKNOWN in (one, other) else one + other
