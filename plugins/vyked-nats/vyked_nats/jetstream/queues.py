"""Queues of jobs: the group that takes them is there before the first of them is, and so keeps it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from vyked_host import CallError, StartError, Unavailable
from vyked_host.contracts import Environment, queue_group

from .api import NO_CONSUMER, Api, Refused
from .durables import of_group, of_later
from .names import Names, Topic
from .store import Store

ALL = {"deliver_policy": "all"}
EXISTS = 10148
"""Consumer already exists: somebody else was faster, and made it a little otherwise."""


class Queues:
    """`server` says which server is at the other end."""

    def __init__(
        self, api: Api, store: Store, names: Names, env: Environment, ack_wait_s: float, server: Callable[[], str]
    ) -> None:  # fmt: skip
        self._api, self._store, self._names, self._env = api, store, names, env
        self._ack_wait_s, self._server = ack_wait_s, server
        self._known: set[Topic] = set()
        self._one_at_a_time: defaultdict[Topic, asyncio.Lock] = defaultdict(asyncio.Lock)

    def forget(self) -> None:
        """They have to be looked at again: the connection is another one."""
        self._known.clear()

    def enqueue(self, topic: Topic, deadline: float, hand_over: Callable[[], Awaitable[None]]) -> Awaitable[None]:
        """Hand over one job; the first of its queue waits until there is a group. Awaiting raises what that raises, Unavailable."""
        if topic in self._known:
            return hand_over()
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        accepted.add_done_callback(_looked_at)
        self._env.tasks(self._first(topic, deadline, hand_over, accepted), f"nats: the group of {topic}")
        return accepted

    async def _first(
        self, topic: Topic, deadline: float, hand_over: Callable[[], Awaitable[None]], accepted: asyncio.Future[None]
    ) -> None:  # fmt: skip
        error: CallError | None = Unavailable(f"{topic} takes no job: the bus is closed", executed="not_sent")
        try:
            async with asyncio.timeout(deadline - self._env.clock.now()):
                await self.make(topic)
            if not accepted.done():
                await hand_over()
            error = None
        except (Refused, StartError, TimeoutError) as fault:
            why = str(fault) or "there was no answer in time"
            error = Unavailable(f"{topic} takes no job, its group can't be made: {why}", executed="not_sent")
        except CallError as fault:
            error = fault
        finally:
            if not accepted.done():
                accepted.set_result(None) if error is None else accepted.set_exception(error)

    async def make(self, topic: Topic) -> None:
        """The group of a queue is there, and what gives it its jobs for later. Raises StartError, and what Api raises."""
        async with self._one_at_a_time[topic]:
            if topic in self._known:
                return
            await self._store.make()
            group = queue_group(topic.service, topic.major)
            await self._there(of_group(self._names, topic, group, self._ack_wait_s, ALL, server=self._server()))
            await self._there(of_later(self._names, topic, self._ack_wait_s))
            self._known.add(topic)

    async def _there(self, wanted: dict[str, Any]) -> None:
        where = f"{self._names.events}.{wanted['name']}"
        try:
            await self._api.ask(f"CONSUMER.INFO.{where}")
        except Refused as error:
            if error.number != NO_CONSUMER:
                raise
            await self._made(where, wanted)

    async def _made(self, where: str, wanted: dict[str, Any]) -> None:
        body = {"stream_name": self._names.events, "config": wanted, "action": "create"}
        try:
            await self._api.ask(f"CONSUMER.CREATE.{where}", body)
        except Refused as error:
            if error.number != EXISTS:
                raise


def _looked_at(accepted: asyncio.Future[None]) -> None:
    """Whoever does not await it hears of no failure."""
    if not accepted.cancelled():
        accepted.exception()
