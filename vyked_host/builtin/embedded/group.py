"""One consumer group and its queue: each event goes to one member and is kept until that one says what became of it.

An event is in exactly one place: in a lane (waiting; a lane is for anybody or for its owner), with a member, delayed until
its next try, or dead. What a member does not settle within the ack wait, or leaves behind, goes back; an ack that comes
late still counts. Events go back to the end of the lane: one that fails again and again does not hold up the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

from ...contracts import Clock, Delivery, Event, Subscription, Verdict
from ...errors import LocalProtocolError
from ...routing.delivery import Group
from .done import DONE

OVERHEAD = 1024
"""What an event costs beside its body, in bytes: generous, so that the sum stays under the bound."""


class Entry:
    """One event in one group. `count`: deliveries so far."""

    __slots__ = ("cause", "count", "done", "event", "order", "size")

    def __init__(self, event: Event, order: int) -> None:
        self.event, self.order, self.size = event, order, cost(event)
        self.count, self.cause, self.done = 0, "", False


class GroupDelivery:
    """`contracts.Delivery`, at least once. `over`: the event has gone back already."""

    __slots__ = ("_queue", "cancel_wait", "count", "entry", "event", "gap", "member", "over", "settled")

    def __init__(self, queue: GroupQueue, entry: Entry, member: Member) -> None:
        self._queue, self.entry, self.member = queue, entry, member
        self.event, self.count, self.gap = entry.event, entry.count, 0
        self.cancel_wait: Callable[[], None] = _nothing
        self.over = self.settled = False

    def settle(self, verdict: Verdict) -> Awaitable[None]:
        """Say what became of it. Raises LocalProtocolError when it was settled before."""
        if self.settled:
            raise LocalProtocolError(f"event {self.event.id} was settled before")
        self.settled = verdict.action != "extend"
        self._queue.settle(self, verdict)
        return DONE


class Member:
    """One member, and the `contracts.Consumer` it holds."""

    def __init__(self, queue: GroupQueue, name: str, concurrency: int, deliver: Callable[[Delivery], None]) -> None:
        self._queue, self.name, self._concurrency, self.deliver = queue, name, concurrency, deliver
        self.unsettled: set[GroupDelivery] = set()

    @property
    def has_room(self) -> bool:
        """Can it take one more?"""
        return len(self.unsettled) < self._concurrency

    def pause(self) -> None:
        """Get nothing new: the others of the group take over."""
        self._queue.leave(self)

    async def pending(self) -> int:
        """Events of the group that wait."""
        return self._queue.waiting

    async def aclose(self) -> None:
        """Leave; what was not settled goes back. Idempotent."""
        self._queue.leave(self)
        for delivery in list(self.unsettled):
            self._queue.give_back(delivery)


class GroupQueue:
    """The queue of one group. `released` is told the bytes that are free again."""

    def __init__(
        self, subscription: Subscription, clock: Clock, chance: Callable[[], float], ack_wait_s: float,
        released: Callable[[int], None], wake: Callable[[GroupQueue], None],
    ) -> None:  # fmt: skip
        self.strategy = subscription.strategy
        self._clock, self._ack_wait_s, self._released, self._wake = clock, ack_wait_s, released, wake
        self._group = Group(subscription.strategy, chance)
        self._members: dict[str, Member] = {}
        self._lanes: dict[str | None, deque[Entry]] = {}
        self._delayed: dict[Entry, Callable[[], None]] = {}
        self._joined = self._accepted = 0
        self.dead: list[Entry] = []

    @property
    def waiting(self) -> int:
        """Events in lanes and those that are delayed."""
        return sum(not entry.done for lane in self._lanes.values() for entry in lane) + len(self._delayed)

    # ---- members ---------------------------------------------------------------------------------------------------
    def join(self, subscription: Subscription, deliver: Callable[[Delivery], None]) -> Member:
        """One more member."""
        self._joined += 1
        taken = subscription.member in self._members
        name = f"{subscription.member}#{self._joined}" if taken else subscription.member
        member = self._members[name] = Member(self, name, subscription.concurrency, deliver)
        self._group.join(name)
        self._sort_anew()
        return member

    def leave(self, member: Member) -> None:
        """`member` gets nothing new."""
        if self._members.get(member.name) is member:
            del self._members[member.name]
            self._group.leave(member.name)
            self._sort_anew()

    def _sort_anew(self) -> None:
        """Who owns what has changed."""
        entries = sorted((entry for lane in self._lanes.values() for entry in lane), key=lambda entry: entry.order)
        self._lanes = {}
        for entry in entries:
            self._line_up(entry)

    # ---- events in and out -------------------------------------------------------------------------------------------
    def accept(self, event: Event) -> None:
        """One more event, for which there is room."""
        self._accepted += 1
        self._line_up(Entry(event, self._accepted))

    def pump(self) -> None:
        """Hand over what can be handed over now."""
        for owner in list(self._lanes):
            self._empty(owner)

    def _line_up(self, entry: Entry) -> None:
        self._lanes.setdefault(self._group.owner(entry.event.key), deque()).append(entry)
        self._wake(self)

    def _empty(self, owner: str | None) -> None:
        lane = self._lanes.get(owner, ())
        while lane:
            member = self._taker(owner)
            if member is None:
                return
            entry = lane.popleft()
            if not entry.done:
                self._hand_over(entry, member)

    def _taker(self, owner: str | None) -> Member | None:
        if owner is not None:
            member = self._members.get(owner)
            return member if member is not None and member.has_room else None
        free = [name for name, member in self._members.items() if member.has_room]
        return self._members[self._group.pick(free)] if free else None

    def _hand_over(self, entry: Entry, member: Member) -> None:
        entry.count += 1
        delivery = GroupDelivery(self, entry, member)
        member.unsettled.add(delivery)
        self._wait(delivery, self._ack_wait_s)
        member.deliver(delivery)

    def _wait(self, delivery: GroupDelivery, seconds: float) -> None:
        delivery.cancel_wait()
        delivery.cancel_wait = self._clock.at(self._clock.now() + seconds, partial(self.give_back, delivery))

    # ---- what became of them -----------------------------------------------------------------------------------------
    def settle(self, delivery: GroupDelivery, verdict: Verdict) -> None:
        """Carry out a verdict. After the event has gone back only an ack counts."""
        if delivery.over:
            if verdict.action == "ack":
                self._finish(delivery.entry)
        elif verdict.action == "extend":
            self._wait(delivery, verdict.seconds or self._ack_wait_s)
        else:
            self._let_go(delivery)
            self._judge(delivery.entry, verdict)

    def _judge(self, entry: Entry, verdict: Verdict) -> None:
        if entry.done:  # an earlier delivery's ack came in between
            return
        entry.cause = verdict.cause
        if verdict.action == "ack":
            self._finish(entry)
        elif verdict.action == "reject":
            self.dead.append(entry)
        elif verdict.seconds > 0:
            due = self._clock.now() + verdict.seconds
            self._delayed[entry] = self._clock.at(due, partial(self._try_again, entry))
        else:
            self._line_up(entry)

    def give_back(self, delivery: GroupDelivery) -> None:
        """The event was not settled: somebody else gets it."""
        self._let_go(delivery)
        if not delivery.entry.done:
            self._line_up(delivery.entry)

    def _let_go(self, delivery: GroupDelivery) -> None:
        delivery.over = True
        delivery.cancel_wait()
        delivery.member.unsettled.discard(delivery)
        self._wake(self)

    def _try_again(self, entry: Entry) -> None:
        del self._delayed[entry]
        self._line_up(entry)

    def _finish(self, entry: Entry) -> None:
        if entry.done:
            return
        entry.done = True
        self.dead = [each for each in self.dead if each is not entry]
        cancel = self._delayed.pop(entry, None)
        if cancel is not None:
            cancel()
        self._released(entry.size)

    # ---- dead letters ------------------------------------------------------------------------------------------------
    def discard(self, event_id: str, *, replay: bool) -> bool:
        """Forget the dead letter of this id, or put it back with its count at 0; False: there is none."""
        found = [entry for entry in self.dead if entry.event.id == event_id]
        for entry in found:
            self._bury(entry, replay)
        return bool(found)

    def _bury(self, entry: Entry, replay: bool) -> None:
        if not replay:
            self._finish(entry)
            return
        self.dead.remove(entry)
        entry.count, entry.cause = 0, ""
        self._line_up(entry)

    def close(self) -> None:
        """Cancel every timer; what waits is lost with the process anyway."""
        for cancel in self._delayed.values():
            cancel()
        for member in self._members.values():
            for delivery in member.unsettled:
                delivery.cancel_wait()
        self._members.clear()


def cost(event: Event) -> int:
    """Bytes that keeping `event` in one group is counted as."""
    return len(event.body) + OVERHEAD


def _nothing() -> None:
    """No timer runs."""
