"""The event bus inside one process. What is published in one turn of the loop is handed over in the next, as one batch.

Bounds: each fan-out subscriber has its queue (full: the oldest goes, told as a gap). All that waits for groups, dead
letters included, shares one budget in bytes (full: publishing waits for room until its deadline, then Overloaded).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import NamedTuple

from ...contracts import Consumer, DeadLetters, Delivery, Environment, Event, PubSub, Subscription
from ...errors import CallError, NotSupported, Overloaded, TooLarge, Unavailable
from ...model.version import parse
from .done import DONE
from .fanout import FanOutQueue
from .group import GroupQueue, cost
from .options import MIB, BusOptions

Topic = tuple[str, int, str]
RETRY_AFTER_S = 1.0
WAITING_SHARE = 4
"""Events of publishers that wait for room may take a quarter of the budget on top of it; beyond, Overloaded at once."""


class _Publisher(NamedTuple):
    """Somebody who waits for room."""

    event: Event
    topic: Topic
    accepted: asyncio.Future[None]
    cancel_deadline: Callable[[], None]


class EmbeddedBus(PubSub, DeadLetters):
    """`contracts.PubSub` of one process."""

    def __init__(self, options: BusOptions, env: Environment) -> None:
        self._options, self._clock, self._chance, self._log = options, env.clock, env.rng.random, env.log
        self._subscribers: dict[Topic, list[FanOutQueue]] = {}
        self._groups: dict[Topic, dict[str, GroupQueue]] = {}
        self._publishers: deque[_Publisher] = deque()
        self._used = self._queued = 0
        self._awake: dict[FanOutQueue | GroupQueue, None] = {}
        self._closed = False

    # ---- publishing --------------------------------------------------------------------------------------------------
    def publish(self, event: Event, *, deadline: float) -> Awaitable[None]:
        """Hand over `event`. The awaitable raises errors.TooLarge, errors.Overloaded, errors.Unavailable."""
        if self._closed:
            return _failed(Unavailable("the event bus of this process is closed", executed="not_executed"))
        if len(event.body) > MIB:
            text = f"event {event.service}.{event.name} has {len(event.body)} bytes; this bus takes {MIB}"
            return _failed(TooLarge(text, executed="not_executed"))
        topic = (event.service, parse(event.version).major, event.name)
        if self._has_room(topic, event):
            self._accept(topic, event)
            return DONE
        return self._wait_for_room(topic, event, deadline)

    def _has_room(self, topic: Topic, event: Event) -> bool:
        groups = len(self._groups.get(topic, ()))
        if not groups:
            return True
        # who came first is served first: an event never overtakes one that waits
        return not self._publishers and self._fits(groups, event)

    def _fits(self, groups: int, event: Event) -> bool:
        return self._used + groups * cost(event) <= self._options.memory

    def _accept(self, topic: Topic, event: Event) -> None:
        for subscriber in self._subscribers.get(topic, ()):
            subscriber.accept(event)
        for group in self._groups.get(topic, {}).values():
            self._used += cost(event)
            group.accept(event)

    def _wait_for_room(self, topic: Topic, event: Event, deadline: float) -> Awaitable[None]:
        if self._queued + cost(event) > self._options.memory // WAITING_SHARE:
            return _failed(self._overloaded(topic))
        self._queued += cost(event)
        accepted = asyncio.get_running_loop().create_future()
        cancel = self._clock.at(deadline, partial(self._refuse, accepted, topic))
        self._publishers.append(_Publisher(event, topic, accepted, cancel))
        return accepted

    def _refuse(self, accepted: asyncio.Future[None], topic: Topic) -> None:
        if not accepted.done():
            accepted.set_exception(self._overloaded(topic))
        self._admit()

    def _overloaded(self, topic: Topic) -> Overloaded:
        dead = sum(len(group.dead) for group in self._groups.get(topic, {}).values())
        text = (
            f"{topic[0]}.{topic[2]}: {self._used} bytes of events wait for their consumers, [pubsub.embedded] memory = "
            f"{self._options.memory}; {dead} of this topic are dead letters: discard or replay them"
        )
        return Overloaded(text, executed="not_executed", retry_after=RETRY_AFTER_S)

    def _released(self, size: int) -> None:
        self._used -= size
        self._admit()

    def _admit(self) -> None:
        while self._publishers:
            first = self._publishers[0]
            if not first.accepted.done():
                if not self._fits(len(self._groups.get(first.topic, ())), first.event):
                    return
                self._accept(first.topic, first.event)
                first.accepted.set_result(None)
            first.cancel_deadline()
            self._queued -= cost(first.event)
            self._publishers.popleft()

    # ---- delivering --------------------------------------------------------------------------------------------------
    async def subscribe(self, subscription: Subscription, deliver: Callable[[Delivery], None]) -> Consumer:
        """Deliver matching events from now on. Raises errors.NotSupported for `since`, and for a second strategy in
        one group."""
        if subscription.since is not None:
            raise NotSupported("the embedded bus keeps no history: subscribe without from_, or use another bus")
        topic = (subscription.service, subscription.major, subscription.name)
        if subscription.group is None:
            return self._fan_out(topic, subscription, deliver)
        return self._group(topic, subscription).join(subscription, deliver)

    def _fan_out(self, topic: Topic, subscription: Subscription, deliver: Callable[[Delivery], None]) -> FanOutQueue:
        subscribers = self._subscribers.setdefault(topic, [])
        queue = FanOutQueue(
            subscription.concurrency, self._options.queue, deliver, self._wake, partial(self._left, topic)
        )  # fmt: skip
        subscribers.append(queue)
        return queue

    def _left(self, topic: Topic, queue: FanOutQueue) -> None:
        rest = [each for each in self._subscribers.get(topic, ()) if each is not queue]
        if rest:
            self._subscribers[topic] = rest
        else:
            self._subscribers.pop(topic, None)

    def _group(self, topic: Topic, subscription: Subscription) -> GroupQueue:
        groups = self._groups.setdefault(topic, {})
        name = subscription.group or ""
        found = groups.get(name)
        if found is None:
            found = groups[name] = GroupQueue(
                subscription, self._clock, self._chance, self._options.ack_wait, self._released, self._wake
            )
        elif found.strategy != subscription.strategy:
            text = (
                f"group {name} of {topic[0]}.{topic[2]} has strategy {found.strategy!r}, not {subscription.strategy!r}"
            )
            raise NotSupported(f"{text}: all members of a group have the same")
        return found

    def _wake(self, queue: FanOutQueue | GroupQueue) -> None:
        if not self._awake:
            asyncio.get_running_loop().call_soon(self._pump)
        self._awake[queue] = None

    def _pump(self) -> None:
        awake, self._awake = self._awake, {}
        for queue in awake:
            try:
                queue.pump()
            except Exception:  # noqa: BLE001 - logged; one consumer's fault is not the others'
                # a consumer's callback failed: the event comes again after its ack wait, the others go on
                self._log.exception("a consumer could not take an event")
                self._wake(queue)

    # ---- dead letters ------------------------------------------------------------------------------------------------
    async def dead(self, subscription: Subscription) -> AsyncIterator[tuple[Event, str, int]]:
        """(event, cause, deliveries) of each dead letter of the group, oldest first."""
        topic = (subscription.service, subscription.major, subscription.name)
        group = self._groups.get(topic, {}).get(subscription.group or "")
        for entry in list(group.dead if group is not None else ()):
            yield entry.event, entry.cause, entry.count

    async def discard(self, event_id: str, *, replay: bool) -> None:
        """Forget a dead letter in every group that has it, or put it back. Raises KeyError when there is none."""
        groups = [group for by_name in self._groups.values() for group in by_name.values()]
        found = [group.discard(event_id, replay=replay) for group in groups]  # in each group, not in the first only
        if not any(found):
            raise KeyError(event_id)

    async def aclose(self) -> None:
        """Publishers that wait are refused; what waits in memory is gone. Idempotent."""
        self._closed = True
        for publisher in self._publishers:
            publisher.cancel_deadline()
            if not publisher.accepted.done():
                publisher.accepted.set_exception(Unavailable("the event bus was closed", executed="not_executed"))
        self._publishers.clear()
        for by_name in self._groups.values():
            for group in by_name.values():
                group.close()


def _failed(error: CallError) -> Awaitable[None]:
    failed = asyncio.get_running_loop().create_future()
    failed.set_exception(error)
    return failed
