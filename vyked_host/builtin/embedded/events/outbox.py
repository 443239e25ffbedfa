"""Events on their way to a holder elsewhere: one lane a topic, in order, one call at a time each.

What is published in one turn of the loop is one call; what comes while that is under way is the next. An event whose
outcome is not known is sent again under its id, to this holder or the next, until its publisher's deadline.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context as Variables
from typing import Protocol

from ....contracts import Environment
from ....errors import RULES, CallError, DeadlineExceeded, Executed, Overloaded, Unavailable
from ....routing.backoff import Backoff
from ..mishaps import Mishaps
from .admission import RETRY_AFTER_S, WAITING_SHARE, follow
from .inquiries import Moving
from .letters import BATCH_BYTES, Letter, Refusal, Taken
from .parcel import Parcel, Topic

GRACE_S = 0.5
"""An event that is under way when its deadline has passed gets so long to be answered, from when that is seen: who was held up
until after its deadline hears what the holder says all the same."""
_PAUSE = Backoff(first=0.02, most=1.0)
_FOR_GOOD = {
    "NOT_FOUND",
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
    "INVALID_ARGUMENT",
    "NOT_SUPPORTED",
    "VERSION_MISMATCH",
}


class Publishes(Protocol):
    """The desk of a holder, seen from here."""

    async def publish(self, letters: list[Letter], within: float) -> Taken:
        """Hand over events. Raises CallError, Moving."""
        ...


class _Waiting:
    """One event that is not accepted yet."""

    __slots__ = ("accepted", "cancel_deadline", "deadline", "is_gone", "is_late", "parcel", "sent")

    def __init__(self, parcel: Parcel, deadline: float, accepted: asyncio.Future[None]) -> None:
        self.parcel, self.deadline, self.accepted = parcel, deadline, accepted
        self.sent = self.is_gone = self.is_late = False
        self.cancel_deadline: Callable[[], None]


class _Lane:
    """What waits for one topic."""

    def __init__(self) -> None:
        self.waiting: deque[_Waiting] = deque()
        self.is_busy = False


class Outbox:
    """The lanes of one node. `why` says why there is no holder."""

    def __init__(self, env: Environment, memory: int, why: Callable[[], str]) -> None:
        self._env, self._clock, self._most, self._why = env, env.clock, memory // WAITING_SHARE, why
        self._lanes: dict[Topic, _Lane] = {}
        self._bytes = 0
        self._holder: Publishes | None = None
        self._due: dict[Topic, _Lane] = {}
        self.mishaps = Mishaps(env.log, "publishing events")

    def publish(self, parcel: Parcel, deadline: float) -> Awaitable[None]:
        """Take `parcel` until it is accepted. Raises Overloaded, Unavailable, DeadlineExceeded."""
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._bytes + parcel.cost > self._most:
            text = f"{parcel.topic}: {self._bytes} bytes of events wait to be accepted"
            accepted.set_exception(Overloaded(text, executed="not_sent", retry_after=RETRY_AFTER_S))
            return accepted
        waiting = _Waiting(parcel, deadline, accepted)
        waiting.cancel_deadline = self._clock.expire(deadline, lambda: self._late(waiting))
        self._bytes += parcel.cost
        lane = self._lanes.setdefault(parcel.topic, _Lane())
        lane.waiting.append(waiting)
        if self._holder is not None and not lane.is_busy:
            self._start_soon(parcel.topic, lane)
        return accepted

    def _late(self, waiting: _Waiting) -> None:
        if waiting.accepted.done():
            return
        if not waiting.sent:
            waiting.accepted.set_exception(self._unsent(waiting.parcel))
        elif not waiting.is_late:
            waiting.is_late = True
            waiting.cancel_deadline = self._clock.expire(self._clock.now() + GRACE_S, lambda: self._late(waiting))
        else:
            text = f"event {waiting.parcel.event.id} of {waiting.parcel.topic}: the holder of the hub did not answer"
            waiting.accepted.set_exception(DeadlineExceeded(text, executed="unknown"))

    def _unsent(self, parcel: Parcel) -> CallError:
        what = f"event {parcel.event.id} of {parcel.topic}"
        if self._holder is None:
            return Unavailable(f"{what}: {self._why()}", executed="not_sent")
        text = f"{what}: those before it still wait for the bus to have room"
        return Overloaded(text, executed="not_sent", retry_after=RETRY_AFTER_S)

    # ---- holders come and go -----------------------------------------------------------------------------------------
    def resume(self, holder: Publishes) -> None:
        """Send to this holder from now on, what waits first."""
        self._holder = holder
        for topic, lane in self._lanes.items():
            if lane.waiting and not lane.is_busy:
                self._start_soon(topic, lane)

    def stop(self) -> None:
        """There is no holder for now."""
        self._holder = None

    def empty_into(self, accept: Callable[[Parcel, float], Awaitable[None]]) -> None:
        """The holder is here: it takes all that waits, in order."""
        self._holder = None
        lanes, self._lanes = self._lanes, {}
        for lane in lanes.values():
            for waiting in lane.waiting:
                if not waiting.accepted.done():
                    follow(accept(waiting.parcel, waiting.deadline), waiting.accepted)
                self._let_go(waiting)
            lane.waiting.clear()

    async def flush(self, within: float) -> None:
        """Wait until nothing waits, for so many seconds."""
        left = [each.accepted for lane in self._lanes.values() for each in lane.waiting if not each.accepted.done()]
        if left:
            await asyncio.wait(left, timeout=within)

    def close(self) -> None:
        """What waits is refused."""
        for lane in self._lanes.values():
            for waiting in lane.waiting:
                waiting.cancel_deadline()
                if not waiting.accepted.done():
                    text = f"event {waiting.parcel.event.id} of {waiting.parcel.topic}: the event bus was closed"
                    executed: Executed = "unknown" if waiting.sent else "not_sent"
                    waiting.accepted.set_exception(Unavailable(text, executed=executed))
        self._lanes.clear()

    # ---- one lane ----------------------------------------------------------------------------------------------------
    def _start_soon(self, topic: Topic, lane: _Lane) -> None:
        if not self._due:
            asyncio.get_running_loop().call_soon(self._start)
        self._due[topic] = lane

    def _start(self) -> None:
        due, self._due = self._due, {}
        for topic, lane in due.items():
            if self._holder is not None and lane.waiting and not lane.is_busy:
                lane.is_busy = True
                # in a context of its own: what publishes here has a deadline, and other events have others
                Variables().run(self._env.tasks, self._send(topic, lane, self._holder), f"publishing {topic}")

    async def _send(self, topic: Topic, lane: _Lane, holder: Publishes) -> None:
        failures = 0
        try:
            while self._holder is holder and (batch := self._batch(lane)):
                again = await self._hand_over(lane, batch, holder)
                failures = failures + 1 if again else 0
                if again:
                    await asyncio.sleep(_PAUSE.delay(failures, self._env.rng.random()))
        finally:
            lane.is_busy = False
            if lane.waiting and self._holder is not None and self._holder is not holder:
                self._start_soon(topic, lane)

    async def _hand_over(self, lane: _Lane, batch: list[_Waiting], holder: Publishes) -> bool:
        """One call; True: try again after a pause."""
        now = self._clock.now()
        letters = [Letter(each.parcel.packed, max(0.0, each.deadline - now)) for each in batch]
        for each in batch:
            each.sent = True
        try:
            taken = await holder.publish(letters, max(each.within for each in letters) + GRACE_S)
        except Moving:
            if self._holder is holder:
                self._holder = None  # until the next one
            return False
        except CallError as error:
            if error.code not in _FOR_GOOD:
                return True
            taken = Taken(0, Refusal(error.code, str(error)))
        except Exception as error:  # noqa: BLE001 - told; what waits is sent again, until its publisher's deadline
            self.mishaps.met(error)
            return True
        return self._taken(lane, batch, taken)

    def _taken(self, lane: _Lane, batch: list[_Waiting], taken: Taken) -> bool:
        for each in batch[: taken.accepted]:
            if not each.accepted.done():
                each.accepted.set_result(None)
            self._remove(lane, each)
        refused = taken.refused
        if refused is None or taken.accepted >= len(batch):
            return False
        first = batch[taken.accepted]
        if refused.again and self._clock.now() < first.deadline:
            return True
        if not first.accepted.done():
            error = RULES[refused.code].error
            first.accepted.set_exception(error(refused.text, executed="not_executed", retry_after=refused.retry_after))
        self._remove(lane, first)
        return False

    def _batch(self, lane: _Lane) -> list[_Waiting]:
        """What comes next in a lane. Whoever waits no longer is left out."""
        batch: list[_Waiting] = []
        size, over = 0, []
        for each in lane.waiting:
            if each.accepted.done():
                over.append(each)
                continue
            size += len(each.parcel.packed)
            if batch and size > BATCH_BYTES:
                break
            batch.append(each)
        for each in over:
            self._remove(lane, each)
        return batch

    def _remove(self, lane: _Lane, each: _Waiting) -> None:
        if not each.is_gone:
            self._let_go(each)
            lane.waiting.remove(each)  # it is the first, or near it

    def _let_go(self, each: _Waiting) -> None:
        each.is_gone = True
        each.cancel_deadline()
        self._bytes -= each.parcel.cost
