"""Whether a call is begun now: the loop was not blocked, there is a place, and the call has the time that calls take.

The limit of places is found by :mod:`vyked_host.routing.concurrency`, of calls that others make and that have one answer. Streams
and sockets take as long as they take; calls inside this process belong to work that was accepted; what others of the mesh need to
see how a node is (the control lane) is never refused for want of a place.

For each call there is one comparison with `room`; what is asked beyond that is asked of calls that come when it is reached.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from msgspec import structs

from ..errors import HELD_UP, Code
from ..model.description import Kind
from ..model.message import Call
from ..model.report import InFlight
from ..routing.concurrency import Concurrency, Pace, Seen
from ..routing.priority import LOW_SHARE, PRIORITY, Order, Priority, lower
from ..wire.metadata import unpack
from .lag import BLOCKED_S, LATE_S, LoopLag
from .line import IMPATIENT_S, PATIENT_S, Line
from .statistics import CallCounters

if TYPE_CHECKING:
    from .invocation import Invocation
    from .routes import Route

TOLD_EVERY_S = 10.0
PATIENCE: dict[Priority, float] = {"low": 0.75, "normal": 1.0, "high": 1.2}
"""Of the longest line, for calls of each priority."""
Refusal = tuple[Code, str] | tuple[Code, str, str]
"""Code, text, and a type where there is one."""


class Pacing:
    """Of one dispatcher, whose calls are `running`. `most` calls at once are what the configuration allows; `adaptive`: fewer
    where calls would only wait. `aside` counts the calls that have no part in that, `refused` those that were not begun."""

    def __init__(
        self, running: Collection[Invocation], *, most: int | None, adaptive: bool, lag: LoopLag,
        now: Callable[[], float], log: logging.Logger,
    ) -> None:  # fmt: skip
        self.lag, self.aside, self.refused = lag, 0, 0
        self._running, self._log, self._now = running, log, now
        self._most: float = math.inf if most is None else most
        self._limit = Concurrency(self._most, now()) if adaptive else None
        self._paces: list[Pace] = []
        self._sockets: list[CallCounters] = []
        self._order = Order()
        self._refused, self._told_at = False, -math.inf
        self._is_line = False
        self.line = Line(asyncio.get_running_loop(), now, IMPATIENT_S if adaptive else PATIENT_S, self._lined_up)
        self._room = self.room = max(1.0, LOW_SHARE * self._most)

    @property
    def limit(self) -> float:
        """How many calls may run at once now."""
        return self._limit.limit if self._limit is not None else self._most

    def report(self) -> InFlight:
        """Places, as they are now."""
        return InFlight(
            running=len(self._running), limit=_bounded(self.limit), most=_bounded(self._most), refused=self.refused
        )

    def statistics(self) -> dict[str, int | None]:
        """The same as plain data."""
        return structs.asdict(self.report())

    def _lined_up(self, is_there: bool) -> None:
        """While calls wait in line, whoever comes is looked at."""
        self._is_line, self.room = is_there, 0.0 if is_there else self._room

    def add(self, route: Route) -> None:
        """One more endpoint is served."""
        if route.pace is not None:
            self._paces.append(route.pace)
        if route.endpoint.kind is Kind.WEBSOCKET:
            self._sockets.append(route.counters)

    def remove(self, route: Route) -> None:
        """It is not served any more."""
        if route.pace is not None:
            self._paces.remove(route.pace)
        if route.endpoint.kind is Kind.WEBSOCKET:
            self._sockets.remove(route.counters)

    # ---- per call, once `room` is reached ----------------------------------------------------------------------------
    def refusal(self, route: Route, call: Call, now: float) -> Refusal | None:
        """Why `call` is not begun, or None."""
        if route.limit is not None and route.counters.in_flight >= route.limit:
            return "RESOURCE_EXHAUSTED", f"{route.endpoint.path}: {route.limit} calls of it run (concurrency)"
        if route.endpoint.lane != "normal":
            return None
        found = self._late(route, call, now) or self._full(route, call, now)
        self.refused += found is not None
        return found

    def _late(self, route: Route, call: Call, now: float) -> Refusal | None:
        """What came while the loop was blocked may have waited in its socket for as long as that."""
        behind = self.lag.behind(now)
        if behind < LATE_S or call.peer is None:
            return None
        if behind >= BLOCKED_S:
            return (
                "RESOURCE_EXHAUSTED",
                f"{route.endpoint.path}: the event loop was blocked for {behind:.1f} s",
                HELD_UP,
            )
        left = call.deadline - now
        if left < behind:
            text = f"{route.endpoint.path}: the event loop came {behind:.2f} s late, and {left:.2f} s were left"
            return "RESOURCE_EXHAUSTED", text
        return None

    def _full(self, route: Route, call: Call, now: float) -> Refusal | None:
        if route.endpoint.kind is Kind.WEBSOCKET:  # bounded by connections; open ones take no call's place
            return None
        found: str | None = None
        ran, priority = len(self._running) - sum(each.in_flight for each in self._sockets), _priority(route, call)
        if not self._order.lets_in(priority, ran, self._most, self._most, now):
            found = f"enough to do: {ran} calls run ([limits] in_flight)"
        elif self._limit is not None and route.pace is not None and call.peer is not None:
            found = self._crowded(self._limit, priority, route.pace, call.deadline, now)
        if found is None and self._is_line and call.peer is not None:
            found = self._behind(priority, call.deadline - now)
        if found is None:
            return None
        self._refused = True
        return "RESOURCE_EXHAUSTED", f"{route.endpoint.path}: {found}"

    def _crowded(
        self, limit: Concurrency, priority: Priority, pace: Pace, deadline: float, now: float
    ) -> str | None:  # fmt: skip
        ran, left = len(self._running) - self.aside, deadline - now
        if limit.is_cut and not self._order.lets_in(priority, ran, limit.limit, self._most, now):
            return f"{ran} calls run, and more would only wait ([limits] adaptive)"
        if left < pace.takes_s:
            return f"calls of it take {pace.takes_s:.2f} s now, and {left:.2f} s were left"
        return None

    def _behind(self, priority: Priority, left_s: float) -> str | None:
        waits_s = self.line.seconds
        if waits_s <= min(self.line.longest_s * PATIENCE[priority], left_s):
            return None
        return f"{waits_s:.2f} s of other calls are before it, and {left_s:.2f} s were left"

    async def turn(self, invocation: Invocation, begins: float) -> float:
        """Wait until `invocation` may be begun, or has heard why not; the answer is for how long. Calls inside this process, and those
        of the control lane, don't wait."""
        call = invocation.call
        if call.peer is None or invocation.route.endpoint.lane != "normal":
            return 0.0
        is_next = await self.line.wait(begins)
        now = self._now()
        self.refused += not is_next
        if not is_next or now >= call.deadline or now - invocation.began >= BLOCKED_S:
            invocation.comes_too_late(now, type=HELD_UP if is_next else "")
        return now - begins

    # ---- twenty times a second ---------------------------------------------------------------------------------------
    def tick(self, late_s: float, now: float) -> None:
        """Look at what has ended since; the loop came so late."""
        limit = self._limit
        if limit is None:
            return
        before = limit.limit
        ran = len(self._running) - self.aside
        limit.look(self._paces, Seen(now=now, late_s=late_s, ran=ran, refused=self._refused, older=self._older))
        self._refused = False
        waits = limit.is_cut and any(each.takes_s for each in self._paces)
        self._room = 0.0 if waits else max(1.0, LOW_SHARE * limit.limit)
        self.room = 0.0 if self._is_line else self._room
        if limit.limit < before:
            self._tell(limit, now)

    def _older(self, seconds: float) -> int:
        began = self._now() - seconds
        return sum(each.pace is not None and each.began < began for each in self._running)

    def _tell(self, limit: Concurrency, now: float) -> None:
        if now - self._told_at >= TOLD_EVERY_S:
            self._told_at = now
            self._log.warning(
                "more calls come than get done: %.0f at once for now, others are refused at once ([limits] adaptive)",
                limit.limit,
            )


def _priority(route: Route, call: Call) -> Priority:
    return lower(route.endpoint.priority, unpack(call.metadata).get(PRIORITY) if call.metadata else None)


def _bounded(limit: float) -> int | None:
    return None if limit == math.inf else int(limit)
