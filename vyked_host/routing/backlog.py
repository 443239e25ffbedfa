"""What waits for one @subscribe handler: bounded, the oldest goes where there is no room, and what was lost is told with
the delivery before which it was lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator

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


class FanOutDelivery:
    """`contracts.Delivery`, at most once: whatever the verdict, the event does not come again."""

    __slots__ = ("_backlog", "_settled", "count", "event", "gap")

    def __init__(self, backlog: Backlog, event: Event, gap: int) -> None:
        self._backlog, self.event, self.gap = backlog, event, gap
        self.count = 1
        self._settled = False

    def settle(self, verdict: Verdict) -> _Settled:
        """Make room for the next. Raises LocalProtocolError when it was settled before."""
        if verdict.action != "extend":
            if self._settled:
                raise LocalProtocolError(f"event {self.event.id} was settled before")
            self._settled = True
            self._backlog.settled()
        return SETTLED

    def abandon(self) -> None:
        """The consumer raised: it will not settle this one, if it has not."""
        if not self._settled:
            self._settled = True
            self._backlog.settled()


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
        """One more event."""
        self._events.append((event, self._lost_last))
        self._lost_last = 0
        self._bytes += len(event.body)
        while len(self._events) > self._most or (self._bytes > QUEUE_BYTES and len(self._events) > 1):
            _, gap = self._take()
            self._lost_first = joined(gap, 1)
            self.dropped += 1
        self.pump()

    def missed(self, lost: int = UNKNOWN) -> None:
        """So many would have come now, and are lost."""
        self._lost_last = joined(self._lost_last, lost)

    def pump(self) -> None:
        """Hand over what can be handed over now. Never raises."""
        if self._pumping:  # settled within deliver(): the loop below goes on by itself
            return
        self._pumping = True
        try:
            while self._events and self._room > 0 and not self._paused:
                self._hand_over(*self._take())
        finally:
            self._pumping = False

    def _hand_over(self, event: Event, gap: int) -> None:
        self._room -= 1
        delivery = FanOutDelivery(self, event, gap)
        try:
            self._deliver(delivery)
        except Exception:  # noqa: BLE001 - told; one consumer's fault ends neither its subscription nor the others'
            self._failed(event)
            self._lost_first = joined(gap, 1)
            delivery.abandon()

    def settled(self) -> None:
        """A handler is free again."""
        self._room += 1
        self.pump()
        if self.is_roomy:
            self.roomy()

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
        self._leave(self)

    def _take(self) -> tuple[Event, int]:
        """The first event, and what was lost before it."""
        event, gap = self._events.popleft()
        self._bytes -= len(event.body)
        gap, self._lost_first = joined(self._lost_first, gap), 0
        return event, gap


def _nothing() -> None:
    """Nobody waits for room."""


def joined(one: int, other: int) -> int:
    """Two gaps as one: unknown as soon as one of them is."""
    return UNKNOWN if UNKNOWN in (one, other) else one + other
