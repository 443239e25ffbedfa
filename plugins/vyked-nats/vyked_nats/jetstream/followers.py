"""Fan-out of one host: one follower for each topic that is followed from now on, and one for each handler that wants a replay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from vyked_host.contracts import Backlog, Delivery, Environment, Event, Subscription

from ..options import JetStreamOptions
from .api import Api
from .follower import Follower
from .names import Names, Topic
from .past import Past
from .store import Store


class Followers:
    """Who follows what."""

    def __init__(
        self, api: Api, store: Store, past: Past, names: Names, env: Environment, options: JetStreamOptions
    ) -> None:  # fmt: skip
        self._api, self._store, self._past, self._names, self._env, self._options = (
            api,
            store,
            past,
            names,
            env,
            options,
        )
        self._from_now_on: dict[Topic, Follower] = {}
        self._replaying: list[Follower] = []

    @property
    def all(self) -> list[Follower]:
        """Of every topic, and those that replay."""
        return [*self._from_now_on.values(), *self._replaying]

    def follow(
        self, wanted: Subscription, start: dict[str, Any], deliver: Callable[[Delivery], None]
    ) -> tuple[Follower, Backlog]:
        """One handler more, and who reads for it."""
        follower = self._of(Topic(wanted.service, wanted.major, wanted.name), start, replays=wanted.since is not None)

        def leave(backlog: Backlog) -> None:
            self._leave(follower, backlog)

        def hand_over(delivery: Delivery) -> None:
            follower.reader.wake()  # one less waits
            deliver(delivery)

        backlog = Backlog(wanted.concurrency, self._options.queue, hand_over, leave, self._not_taken)
        follower.backlogs = (*follower.backlogs, backlog)
        return follower, backlog

    def _of(self, topic: Topic, start: dict[str, Any], *, replays: bool) -> Follower:
        found = None if replays else self._from_now_on.get(topic)
        if found is not None:
            return found
        made = Follower(
            topic, start, names=self._names, api=self._api, store=self._store, past=self._past, env=self._env,
            keep_s=self._options.keep, queue=self._options.queue, replays=replays,
        )  # fmt: skip
        if replays:
            self._replaying.append(made)
        else:
            self._from_now_on[topic] = made
        return made

    def _leave(self, follower: Follower, backlog: Backlog) -> None:
        follower.backlogs = tuple(each for each in follower.backlogs if each is not backlog)
        if follower.backlogs or follower not in self.all:
            return
        self._replaying = [each for each in self._replaying if each is not follower]
        if self._from_now_on.get(follower.topic) is follower:
            del self._from_now_on[follower.topic]
        self._env.tasks(follower.aclose(), f"nats: end {follower.reader.what}")

    def _not_taken(self, event: Event) -> None:
        self._env.log.exception("a consumer could not take event %s of %s.%s", event.id, event.service, event.name)

    async def aclose(self) -> None:
        """Nobody follows anything any more. Idempotent."""
        ending, self._from_now_on, self._replaying = self.all, {}, []
        await asyncio.gather(*(each.aclose() for each in ending))
