"""The idempotency keys of one host: what runs under which key here, how it shows that it lives, and where it puts what it gave."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from ..contracts import Clock, Proceed, ResultStore
from ..errors import VykedError
from ..routing.backoff import Backoff
from ..routing.claims import Watch
from .codecs import Codecs
from .once import Once
from .tasks import TaskScope

if TYPE_CHECKING:
    from .routes import Route

BEATS = 4
"""Signs of life within a lease."""
WRITE_AGAIN = Backoff(first=0.1, most=2.0)
WRITES = 20
"""Tries to keep an outcome while the store can't be reached."""


class Keys:
    """`lease_s`: seconds of silence after which a call is taken for dead. `own`: the identity that calls inside this host have;
    `most`: bytes of an outcome that is kept."""

    def __init__(
        self, store: ResultStore, *, codecs: Codecs, clock: Clock, tasks: TaskScope, log: logging.Logger, lease_s: float,
        scale: float, own: Callable[[], str], most: int,
    ) -> None:  # fmt: skip
        self.store, self.codecs, self.clock, self.tasks, self.log = store, codecs, clock, tasks, log
        self.lease_s, self.scale, self.own, self.most = lease_s, min(1.0, scale), own, most
        self.watch = Watch()
        self.here: dict[str, Run] = {}
        """What runs in this process, by key."""
        self._routes: list[Route] = []

    async def open(self) -> None:
        """Open the store; the endpoints say from now on where their results are. Raises StartError."""
        name = await self.store.open()
        for route in self._routes:
            route.endpoint = msgspec.structs.replace(route.endpoint, results=name)

    async def aclose(self) -> None:
        """Close the store, once nothing runs any more. Idempotent."""
        await self.store.aclose()

    def around(self, route: Route, proceed: Proceed) -> Proceed:
        """What runs instead of `proceed`, the handler of `route`: innermost, so that what a middleware refuses is not kept."""
        self._routes.append(route)
        return Once(self, route, proceed).call

    def begin(self, key: str, token: str) -> Run:
        """`token` was granted `key`: from now on it shows that it lives."""
        return Run(self, key, token)


class Run:
    """One call that holds its key, from its begin until the store has what it gave. `over` is done then."""

    def __init__(self, keys: Keys, key: str, token: str) -> None:
        self._keys, self._key, self._token = keys, key, token
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        keys.here[key] = self
        keys.watch.forget(key)
        self._stop_beating = self._next_beat()

    async def end(self, outcome: bytes | None) -> None:
        """Keep `outcome`, or free the key (None). The caller waits for it, but not where the store does not answer."""
        ending = self._keys.tasks.spawn(self._settle(outcome), "result of a keyed call")
        await asyncio.shield(ending)

    def end_beside(self) -> None:
        """Free the key; for a task that is broken off."""
        self._keys.tasks(self._settle(None), "end of a keyed call")

    async def _settle(self, outcome: bytes | None) -> None:
        try:
            held = await self._keys.store.settle(self._key, self._token, outcome)
        except VykedError as error:
            self._keys.log.error("what a call with an idempotency key gave is not kept yet: %s", error)  # noqa: TRY400
            self._keys.tasks(self._settle_later(outcome), "result of a keyed call, again")
            return
        self._settled(held)

    async def _settle_later(self, outcome: bytes | None) -> None:
        try:
            for attempt in range(WRITES):
                await asyncio.sleep(WRITE_AGAIN.delay(attempt, random.random()) * self._keys.scale)
                try:
                    held = await self._keys.store.settle(self._key, self._token, outcome)
                except VykedError as error:
                    self._keys.log.info("still not kept: %s", error)
                else:
                    self._settled(held)
                    return
            self._keys.log.error("what a call with an idempotency key gave could not be kept: its key is free again")
        finally:
            self._leave()

    def _settled(self, held: bool) -> None:
        self._leave()
        if not held:
            self._keys.log.warning(
                "a call with an idempotency key showed no life for %g s ([timing] key_lease): it was taken for dead, and may "
                "have run twice", self._keys.lease_s,
            )  # fmt: skip

    def _leave(self) -> None:
        self._stop_beating()
        if not self.over.done():
            self.over.set_result(None)
        if self._keys.here.get(self._key) is self:
            del self._keys.here[self._key]

    # ---- signs of life -----------------------------------------------------------------------------------------------
    def _next_beat(self) -> Callable[[], None]:
        # not by the clock, which waits a moment where this process was held up: then a sign of life is most wanted
        return asyncio.get_running_loop().call_later(self._keys.lease_s / BEATS, self._beat).cancel

    def _beat(self) -> None:
        self._keys.tasks(self._renew(), "lease of a keyed call")
        self._stop_beating = self._next_beat()

    async def _renew(self) -> None:
        try:
            await self._keys.store.renew(self._key, self._token)
        except VykedError as error:  # the next one may get through; that it came too late is told when it is settled
            self._keys.log.info("a call with an idempotency key could not show that it lives: %s", error)
