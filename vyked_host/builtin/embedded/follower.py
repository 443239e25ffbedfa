"""A watch of the embedded registry over all its terms: streams that end are opened again where they ended, and what was missed
is made good by a snapshot.
"""

from __future__ import annotations

import asyncio
import math
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ...catalog.query import touching
from ...contracts import Change, Doubt
from ...errors import Away, StartError, VykedError
from .desk import RegistryDesk
from .lease import AGAIN
from .messages import Piece
from .mishaps import Mishaps

if TYPE_CHECKING:
    from .registry import EmbeddedRegistry

PATIENCE = 0.5
"""The share of a heartbeat after which what the registry said should have come; heartbeats come a tenth early or late."""
ROOM = 16
"""Changes that wait for a slow reader here; then the registry waits, and later tells it all in one snapshot."""


class Inbox:
    """The changes between a stream and its reader. `position` is the revision that was heard last in `epoch`, `heard` how many
    pieces came in all."""

    def __init__(self, services: frozenset[str] | None) -> None:
        self._services = services
        self._known: frozenset[str] = frozenset()
        self._waiting: deque[Change] = deque()
        self._parts: list[Change] = []
        self._changed, self._room = asyncio.Event(), asyncio.Event()
        self._room.set()
        self.epoch = self.position = self.heard = 0
        self.holder = ""
        self.is_closed = False

    # ---- from the registry -------------------------------------------------------------------------------------------
    async def take(self, piece: Piece, holder: str) -> bool:
        """One more piece of the registry at node `holder`; waits for room. False: something was missed before it."""
        self.heard += 1
        change = piece.change
        if not change.snapshot and (change.epoch != self.epoch or piece.since != self.position):
            return False
        if change.epoch == self.epoch and change.revision < self.position:
            return False  # it was overtaken: what was before is told to nobody
        self._parts.append(change)
        if piece.last:
            whole, self._parts = self._whole(holder), []
            self.epoch, self.position, self.holder = change.epoch, change.revision, holder
            await self._put(whole)
        return True

    def _whole(self, holder: str) -> Change:
        """The parts as one change. Whoever held the hub before and has not come back is down: its connection ended here."""
        first = self._parts[0]
        nodes = tuple(pair for part in self._parts for pair in part.nodes)
        gone = tuple(node_id for part in self._parts for node_id in part.gone)
        doubts: dict[str, Doubt] = {node_id: each for part in self._parts for node_id, each in part.doubts.items()}
        moved = first.snapshot and first.epoch != self.epoch and self.holder not in ("", holder)
        if moved and all(record.node_id != self.holder for _, record in nodes):
            doubts[self.holder] = "down"
        return msgspec.structs.replace(first, nodes=nodes, gone=gone, doubts=doubts)

    async def _put(self, change: Change) -> None:
        visible = self._visible(change)
        if not (visible.snapshot or visible.nodes or visible.gone):
            return
        self._waiting.append(visible)
        self._changed.set()
        if len(self._waiting) >= ROOM:
            self._room.clear()
            await self._room.wait()

    def _visible(self, change: Change) -> Change:
        """`change` without what this watch is not about. A node that drops a watched service is told once more."""
        if self._services is None:
            return change
        known = self._known
        before = frozenset() if change.snapshot else known
        nodes = touching(change, self._services, before)
        gone = tuple(node_id for node_id in change.gone if node_id in known)
        still = {record.node_id for _, record in touching(change, self._services)}
        touched = {record.node_id for _, record in change.nodes} | set(gone)
        self._known = (before - touched) | still
        told = {record.node_id for _, record in nodes} | known
        doubts = {node_id: doubt for node_id, doubt in change.doubts.items() if node_id in told}
        return msgspec.structs.replace(change, nodes=nodes, gone=gone, doubts=doubts)

    def forget(self) -> None:
        """The next stream starts with a snapshot."""
        self.epoch = self.position = 0
        self._parts = []

    def interrupted(self) -> None:
        """The stream ended: half a change is none."""
        self._parts = []

    @property
    def is_full(self) -> bool:
        """Is it the reader who is slow?"""
        return not self._room.is_set()

    # ---- to the reader -----------------------------------------------------------------------------------------------
    async def next(self) -> Change:
        """The next change. Raises StopAsyncIteration when the watch is over."""
        while not self._waiting:
            if self.is_closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        self._room.set()
        return self._waiting.popleft()

    def close(self) -> None:
        """The watch ends after what waits. Idempotent."""
        self.is_closed = True
        self._changed.set()
        self._room.set()


class Said(NamedTuple):
    """Where the registry said it was, and how many pieces its stream had brought when that was heard."""

    at: float
    epoch: int
    revision: int
    heard: int


class Follower:
    """Fills an inbox for as long as the registry is open."""

    def __init__(self, registry: EmbeddedRegistry, services: frozenset[str] | None) -> None:
        self._registry, self.inbox = registry, Inbox(services)
        self.mishaps = Mishaps(registry.log, "the watch of the registry")
        self._said = Said(-math.inf, 0, 0, 0)
        self._cancel = registry.spawn(self._follow(), "registry watch")

    async def _follow(self) -> None:
        attempt = 0
        while not self.inbox.is_closed:
            before = (self.inbox.epoch, self.inbox.position)
            try:
                await self._stream()
            except Away as error:
                self._registry.log.debug("the registry is away: %s", error)
            except StartError as error:
                self._registry.log.error("the registry can't be joined: %s", error)  # noqa: TRY400 - a person's matter
            except VykedError as error:
                self._registry.log.debug("the watch of the registry ended: %s", error)
            except Exception as error:  # noqa: BLE001 - told; it is begun again
                self.mishaps.met(error)
            if before != (self.inbox.epoch, self.inbox.position):
                attempt = 0
            self.inbox.interrupted()
            await asyncio.sleep(AGAIN.spread(attempt, self._registry.chance()) * self._registry.scale)
            attempt += 1

    async def _stream(self) -> None:
        inbox = self.inbox
        term = await self._registry.term()
        async with term.desk(RegistryDesk).watch(inbox.epoch, inbox.position) as pieces:
            async for piece in pieces:
                if not await inbox.take(piece, term.node_id):
                    inbox.forget()
                    return

    def expect(self, epoch: int, revision: int) -> None:
        """The registry says that it is at `revision`. Whose stream brought nothing since it last said so, and not what it said
        then either, has one that leads nowhere: it is opened anew. What was said a moment ago may still be on its way."""
        inbox, before, now = self.inbox, self._said, self._registry.now()
        if now - before.at < self._registry.heartbeat_s * PATIENCE:
            return
        self._said = Said(now, epoch, revision, inbox.heard)
        is_behind = inbox.epoch != epoch or inbox.position < before.revision
        is_silent = before.epoch == epoch and inbox.heard == before.heard
        if is_behind and is_silent and not (inbox.is_closed or inbox.is_full):
            self._cancel()
            inbox.forget()
            self._cancel = self._registry.spawn(self._follow(), "registry watch")

    def close(self) -> None:
        """Stop, after what waits. Idempotent."""
        self._cancel()
        self.inbox.close()


class Watch(AsyncIterator[Change]):
    """What :meth:`EmbeddedRegistry.watch` gives. A watch that nobody holds any more is over."""

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
