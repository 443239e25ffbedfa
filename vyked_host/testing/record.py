"""Every event that a mesh under test published, so that a test can ask for what has happened already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from ..contracts import Consumer, Delivery, PubSub, Subscription, Verdict
from ..model.description import EventDescription
from ..model.version import parse
from ..runtime.tasks import TaskScope

Topic = tuple[str, int, str]
_CONCURRENCY = 1 << 16


def topic(event: EventDescription) -> Topic:
    """What a bus knows an event by."""
    return event.service, parse(event.version).major, event.name


class Record:
    """Events by topic, in order, each once: `next` takes it out."""

    def __init__(self, pubsub: PubSub, tasks: TaskScope) -> None:
        self._pubsub, self._tasks = pubsub, tasks
        self._seen: dict[Topic, list[Any]] = {}
        self._consumers: list[Consumer] = []
        self._changed = asyncio.Event()

    async def follow(self, event: Topic, payload: Any) -> None:
        """Record this topic from now on."""
        if event in self._seen:
            return
        self._seen[event] = []
        wanted = Subscription(
            service=event[0], major=event[1], name=event[2], group=None, member="test", concurrency=_CONCURRENCY
        )
        self._consumers.append(await self._pubsub.subscribe(wanted, partial(self._deliver, event, payload)))

    def _deliver(self, event: Topic, payload: Any, delivery: Delivery) -> None:
        self._seen[event].append(msgspec.json.decode(delivery.event.body, type=payload))  # events travel as JSON
        self._changed.set()
        self._tasks(_taken(delivery), "record of events")

    async def next(self, event: Topic, within: float, where: Callable[[Any], bool]) -> Any:
        """The oldest that fits and was not taken yet, waited for `within` seconds. Raises AssertionError, saying what came
        instead."""
        try:
            async with asyncio.timeout(within):
                while (found := self._take(event, where)) is _NONE:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            came = ", ".join(map(repr, self._seen[event])) or "none at all"
            raise AssertionError(
                f"no {event[0]}.{event[2]} within {within:g} s that fits; there came: {came}"
            ) from None
        return found

    def _take(self, event: Topic, where: Callable[[Any], bool]) -> Any:
        waiting = self._seen[event]
        for index, payload in enumerate(waiting):
            if where(payload):
                return waiting.pop(index)
        return _NONE

    async def aclose(self) -> None:
        """End every subscription."""
        for consumer in self._consumers:
            await consumer.aclose()


_NONE = object()


async def _taken(delivery: Delivery) -> None:
    await delivery.settle(Verdict(action="ack"))
