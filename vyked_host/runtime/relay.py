"""Events from outboxes to the bus: at least once, those of one topic and key in the order of their rows, under the row's id, so that a
bus that knows ids takes each once. A row is forgotten when the bus has its event, and not before."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import VykedError
from ..routing.backoff import Backoff
from ..service.outbox import Outbox, OutboxRow
from ..wire.envelope import unpack
from .lanes import AGAIN, Lanes
from .publisher import Publisher
from .tasks import TaskScope

LOOK_S = 0.5
"""How often an outbox is looked at into which nothing was put here: by another process, or before the last end of this one."""
SOON = Backoff(first=0.005, most=LOOK_S, factor=2.0)
"""After something was put: it is not known when its transaction is committed."""
AnyOutbox = Outbox[Any, Any]


class Relay:
    """Of one outbox."""

    def __init__(self, outbox: AnyOutbox, publisher: Publisher, log: logging.Logger, name: str) -> None:
        self._outbox, self._publisher, self._log, self._name = outbox, publisher, log, name
        self._nudged = asyncio.Event()
        self._is_told = False
        self._loop = asyncio.get_running_loop()
        self._lanes = Lanes(self._loop.time)

    def nudge(self) -> None:
        """Something was put, in any thread."""
        self._loop.call_soon_threadsafe(self._nudged.set)

    async def run(self) -> None:
        """Relay for ever."""
        looks = failures = 0
        while True:
            try:
                sent, _ = await self.once()
            except Exception as error:  # noqa: BLE001 - the author's database, or its outbox; told, and tried again
                self._tell(f"can't be read: {error!r}")
                await asyncio.sleep(AGAIN.delay(failures, 0.5))
                failures += 1
                continue
            failures = 0
            if sent or self._lanes.has_more or await self._nudge_within(SOON.delay(looks, 1.0)):
                looks = 0
            else:
                looks = min(looks + 1, 20)

    async def _nudge_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._nudged.wait()
        except TimeoutError:
            return False
        self._nudged.clear()
        return True

    async def finish(self, within: float) -> bool:
        """Relay what is committed, for so many seconds; False: some of it is still there, and waits for the next start."""
        self._lanes.release()
        try:
            async with asyncio.timeout(within):
                while True:
                    sent, left = await self.once()
                    if not left or not (sent or self._lanes.has_more):
                        return not left
        except TimeoutError:
            return False
        except Exception as error:  # noqa: BLE001 - as in `run`
            self._tell(f"can't be read: {error!r}")
            return False

    async def once(self) -> tuple[int, int]:
        """(how many rows the bus has got, how many of those that were read wait). The first failure is told, and when all goes on
        again. Raises what the author's outbox raises."""
        rows = await self._outbox.waiting(self._lanes.window)
        lanes = self._lanes.due(rows)
        taken = await asyncio.gather(*(self._send(lane) for lane in lanes))
        self._lanes.tried(lanes, map(len, taken))
        sent = [each for lane in taken for each in lane]
        if sent:
            await self._outbox.sent(sent)
        if len(sent) == len(rows):
            self._back()
        return len(sent), len(rows) - len(sent)

    async def _send(self, lane: Sequence[OutboxRow]) -> list[str]:
        """Ids of those that the bus has: all before the first that failed."""
        sent: list[str] = []
        for row in lane:
            try:
                await self._publisher.relay(unpack(row.packed))
            except VykedError as error:
                self._tell(f"{row.id} of {row.topic}, and what follows it, waits: {error}")
                break
            sent.append(row.id)
        return sent

    def _tell(self, what: str) -> None:
        if not self._is_told:
            self._is_told = True
            self._log.error("outbox of %s: %s", self._name, what)

    def _back(self) -> None:
        if self._is_told:
            self._is_told = False
            self._log.info("outbox of %s: all that waited is published", self._name)


class Relays:
    """Those of one service. `spawn` starts a task that ends with the service."""

    def __init__(self, publisher: Publisher, tasks: TaskScope, log: logging.Logger, name: str) -> None:
        self._publisher, self._tasks, self._log, self._name = publisher, tasks, log, name
        self._relays: dict[int, tuple[AnyOutbox, Relay]] = {}
        self._cancel: list[Callable[[], None]] = []
        self._is_started = False

    def add(self, outbox: AnyOutbox) -> None:
        """One more outbox; it is relayed from the start on."""
        if id(outbox) not in self._relays:
            relay = Relay(outbox, self._publisher, self._log, self._name)
            self._relays[id(outbox)] = (outbox, relay)
            if self._is_started:
                self._start(relay)

    def nudge(self, outbox: AnyOutbox) -> None:
        """Something was put into `outbox`, in any thread."""
        found = self._relays.get(id(outbox))
        if found is not None:
            found[1].nudge()

    def knows(self, outbox: AnyOutbox) -> bool:
        """Is `outbox` relayed here?"""
        return id(outbox) in self._relays

    def start(self) -> None:
        """From now on. Idempotent."""
        if not self._is_started:
            self._is_started = True
            for _, relay in self._relays.values():
                self._start(relay)

    def _start(self, relay: Relay) -> None:
        self._cancel.append(self._tasks(relay.run(), f"relaying the outbox of {self._name}"))

    async def finish(self, within: float) -> None:
        """Relay what is committed, for so many seconds, and let go of the databases. What is left waits for the next start."""
        started, self._is_started = self._is_started, False
        for cancel in self._cancel:
            cancel()
        for outbox, relay in self._relays.values():
            if started and not await relay.finish(within):
                self._log.warning("outbox of %s: what is left of it is published after the next start", self._name)
            try:
                await outbox.aclose()
            except Exception:  # noqa: BLE001 - the author's outbox; told
                self._log.exception("outbox of %s: it could not be closed", self._name)
        self._relays.clear()
