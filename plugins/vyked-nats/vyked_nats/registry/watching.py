"""A watch: `News` of one asker, awaited."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable

from vyked_host.contracts import Change, News


class Inbox:
    """What waits for one watch of `services` (None: of all)."""

    def __init__(self, services: frozenset[str] | None, snapshot: Callable[[], Change | None]) -> None:
        self._changed, self._is_closed = asyncio.Event(), False
        self.news = News(services, snapshot, self._changed.set)

    def look(self) -> None:
        """There may be a snapshot where there was none."""
        self._changed.set()

    def close(self) -> None:
        """The watch ends. Idempotent."""
        self._is_closed = True
        self._changed.set()

    async def next(self) -> Change:
        """The next change. Raises StopAsyncIteration when the watch is over."""
        while not self._is_closed:
            found = self.news.take()
            if found is not None:
                return found
            self._changed.clear()
            await self._changed.wait()
        raise StopAsyncIteration


class Watch(AsyncIterator[Change]):
    """What :meth:`NatsRegistry.watch` gives. A watch that nobody holds any more is over."""

    def __init__(self, inbox: Inbox, close: Callable[[], None]) -> None:
        self._inbox = inbox
        self._ended = weakref.finalize(self, close)
        self._ended.atexit = False

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Change:
        return await self._inbox.next()

    async def aclose(self) -> None:
        """Stop watching. Idempotent."""
        self._ended()
