"""This node's place in the mesh: announced, with a view of the others, and services that become active by what it shows.

The view follows the registry's watch and nothing else: what the services of this node do with a change never holds up the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from ..contracts import Clock, Registry
from ..errors import StartError, Unavailable, VykedError
from ..model.topology import Address, Change, Generation, NodeRecord
from .activation import Activator
from .announcement import AGAIN, Announcement
from .directory import Directory
from .dispatcher import Dispatcher
from .hosted import Hosted
from .last_known import PAUSE_S, LastKnown
from .links import Link
from .tasks import TaskScope

LATE_S = 0.1
"""A timer comes up to 0.05 s late by itself (`contracts.Clock`): a host whose timer is later still was held up."""


class Membership:
    """One node in one mesh. `first_s`: how long a start waits for the first sight of the others; `start_s`: and for the registry to
    take it in."""

    def __init__(
        self, *, record: NodeRecord, registry: Registry, directory: Directory, dispatcher: Dispatcher,
        hosted: Sequence[Hosted], tasks: TaskScope, clock: Clock, log: logging.Logger, first_s: float, scale: float = 1.0,
        start_s: float = 0.0, last_known: LastKnown | None = None,
    ) -> None:  # fmt: skip
        self._registry, self._directory, self._tasks = registry, directory, tasks
        self._clock, self._log, self._first_s, self._scale = clock, log, first_s, scale
        self._has_services = bool(hosted)
        self._start_s = start_s
        self.announcement = Announcement(record, registry=registry, tasks=tasks, log=log, now=clock.now, scale=scale)
        self._activator = Activator(hosted, dispatcher, log)
        self._cancels: list[Callable[[], None]] = []
        self._cancel_forgetting: Callable[[], None] = _nothing
        self._changed, self._seen = asyncio.Event(), asyncio.Event()
        self._leaving = False
        self._last_known, self._recalled, self._saving = last_known, False, False

    @property
    def record(self) -> NodeRecord:
        """What this node says of itself now."""
        return self.announcement.record

    def generation(self) -> Generation | None:
        """This life of the node, while it is announced."""
        return self.announcement.generation

    def reasons(self) -> dict[str, str]:
        """What -> why it is not all it could be, for ``/-/ready``."""
        trouble = self.announcement.trouble
        return self._activator.reasons() | ({"registry": trouble} if trouble else {})

    @property
    def missing(self) -> dict[str, tuple[str, ...]]:
        """``name/version`` of each service -> required services without an active instance."""
        return self._activator.missing

    # ---- without a registry ------------------------------------------------------------------------------------------
    def recall(self) -> bool:
        """Begin with what was known when this host, or another one of its folder, ran last. False: nothing was."""
        found = self._last_known.load() if self._last_known is not None else {}
        found.pop(self.record.node_id, None)
        self._recalled = bool(found)
        if found:
            self._directory.recall(found)
        return self._recalled

    async def _save(self) -> None:
        """Write down what is known, a moment after it changed."""
        await asyncio.sleep(PAUSE_S * self._scale)
        self._saving = False
        known = dict(self._directory.nodes)  # this node too: the file is read by the other hosts of its folder
        if self._last_known is not None and known.keys() - {self.record.node_id}:
            await self._last_known.save(known.values())

    # ---- joining -----------------------------------------------------------------------------------------------------
    async def join(self, addresses: tuple[Address, ...]) -> None:
        """Announce this node with its services waiting, follow the others, activate what can be. Raises StartError."""
        record = msgspec.structs.replace(self.record, addresses=addresses, instances=self._activator.instances)
        self._directory.set_home(record)
        await self._announce(record)
        await self._judge()
        self._cancels = [self._tasks(self._watch(), "registry watch"), self._tasks(self._judging(), "activation")]
        with contextlib.suppress(TimeoutError):  # a registry that is away: start with what is known, as after its loss
            async with asyncio.timeout(self._first_s):
                await self._seen.wait()

    async def _announce(self, record: NodeRecord) -> None:
        if self._recalled:
            self.announcement.begin_later(record)
            self._seen.set()
            return
        try:
            await self.announcement.begin(record, patience_s=self._start_s)
        except Unavailable as error:
            raise StartError(f"this node could not be announced: {error}") from error

    async def _watch(self) -> None:
        attempt = 0
        while True:
            try:
                async for change in self._registry.watch(None):
                    self._take_in(change)
                    attempt = 0
            except Exception as error:  # noqa: BLE001 - without its watch a node would be blind for ever
                expected = isinstance(
                    error, (VykedError, OSError)
                )  # a defect is told with its traceback, the first time
                told = None if expected or attempt else error
                self._log.error("the watch of the registry failed and is begun again: %r", error, exc_info=told)
            else:
                return  # the registry was closed
            attempt += 1
            await asyncio.sleep(AGAIN.delay(attempt, random.random()) * self._scale)

    def _take_in(self, change: Change) -> None:
        self._let_go(self._directory.apply(change, self._clock.now()))
        self._cancel_forgetting()
        self._forget_at(self._directory.view.forgets_at)
        if self._last_known is not None and not self._saving:
            self._saving = True
            self._tasks(self._save(), "nodes known last")

    def _forget_at(self, due: float | None) -> None:
        self._cancel_forgetting = _nothing if due is None else self._clock.expire(due, partial(self._forget, due))

    def _forget(self, due: float) -> None:
        """The warm-up after a registry that started anew is over, unless this host was held up: what was said meanwhile waits to be
        read, so it gets the time that it lost."""
        now = self._clock.now()
        if now - due > LATE_S:
            self._forget_at(now + min(now - due, self._first_s))
        else:
            self._let_go(self._directory.forget(now))
            self._forget_at(self._directory.view.forgets_at)

    def _let_go(self, links: Sequence[Link]) -> None:
        for link in links:
            self._tasks(link.leave(), "leave link")
        self._changed.set()

    # ---- activation --------------------------------------------------------------------------------------------------
    async def _judging(self) -> None:
        """Whenever the view changed, once for all changes meanwhile."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._judge()
            except Exception:  # noqa: BLE001 - logged; without judging, services would wait for ever
                self._log.exception("judging which services may be active failed")
            self._seen.set()

    async def _judge(self) -> None:
        """What each service of this node may be now."""
        if self._leaving:
            return
        self._activator.judge(self.record, self._directory.nodes)
        instances = self._activator.instances
        if instances != self.record.instances:
            record = msgspec.structs.replace(self.record, instances=instances)
            self._directory.set_home(record)
            await self.announcement.change(record)
        await self._activator.turn()

    # ---- leaving -----------------------------------------------------------------------------------------------------
    async def leave(self) -> None:
        """Withdraw: the others stop routing here at once."""
        self._leaving = True
        self._cancel_forgetting()
        for cancel in self._cancels:
            cancel()
        await self.announcement.withdraw()

    @property
    def is_watched(self) -> bool:
        """Does anybody else route calls here?"""
        return self._has_services and len(self._directory.nodes) > 1


def _nothing() -> None:
    """Nothing to cancel yet."""
