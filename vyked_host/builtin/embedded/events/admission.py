"""Room for what waits for groups: one budget in bytes, and the publishers who wait for some of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from ....contracts import Clock
from ....errors import Overloaded, Unavailable
from .entry import nothing
from .parcel import Parcel, Topic

RETRY_AFTER_S = 1.0
WAITING_SHARE = 4
"""Events of publishers that wait for room may take a quarter of the budget on top of it; beyond, Overloaded at once."""


class _Publisher(NamedTuple):
    """Somebody who waits for room."""

    parcel: Parcel
    accepted: asyncio.Future[None]
    cancel_deadline: Callable[[], None]


class Admission:
    """The budget. `offer` accepts a parcel, or says None when it has to wait; `crowded` names what takes the room.
    Until `opens_at` (monotonic seconds) nothing is let in: the nodes of a mesh come back first."""

    def __init__(
        self, budget: int, clock: Clock, opens_at: float, offer: Callable[[Parcel], Awaitable[None] | None],
        crowded: Callable[[Topic], str],
    ) -> None:  # fmt: skip
        self.budget, self._clock, self._offer, self._crowded = budget, clock, offer, crowded
        self.used = self._queued = 0
        self._publishers: deque[_Publisher] = deque()
        self.is_open = opens_at <= clock.now()
        self._cancel_opening = nothing if self.is_open else clock.at(opens_at, self.open)

    def has_room(self, groups: int, parcel: Parcel) -> bool:
        """Is there room for `parcel` in so many groups? Who came first is served first: an event never overtakes one that
        waits."""
        if not self.is_open:
            return False
        return not groups or (not self._publishers and self._fits(groups, parcel))

    def _fits(self, groups: int, parcel: Parcel) -> bool:
        return self.used + groups * parcel.cost <= self.budget

    def wait(self, parcel: Parcel, deadline: float) -> Awaitable[None]:
        """Wait for room until `deadline`, in monotonic seconds. Raises Overloaded, Unavailable."""
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._queued + parcel.cost > self.budget // WAITING_SHARE:
            accepted.set_exception(self._overloaded(parcel.topic))
            return accepted
        self._queued += parcel.cost
        cancel = self._clock.expire(deadline, partial(self._refuse, accepted, parcel.topic))
        self._publishers.append(_Publisher(parcel, accepted, cancel))
        return accepted

    def _refuse(self, accepted: asyncio.Future[None], topic: Topic) -> None:
        if not accepted.done():
            accepted.set_exception(self._overloaded(topic))
        self.admit()

    def _overloaded(self, topic: Topic) -> Overloaded:
        what = self._crowded(topic) if self.is_open else "the hub has changed hands; its nodes are coming back"
        return Overloaded(f"{topic}: {what}", executed="not_executed", retry_after=RETRY_AFTER_S)

    def released(self, size: int) -> None:
        """So many bytes are free again."""
        self.used -= size
        if self._publishers:
            self.admit()

    def open(self) -> None:
        """Let in from now on. Idempotent."""
        self._cancel_opening()
        self.is_open = True
        self.admit(whole=True)

    def admit(self, *, whole: bool = False) -> None:
        """Let in who waits, in order, while there is room. `whole`: look also behind one that finds none, for those that
        need none."""
        waiting, self._publishers = self._publishers, deque()
        while waiting and (whole or not self._publishers):
            first = waiting.popleft()
            if not first.accepted.done():
                accepting = self._offer(first.parcel)
                if accepting is None:
                    self._publishers.append(first)
                    continue
                follow(accepting, first.accepted)
            first.cancel_deadline()
            self._queued -= first.parcel.cost
        self._publishers += waiting

    def close(self) -> None:
        """Who waits is refused. Idempotent."""
        self._cancel_opening()
        for publisher in self._publishers:
            publisher.cancel_deadline()
            if not publisher.accepted.done():
                publisher.accepted.set_exception(Unavailable("the event bus was closed", executed="not_executed"))
        self._publishers.clear()


def follow(accepting: Awaitable[None], waiting: asyncio.Future[None]) -> None:
    """`waiting` ends as `accepting` does."""
    if isinstance(accepting, asyncio.Future):
        accepting.add_done_callback(partial(_pass_on, waiting))
    else:
        waiting.set_result(None)


def _pass_on(waiting: asyncio.Future[None], done: asyncio.Future[None]) -> None:
    error = done.exception()
    if waiting.done():
        return
    if error is None:
        waiting.set_result(None)
    else:
        waiting.set_exception(error)
