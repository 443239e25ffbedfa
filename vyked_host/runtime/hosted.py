"""One service of this host through its life: on_start, on_active, on_inactive, on_stop; its periodic and background work.

`@every` and `@background` run from activation to drain. A failure in them is logged and counted and ends nothing; a
background task that ends by an exception is started again with backoff.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from ..errors import StartError, UsageError
from ..model.description import EventDescription, Periodic, ServiceDescription
from ..model.version import parse
from ..routing.backoff import Backoff
from ..service.binding import work
from ..service.context import CURRENT, inherited_context
from ..service.endpoints import Publish
from ..service.outbox import OutboxRow
from ..wire.envelope import pack
from .publisher import Publisher
from .relay import Relays
from .tasks import TaskScope

T = TypeVar("T")
_RESTART = Backoff(first=1.0, most=30.0)


class Attached:
    """`service.base.Attachment`: what the instance reaches of its host."""

    def __init__(
        self, *, log: logging.LoggerAdapter[logging.Logger], options: Any, clients: Mapping[str, Any], tasks: TaskScope,
        publisher: Publisher, relays: Relays,
    ) -> None:  # fmt: skip
        self.log, self.options, self.clients = log, options, clients
        self._tasks, self._publisher, self._relays = tasks, publisher, relays

    def spawn(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Run `work` beside the service, cancelled when it stops. It keeps the context of the call that starts it, but not
        its deadline: it may outlive the call."""
        outer = inherited_context(None)
        if outer is None:
            return self._tasks.spawn(work, name)
        token = CURRENT.set(outer.without_end())
        try:
            return self._tasks.spawn(work, name)
        finally:
            CURRENT.reset(token)

    def publisher(self, event: EventDescription) -> Publish:
        """What hands payloads of `event` to the bus."""
        return self._publisher.of(event)

    def relay(self, outbox: Any) -> None:
        """Publish what is committed to `outbox`, from the service's activation on."""
        self._relays.add(outbox)

    def row(
        self, event: EventDescription, payload: Any, *, key: str | None, id: str | None, delay: float | None,
        not_before: float | None,
    ) -> OutboxRow:  # fmt: skip
        """An event as the row of an outbox."""
        message = self._publisher.of(event).message(payload, key, id, delay, not_before)
        message = msgspec.structs.replace(message, named=True)  # relayed twice, it goes out once
        topic = f"{event.service}.{event.name}@{parse(event.version).major}"
        return OutboxRow(id=message.id, topic=topic, key=key, packed=pack(message))

    def put(self, outbox: Any, transaction: Any, row: OutboxRow) -> Any:
        """Write `row`; the relay looks soon. Raises UsageError when nobody relays `outbox`."""
        if not self._relays.knows(outbox):
            raise UsageError(
                "nobody relays this outbox: in on_start write self.outbox = self.relay(SqliteOutbox(path))"
            )
        found = outbox.put(transaction, row)
        self._relays.nudge(outbox)
        return found


class Hosted:
    """A service instance and its life."""

    def __init__(
        self, description: ServiceDescription, instance: Any, tasks: TaskScope, log: logging.Logger, *,
        start_s: float, stop_s: float, relays: Relays,
    ) -> None:  # fmt: skip
        self._relays = relays
        self.description, self.instance, self.tasks = description, instance, tasks
        self._log, self._start_s, self._stop_s = log, start_s, stop_s
        self.failures = 0
        self.was_active = False
        self.since = asyncio.get_running_loop().time()
        self._started = False
        self._work: list[Callable[[], None]] = []

    @property
    def name(self) -> str:
        """The service's name here."""
        return self.description.name

    async def start(self) -> None:
        """on_start, before anything is served. Raises StartError naming the service."""
        self._started = True
        try:
            async with asyncio.timeout(self._start_s):
                await self._call("on_start")
        except TimeoutError as error:
            raise StartError(f"{self.name}.on_start took over {self._start_s:g} s ([timing] start)") from error
        except Exception as error:
            raise StartError(f"{self.name}.on_start failed: {error!r}") from error

    async def activate(self) -> None:
        """Every required dependency is there."""
        if not self.was_active:
            self.was_active, self.since = True, asyncio.get_running_loop().time()
        await self._guarded("on_active", limit_s=self._start_s)
        self._relays.start()
        if not self._work:
            self._work = [
                self.tasks(self._periodic(each), f"every {self.name}.{each.handler}")
                for each in self.description.periodic
            ]
            self._work += [
                self.tasks(self._background(each), f"background {self.name}.{each}")
                for each in self.description.background
            ]

    async def deactivate(self, missing: Sequence[str]) -> None:
        """A required dependency is gone."""
        await self._guarded("on_inactive", list(missing), limit_s=self._stop_s)

    def rest(self) -> None:
        """Drain began: periodic and background work ends first."""
        for cancel in self._work:
            cancel()
        self._work = []

    async def stop(self) -> list[str]:
        """on_stop, after the last handler has finished; then what the service spawned is cancelled. The answer names what
        did not end in time."""
        left: list[str] = []
        if self._started:
            self._started = False
            if not await self._guarded("on_stop", limit_s=self._stop_s):
                left.append(f"{self.name}.on_stop")
            await self._relays.finish(self._stop_s)
        return left + await self.tasks.cancel()

    async def health(self) -> str | None:
        """None: well; else what is wrong."""
        check = getattr(self.instance, "health", None)
        if check is None:
            return None
        found = check()
        found = await found if inspect.isawaitable(found) else found
        return None if found is None or found is True else str(found)

    async def _call(self, method: str, *arguments: Any) -> None:
        body = getattr(self.instance, method, None)
        if body is not None:
            found = body(*arguments)
            if found is not None:
                await found

    async def _guarded(self, method: str, *arguments: Any, limit_s: float) -> bool:
        """False: it did not end in time."""
        try:
            async with asyncio.timeout(limit_s) as limit:
                await self._call(method, *arguments)
        except Exception as error:  # noqa: BLE001 - logged and counted; one hook's failure ends no service
            self.failures += 1
            if limit.expired():
                self._log.error("%s.%s took over %g s ([timing])", self.name, method, limit_s)
                return False
            self._log.error("%s.%s failed", self.name, method, exc_info=error)
        return True

    async def _periodic(self, each: Periodic) -> None:
        first, body = each.at_start, work(self.instance, each.handler)
        while True:
            if not first:
                await asyncio.sleep(each.seconds * (1 + each.jitter * (2 * random.random() - 1)))
            first = False
            await self._tick(body, each.handler)

    async def _tick(self, body: Callable[[], Awaitable[None]], name: str) -> None:
        try:
            await body()
        except Exception:  # noqa: BLE001 - logged and counted; the next one comes all the same
            self.failures += 1
            self._log.exception("%s.%s failed", self.name, name)

    async def _background(self, handler: str) -> None:
        attempt = 0
        while True:
            try:
                await work(self.instance, handler)()
            except Exception:  # noqa: BLE001 - logged and counted, then started again
                self.failures += 1
                self._log.exception("%s.%s ended; it is started again", self.name, handler)
            else:
                return
            attempt += 1
            await asyncio.sleep(_RESTART.delay(attempt, random.random()))
