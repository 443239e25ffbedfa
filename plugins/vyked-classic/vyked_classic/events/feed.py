"""Events that come in. One connection; after each loss everything is subscribed again, and every handler is told with its next
delivery that it missed an unknown number."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from vyked_host.contracts import Backoff, Environment

from .channels import Channel, channel
from .server import FAULTS, opened, place

AGAIN = Backoff(first=0.1, most=10.0, factor=1.6)
LOOK_S = 0.05
SILENT_LOOKS = 5
Heard = Callable[[Channel, bytes], None]


class Feed:
    """`listen` begins; `heard` gets each message of the patterns, `missed` is called when some may have been lost. A name without a star
    is that of a channel: it is subscribed to, for others to see, and what comes there is left alone."""

    def __init__(self, url: str, env: Environment, heard: Heard, missed: Callable[[], None]) -> None:
        self._url, self._env, self._heard, self._missed = url, env, heard, missed
        self._wanted: dict[str, int] = {}
        self._confirmed: dict[str, asyncio.Event] = {}
        self._changed, self._ended = asyncio.Event(), asyncio.Event()
        self._cancel: Callable[[], None] | None = None
        self._heard_at = 0.0
        self.away = "not connected yet"

    def want(self, patterns: Iterable[str]) -> None:
        """Subscribe to these as soon as the server can be reached."""
        for each in patterns:
            self._wanted[each] = self._wanted.get(each, 0) + 1
            self._confirmed.setdefault(each, asyncio.Event())
        self._changed.set()
        if self._cancel is None and self._wanted:
            self._cancel = self._env.tasks(self._keep(), "old events, listening")

    async def listen(self, patterns: Iterable[str], within: float) -> None:
        """Subscribe, and wait until the server has. Raises TimeoutError; what was asked for stays wanted."""
        added = list(patterns)
        self.want(added)
        async with asyncio.timeout(within):
            for each in added:
                await self._confirmed[each].wait()

    def leave(self, patterns: Iterable[str]) -> None:
        """Somebody does not want these any more."""
        for each in patterns:
            left = self._wanted.get(each, 0) - 1
            if left > 0:
                self._wanted[each] = left
            elif each in self._wanted:
                del self._wanted[each], self._confirmed[each]
                self._changed.set()

    async def aclose(self) -> None:
        """Listen to nothing any more."""
        if self._cancel is not None:
            self._cancel()
            self._cancel = None
            await self._ended.wait()

    async def _keep(self) -> None:
        try:
            await self._connect_again_and_again()
        finally:
            self._ended.set()

    async def _connect_again_and_again(self) -> None:
        attempt = 0
        while True:
            try:
                async with opened(self._url, self._env) as client, client.pubsub() as heard:
                    await heard.ping()
                    attempt = 0
                    await self._serve(heard)
            except FAULTS as error:
                self._lost(f"{place(self._url)}: {error or type(error).__name__}")
            await asyncio.sleep(AGAIN.delay(attempt, self._env.rng.random()) * min(1.0, self._env.timing.scale))
            attempt += 1

    def _lost(self, why: str) -> None:
        if why != self.away:
            self._env.log.warning("old events do not come in: %s; trying again", why)
        self.away = why
        for each in self._confirmed.values():
            each.clear()
        self._missed()

    async def _serve(self, heard: Any) -> None:
        """Until the connection is lost: subscribe to what is wanted, and read. redis-py reads and writes in one task, so what is
        wanted is looked at between two short waits."""
        done: set[str] = set()
        self._changed.set()
        timing, now = self._env.timing, self._env.clock.now
        pinged = self._heard_at = now()
        silent = 0
        while True:
            if self._changed.is_set():
                self._changed.clear()
                await self._reconcile(heard, done)
            message = await heard.get_message(timeout=LOOK_S)
            while message is not None:
                self._heard_at = now()
                self._take(message)
                message = await heard.get_message(timeout=0)
            if done and now() - pinged > timing.ping:
                pinged = now()
                await heard.ping()
            # several looks: where this loop was held up, the answer may be there, unread
            silent = silent + 1 if done and now() - self._heard_at > timing.ping + timing.pong else 0
            if silent > SILENT_LOOKS:
                raise TimeoutError("the server does not answer")

    async def _reconcile(self, heard: Any, done: set[str]) -> None:
        wanted = set(self._wanted)
        new, old = wanted - done, done - wanted
        for names, by_pattern, by_name in (
            (new, heard.psubscribe, heard.subscribe), (old, heard.punsubscribe, heard.unsubscribe),
        ):  # fmt: skip
            patterns = {each for each in names if "*" in each}
            if patterns:
                await by_pattern(*patterns)
            if names - patterns:
                await by_name(*names - patterns)
        done |= new
        done -= old

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind in ("psubscribe", "subscribe"):
            confirmed = self._confirmed.get(message["channel"].decode())
            if confirmed is not None:
                self.away = ""
                confirmed.set()
        elif kind == "pmessage":
            found = channel(message["channel"].decode("utf-8", "replace"))
            if found is not None:
                self._heard(found, message["data"])
