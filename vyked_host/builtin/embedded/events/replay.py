"""Events from before a subscription, out of the holder's file, and then those that come: nothing twice, and nothing left out.

The past is read in pages, as fast as the handler takes it. When a page is empty, what comes meanwhile is listened to; when the next one
is empty too, all that was kept before is told, and what was heard since, without what the pages had, follows.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from ....contracts import Environment, Event
from ....errors import CallError, NotFound, NotSupported
from ....routing.backlog import UNKNOWN
from ....routing.backoff import Backoff
from ....wire.envelope import MalformedEnvelope, unpack
from .entry import nothing
from .inbox import FanOutConsumer
from .inquiries import Begun, Moving, Page
from .links import Link
from .parcel import Topic
from .seen import Seen

HEARD = 4096
"""Events that are remembered while the end of the past is looked for; with more it is looked for again."""
RECENT = 16_384
_AGAIN = Backoff(first=0.05, most=2.0)


class ReplayConsumer(FanOutConsumer):
    """A handler that gets the past first."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._is_behind = True
        self._heard: list[Event] | None = None
        self.cancel: Callable[[], None] = nothing

    def accept(self, event: Event) -> None:
        """An event that comes now: the past has it too, while that is told."""
        if not self._is_behind:
            super().accept(event)
        elif self._heard is not None:
            self._heard.append(event)
            if len(self._heard) > HEARD:
                self._heard = None

    def missed(self, lost: int = UNKNOWN) -> None:
        """What is missing now is in the past, while that is told."""
        if not self._is_behind:
            super().missed(lost)

    def tell(self, event: Event) -> None:
        """One event of the past."""
        super().accept(event)

    def listen(self) -> bool:
        """Remember what comes from now on; False: that is done already."""
        begins = self._heard is None
        self._heard = [] if self._heard is None else self._heard
        return begins

    def follow_on(self, is_told: Callable[[Event], bool]) -> bool:
        """The past is told; what was heard since follows. False: too much was heard."""
        heard, self._heard = self._heard, None
        if heard is None:
            return False
        self._is_behind = False
        for event in heard:
            if not is_told(event):
                super().accept(event)
        return True

    def lose(self) -> None:
        """The rest of the past is not there any more."""
        self._is_behind, self._heard = False, None
        super().missed(UNKNOWN)

    async def aclose(self) -> None:
        """Forget the handler. Idempotent."""
        self.cancel()
        await super().aclose()


class Replay:
    """Of one handler. `linked` gives the way to the holder of now."""

    def __init__(self, env: Environment, topic: Topic, linked: Callable[[], Awaitable[Link]]) -> None:
        self._env, self._topic, self._linked = env, topic, linked
        self._recent = Seen(RECENT)

    async def begin(self, since: str) -> Begun:
        """Where it begins. Raises NotSupported, CallError, Moving."""
        try:
            found = await (await self._linked()).begin(self._topic, since)
        except NotFound as error:
            raise NotSupported("the holder of the hub is of a release that keeps no history") from error
        if found.refused:
            raise NotSupported(found.refused)
        return found

    async def run(self, consumer: ReplayConsumer, begun: Begun) -> None:
        """Tell `consumer` all of it."""
        after = begun.after
        roomy = asyncio.Event()
        consumer.roomy = roomy.set
        while True:
            page = await self._page(begun.place, after)
            if page is None:
                self._env.log.warning("a replay of %s ends early: another file holds events now", self._topic)
                consumer.lose()
                return
            for number, packed in page:
                while not consumer.is_roomy:
                    roomy.clear()
                    await roomy.wait()
                self._tell(consumer, packed)
                after = number
            if not page and not consumer.listen() and consumer.follow_on(self._is_told):
                return

    def _tell(self, consumer: ReplayConsumer, packed: bytes) -> None:
        try:
            event = unpack(packed)
        except MalformedEnvelope as error:
            self._env.log.error("an event of the past of %s is left out: %s", self._topic, error)  # noqa: TRY400
            return
        self._recent.add(event.id, self._env.clock.now())
        consumer.tell(event)

    def _is_told(self, event: Event) -> bool:
        return self._recent.knows(event.id, self._env.clock.now())

    async def _page(self, place: str, after: int) -> Page:
        """What follows; None: the file is another one. Holders come and go meanwhile."""
        failures = 0
        while True:
            try:
                return await (await self._linked()).past(self._topic, place, after)
            except (CallError, Moving, OSError, sqlite3.Error) as error:
                self._env.log.debug("a replay of %s: %s", self._topic, error)
                await asyncio.sleep(_AGAIN.delay(failures, self._env.rng.random()))
                failures += 1
