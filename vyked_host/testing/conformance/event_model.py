"""What a bus owes and what became of it, as small as it can be said: `histories` compares with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import msgspec

from ...contracts import Consumer, Delivery, Environment, Event, Guarantees, Provider, PubSub

Surroundings = Callable[..., AbstractAsyncContextManager[Environment]]


class Subject(msgspec.Struct, frozen=True):
    """What is put to the test. `ack_wait_s`: after so long an event may come again by itself."""

    provider: Provider[PubSub]
    options: msgspec.Struct
    guarantees: Guarantees
    surroundings: Surroundings
    ack_wait_s: float


class Group:
    """What the model knows of one group: what it is owed, and what became of it."""

    def __init__(self) -> None:
        self.owed: dict[str, Event] = {}
        self.acked: set[str] = set()
        self.late: set[str] = set()  # acked when the ack wait may have been over, so that it was on its way again
        self.dead: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        self.with_whom: dict[str, Taker] = {}
        self.since: dict[str, float] = {}  # when each could be given out at the earliest
        self.faults: list[str] = []
        self.under_way: set[str] = set()  # might have been on its way to somebody who left
        self.is_known = False

    def took(self, taker: Taker, delivery: Delivery, now: float, ack_wait_s: float) -> None:
        """One delivery came."""
        name = delivery.event.id
        if self.owed.get(name) != delivery.event:
            self.faults.append(f"{name} was never published to this group as it came")
        if (name in self.acked and name not in self.late) or name in self.dead:
            self.faults.append(f"{name} came again after it was settled for good")
        if delivery.count <= self.counts.get(name, 0):
            self.faults.append(f"{name} came with count {delivery.count}, after one with {self.counts[name]}")
        elif name not in self.counts and name not in self.under_way and delivery.count != 1:
            self.faults.append(f"{name} came for the first time with count {delivery.count}")
        before = self.with_whom.get(name)
        if before is not None:
            self.since[name] += ack_wait_s * 0.9
            if now < self.since[name]:
                self.faults.append(f"{name} went to {taker.name} while {before.name} had it")
        self.counts[name] = max(delivery.count, self.counts.get(name, 0))
        if not taker.has_left:  # else it came while the taker went, and is anybody's
            self.with_whom[name] = taker

    def left(self, taker: Taker) -> None:
        """All it had may go to others, and what still comes to it."""
        taker.has_left = True
        self.under_way |= set(self.owed)
        self.with_whom = {name: who for name, who in self.with_whom.items() if who is not taker}


class Taker:
    """One subscriber: of a group, or of everything."""

    def __init__(self, name: str, took: Callable[[Taker, Delivery], None]) -> None:
        self.name, self._took = name, took
        self.unsettled: list[Delivery] = []
        self.consumer: Consumer | None = None
        self.since, self.has_left = 0, False
        self.received: list[str] = []
        self.gaps: list[int] = []

    def __call__(self, delivery: Delivery) -> None:
        self._took(self, delivery)
