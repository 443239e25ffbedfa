"""A watch: changes between the reader of the registry and whoever asked for them. A slow one gets a snapshot instead of what it
missed, so it costs no memory."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable

import msgspec

from ....catalog.query import touching
from ....contracts import Change, Doubt

BEHIND = 64
"""Changes that wait for one watch; with more it gets a snapshot."""


class Inbox:
    """What waits for one watch of `services` (None: of all). `snapshot` gives all that is known; None: nothing yet."""

    def __init__(self, services: frozenset[str] | None, snapshot: Callable[[], Change | None]) -> None:
        self._services, self._snapshot = services, snapshot
        self._known: frozenset[str] = frozenset()
        self._waiting: deque[Change] = deque()
        self._is_behind, self._is_closed = True, False
        self._changed = asyncio.Event()

    # ---- from the registry -------------------------------------------------------------------------------------------
    def tell(self, change: Change) -> None:
        """One more change; never blocks."""
        if not self._is_behind:
            self._waiting.append(change)
            if len(self._waiting) > BEHIND:
                self.begin()
        self._changed.set()

    def begin(self) -> None:
        """What comes next is a snapshot."""
        self._waiting.clear()
        self._is_behind = True
        self._changed.set()

    def look(self) -> None:
        """There may be a snapshot where there was none."""
        if self._is_behind:
            self._changed.set()

    def close(self) -> None:
        """The watch ends after what waits. Idempotent."""
        self._is_closed = True
        self._changed.set()

    # ---- to whoever watches ------------------------------------------------------------------------------------------
    async def next(self) -> Change:
        """The next change. Raises StopAsyncIteration when the watch is over."""
        while True:
            found = self._next()
            if found is not None:
                return found
            if self._is_closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()

    def _next(self) -> Change | None:
        if self._is_behind:
            whole = None if self._is_closed else self._snapshot()
            if whole is None:
                return None
            self._is_behind = False
            return self._visible(whole)
        while self._waiting:
            change = self._visible(self._waiting.popleft())
            if change.nodes or change.gone:
                return change
        return None

    def _visible(self, change: Change) -> Change:
        """`change` without what this watch is not about. A node that drops a watched service is told once more."""
        if self._services is None:
            return change
        before = frozenset() if change.snapshot else self._known
        nodes = touching(change, self._services, before)
        gone = tuple(node_id for node_id in change.gone if node_id in before)
        still = {record.node_id for _, record in touching(change, self._services)}
        touched = {record.node_id for _, record in change.nodes} | set(gone)
        self._known = (before - touched) | still
        told = {record.node_id for _, record in nodes}
        doubts: dict[str, Doubt] = {node_id: doubt for node_id, doubt in change.doubts.items() if node_id in told}
        return msgspec.structs.replace(change, nodes=nodes, gone=gone, doubts=doubts)


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
