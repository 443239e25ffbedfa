"""A watch: changes between the reader of the registry and whoever asked for them. A slow one gets a snapshot instead of what it
missed, so it costs no memory."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable

from ....catalog.news import News
from ....contracts import Change


class Inbox:
    """What waits for one watch of `services` (None: of all). `snapshot` gives all that is known; None: nothing yet."""

    def __init__(self, services: frozenset[str] | None, snapshot: Callable[[], Change | None]) -> None:
        self._changed, self._is_closed = asyncio.Event(), False
        self._news = News(services, snapshot, self._changed.set)
        self.tell, self.begin = self._news.tell, self._news.begin

    def look(self) -> None:
        """There may be a snapshot where there was none."""
        self._changed.set()

    def close(self) -> None:
        """The watch ends after what waits. Idempotent."""
        self._is_closed = True
        self._changed.set()

    async def next(self) -> Change:
        """The next change. Raises StopAsyncIteration when the watch is over."""
        while True:
            self._changed.clear()
            found = self._news.take() if not (self._is_closed and self._news.is_behind) else None
            if found is not None:
                return found
            if self._is_closed:
                raise StopAsyncIteration
            await self._changed.wait()


class Watch(AsyncIterator[Change]):
    """What :meth:`RedisRegistry.watch` gives. A watch that nobody holds any more is over."""

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
