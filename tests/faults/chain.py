"""A chain of four hops in three processes: first -> second (HTTP) -> third (TCP) -> last (its neighbour). The scenario calls first
over TCP. A copy of this file is put beside the vyked.toml, so nothing of the suite may be imported here.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict

from msgspec import Struct

from vyked_host import DeadlineExceeded, Service, api, client, context, publish, subscribe

LONG_S = 60.0


class Hop(Struct, frozen=True):
    """What one handler saw of its call."""

    endpoint: str
    caller: str
    remaining: float
    metadata: dict[str, str]


def seen() -> Hop:
    """What the handler that runs now sees."""
    here = context()
    caller = here.caller.service if here.caller else ""
    return Hop(here.endpoint, caller, here.remaining, dict(here.metadata))


class Reached(Struct, frozen=True):
    """The payload of the event."""

    token: str


class _Inspected(Service):
    @api
    async def tasks(self) -> list[str]:
        """Everything that runs in this process, but what answers this."""
        return sorted(each.get_name() for each in asyncio.all_tasks() if each is not asyncio.current_task())


class Last(_Inspected, name="last", version="1.0.0"):
    """Waits until it is cancelled, and keeps when that was."""

    async def on_start(self) -> None:
        self.begun: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.cancelled: defaultdict[str, asyncio.Future[float]] = defaultdict(asyncio.Future)

    @publish
    def reached(self, token: str) -> Reached:
        """The end of the chain was reached."""
        return Reached(token)

    @api
    async def tell(self, token: str) -> list[Hop]:
        found = seen()
        await self.reached(token)
        return [found]

    @api
    async def hang(self, token: str) -> None:
        self.begun[token].set()
        try:
            await asyncio.sleep(LONG_S)
        except asyncio.CancelledError:
            self.cancelled[token].set_result(time.monotonic())
            raise

    @api
    async def until_begun(self, token: str) -> None:
        await self.begun[token].wait()

    @api
    async def until_cancelled(self, token: str) -> float:
        """When its handler was, by the clock that all processes of this machine share."""
        return await asyncio.shield(self.cancelled[token])

    @api
    async def has_begun(self, token: str) -> bool:
        return token in self.begun and self.begun[token].is_set()


class Third(Service, name="third", version="1.0.0"):
    next = client(Last)

    @api
    async def tell(self, token: str) -> list[Hop]:
        return [seen(), *await self.next.tell(token)]

    @api
    async def hang(self, token: str) -> None:
        await self.next.hang(token)


class Second(_Inspected, name="second", version="1.0.0"):
    next = client(Third)

    async def on_start(self) -> None:
        self.refusals: dict[str, str] = {}

    @api
    async def tell(self, token: str) -> list[Hop]:
        return [seen(), *await self.next.tell.using(metadata={"tenant": "acme"})(token)]

    @api
    async def hang(self, token: str) -> None:
        await self.next.hang(token)

    @api
    async def call_when_it_is_too_late(self, token: str) -> None:
        try:
            await asyncio.sleep(LONG_S)
        except asyncio.CancelledError:
            try:
                await self.next.hang(token)
            except DeadlineExceeded as error:
                self.refusals[token] = error.executed
            raise

    @api
    async def refusal(self, token: str) -> str:
        return self.refusals.get(token, "")


class First(_Inspected, name="first", version="1.0.0"):
    next = client(Second)

    async def on_start(self) -> None:
        self.heard: defaultdict[str, asyncio.Future[Hop]] = defaultdict(asyncio.Future)

    @api
    async def tell(self, token: str) -> list[Hop]:
        return [seen(), *await self.next.tell(token)]

    @api
    async def hang(self, token: str) -> None:
        await self.next.hang(token)

    @api
    async def call_when_it_is_too_late(self, token: str) -> None:
        await self.next.call_when_it_is_too_late(token)

    @subscribe(Last.reached)
    async def on_reached(self, event: Reached) -> None:
        self.heard[event.token].set_result(seen())

    @api
    async def event(self, token: str) -> Hop:
        """What the handler of the event saw."""
        return await asyncio.shield(self.heard[token])
