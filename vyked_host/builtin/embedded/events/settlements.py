"""What became of deliveries, on its way to a holder elsewhere: those of one turn of the loop are one call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context as Variables
from functools import partial
from typing import NamedTuple, Protocol

from ....contracts import Environment, Verdict
from ....errors import CallError, Unavailable
from ....routing.backoff import Backoff
from ..mishaps import Mishaps
from .entry import nothing
from .inbox import GroupDelivery
from .inquiries import Moving
from .letters import BATCH_BYTES, Settlement

MOST = 1000
"""Settlements in one call, where they fit in a batch."""
LIGHT = 64
"""What a settlement weighs beside its id and its cause."""
_PAUSE = Backoff(first=0.02, most=1.0)


class Settles(Protocol):
    """The desk of a holder, seen from here. `born`: this node's session there."""

    born: int

    async def settle(self, settlements: list[Settlement]) -> None:
        """Tell it. Raises CallError, Moving."""


class _Said(NamedTuple):
    """One verdict that nobody has confirmed yet."""

    delivery: GroupDelivery
    verdict: Verdict
    until: float
    told: asyncio.Future[None]


class Settlements:
    """The verdicts of one node. Each is told until it is confirmed, for the ack wait at most: after that the event comes
    again anyway."""

    def __init__(self, env: Environment, ack_wait_s: float) -> None:
        self._env, self._ack_wait_s = env, ack_wait_s
        self._waiting: deque[_Said] = deque()
        self._is_busy = False
        self._holder: Settles | None = None
        self._cancel_expiry: Callable[[], None] = nothing
        self.mishaps = Mishaps(env.log, "settling events")
        self.held: dict[tuple[int, int], GroupDelivery] = {}

    def tokens(self, born: int) -> list[int]:
        """Deliveries of the session `born` that are not settled for sure."""
        return [token for session, token in self.held if session == born]

    def hold(self, delivery: GroupDelivery) -> None:
        """A delivery came."""
        self.held[delivery.born, delivery.token] = delivery

    def settle(self, delivery: GroupDelivery, verdict: Verdict) -> Awaitable[None]:
        """Tell what became of `delivery`. The awaitable raises Unavailable."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Said(delivery, verdict, self._env.clock.now() + self._ack_wait_s, told))
        if len(self._waiting) == 1:
            self._expire_later()
        self._start()
        return told

    def resume(self, holder: Settles) -> None:
        """Tell this holder from now on."""
        self._holder = holder
        self._start()

    def stop(self) -> None:
        """There is no holder for now."""
        self._holder = None

    def empty_into(self, settle: Callable[[GroupDelivery, Verdict], Awaitable[None]]) -> None:
        """The holder is here: it is told all that waits."""
        self._holder = None
        waiting, self._waiting = self._waiting, deque()
        self._cancel_expiry()
        self.held.clear()
        for each in waiting:
            settle(each.delivery, each.verdict)
            if not each.told.done():
                each.told.set_result(None)

    def _start(self) -> None:
        if self._waiting and self._holder is not None and not self._is_busy:
            self._is_busy = True
            Variables().run(self._env.tasks, self._tell(self._holder), "settling events")

    async def _tell(self, holder: Settles) -> None:
        failures = 0
        try:
            await asyncio.sleep(0)  # what else this turn of the loop settles
            while self._waiting and self._holder is holder:
                try:
                    await self._tell_some(holder)
                    failures = 0
                except Moving:
                    self._holder = None  # the next one is told
                except CallError as error:
                    failures += 1
                    self._give_up(f"{error}")
                    await asyncio.sleep(self._pause(failures))
                except Exception as error:  # noqa: BLE001 - told; what waits is told again, until it is too old
                    failures += 1
                    self.mishaps.met(error)
                    await asyncio.sleep(self._pause(failures))
        finally:
            self._is_busy = False
            if self._holder is not holder:
                self._start()

    def _pause(self, failures: int) -> float:
        """Short beside the ack wait, also where [timing] scale makes that one short."""
        return _PAUSE.delay(failures, self._env.rng.random()) * min(1.0, self._env.timing.scale)

    async def _tell_some(self, holder: Settles) -> None:
        some = self._batch()
        await holder.settle([_settlement(each, holder.born) for each in some])
        for each in some:
            if self._waiting and self._waiting[0] is each:  # unless somebody else was told meanwhile
                self._waiting.popleft()
            if each.verdict.action != "extend":
                self.held.pop((each.delivery.born, each.delivery.token), None)
            if not each.told.done():
                each.told.set_result(None)

    def _batch(self) -> list[_Said]:
        """What comes next: as much as fits in a batch, or one."""
        some: list[_Said] = []
        size = 0
        for each in self._waiting:
            size += LIGHT + len(each.delivery.event.id) + len(each.verdict.cause)
            if some and (size > BATCH_BYTES or len(some) == MOST):
                break
            some.append(each)
        return some

    def _expire_later(self) -> None:
        """The first is the oldest: all wait equally long."""
        self._cancel_expiry()
        self._cancel_expiry = nothing
        if self._waiting:
            why = "the event bus has no holder, or it does not answer"
            self._cancel_expiry = self._env.clock.expire(self._waiting[0].until, partial(self._give_up, why))

    def _give_up(self, why: str) -> None:
        """Those that are too old are told nobody."""
        now = self._env.clock.now()
        while self._waiting and self._waiting[0].until <= now:
            late = self._waiting.popleft()
            self.held.pop((late.delivery.born, late.delivery.token), None)
            if not late.told.done():
                late.told.set_exception(Unavailable(f"nobody could be told: {why}", executed="unknown"))
        self._expire_later()

    async def flush(self, within: float) -> None:
        """Wait until all are told, for so many seconds."""
        if self._waiting:
            await asyncio.wait([each.told for each in self._waiting], timeout=within)

    def close(self) -> None:
        """Nobody is told any more."""
        self._holder = None
        self._cancel_expiry()
        for each in self._waiting:
            if not each.told.done():
                each.told.set_exception(Unavailable("the event bus was closed", executed="unknown"))
        self._waiting.clear()
        self.held.clear()


def _settlement(each: _Said, born: int) -> Settlement:
    delivery, verdict = each.delivery, each.verdict
    token = delivery.token if delivery.born == born else 0
    return Settlement(token, delivery.index, delivery.event.id, verdict.action, verdict.seconds, verdict.cause)
