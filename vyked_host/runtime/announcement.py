"""This node in the registry: announced once for each registry that there is, kept up to date, withdrawn at the end.

A lease that is lost is announced again after a short random pause, so that many nodes don't come at once, and with growing pauses
where that fails. But for one case: when another process announced the same node id, this one stays away. To answer in kind would
be a fight that never ends; whoever gave two hosts one id has to hear of it.

What is being said to the registry is never cut short: it may have been heard already, and only the answer says what to take back.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from ..contracts import Anew, Lease, Registry, Taken
from ..errors import Unavailable, VykedError
from ..model.topology import Generation, NodeRecord
from ..routing.backoff import Backoff
from .tasks import TaskScope

AGAIN = Backoff(first=0.1, most=10.0, factor=1.6)


class Announcement:
    """What the registry is told of this node. `trouble` says why it is not known there, for good; empty: it is, or will be."""

    def __init__(
        self, record: NodeRecord, *, registry: Registry, tasks: TaskScope, log: logging.Logger, now: Callable[[], float], scale: float
    ) -> None:  # fmt: skip
        self.record, self._now = record, now
        self._registry, self._tasks, self._log, self._scale = registry, tasks, log, min(1.0, scale)
        self._told: NodeRecord | None = None
        self._lease: Lease | None = None
        self._cancels: list[Callable[[], None]] = []
        self._saying: asyncio.Task[Lease] | None = None
        self._retelling = False
        self.trouble = ""

    @property
    def generation(self) -> Generation | None:
        """This life of the node, while it is announced."""
        return self._lease.generation if self._lease is not None else None

    async def begin(self, record: NodeRecord, *, patience_s: float = 0.0) -> None:
        """The first word; again for so long where nobody answers in time, as while the registry changes hands on a slow machine.
        Raises errors.Unavailable, StartError when it can't be said."""
        self.record = record
        until, attempt = self._now() + patience_s, 0
        while self._lease is None:
            try:
                await self._announce()
            except Unavailable as error:
                if error.executed == "not_executed" or self._now() >= until:
                    raise
                self._log.warning("this node could not be announced yet: %s", error)
                await asyncio.sleep(AGAIN.spread(attempt, random.random()) * self._scale)
                attempt += 1
        self._cancels.append(self._tasks(self._keep(), "announcement"))

    def begin_later(self, record: NodeRecord) -> None:
        """The first word, as soon as the registry can be reached."""
        self.record = record
        self._cancels.append(self._tasks(self._keep(), "announcement"))

    async def change(self, record: NodeRecord) -> None:
        """The record changed: told now if that can be done, else as soon as it can."""
        self.record = record
        if self._lease is not None:
            await self._tell(self._lease)

    async def withdraw(self) -> None:
        """Leave: the others stop routing here at once. Idempotent."""
        for cancel in self._cancels:
            cancel()
        if self._saying is not None:
            await asyncio.wait({self._saying})
        lease, self._lease = self._lease, None
        if lease is not None:
            try:
                await lease.withdraw()
            except VykedError as error:
                self._log.warning("could not withdraw from the registry: %s", error)

    # ---- staying announced -------------------------------------------------------------------------------------------
    async def _announce(self) -> None:
        record = self.record
        self._saying = self._tasks.spawn(self._say(record), "announcement to the registry")
        lease = await asyncio.shield(self._saying)
        if self.record != record:
            await self._tell(lease)

    async def _say(self, record: NodeRecord) -> Lease:
        self._lease = lease = await self._registry.announce(record)
        self._told = record
        return lease

    async def _keep(self) -> None:
        while True:
            if self._lease is None:
                await self._announce_again()
            lease = self._lease
            if lease is None:
                return
            await asyncio.wait({lease.lost})
            self._lease = None
            reason = lease.lost.result()
            if isinstance(reason, Taken):
                self.trouble = f"another process has this node id ({reason}): nobody is told of this one"
                self._log.error("%s. Give each host an id of its own, or leave it out", self.trouble)
                return
            level = logging.INFO if isinstance(reason, Anew) else logging.WARNING
            self._log.log(level, "the lease of this node is lost (%s): announcing again", reason)

    async def _announce_again(self) -> None:
        attempt = 0
        while self._lease is None:
            await asyncio.sleep(AGAIN.spread(attempt, random.random()) * self._scale)
            try:
                await self._announce()
            except VykedError as error:
                self._log.warning("this node could not be announced: %s", error)
            attempt += 1

    async def _tell(self, lease: Lease) -> None:
        record = self.record
        try:
            await lease.update(record)
        except VykedError as error:
            self._log.warning("the registry could not be told of a change yet: %s", error)
            if not self._retelling:
                self._retelling = True
                self._cancels.append(self._tasks(self._tell_later(), "announcement of a change"))
        else:
            self._told = record

    async def _tell_later(self) -> None:
        attempt = 0
        while self._told != self.record:
            await asyncio.sleep(AGAIN.spread(attempt, random.random()) * self._scale)
            attempt += 1
            if self._lease is not None and not self._lease.lost.done():
                await self._tell(self._lease)
        self._retelling = False
