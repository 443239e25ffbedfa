"""Runs the calls that arrive, whatever they came over. `dispatch` is the one entrance: transports, local calls and the
HTTP edge all use it, so that limits, deadlines, middleware and counters hold for each of them alike.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from ..contracts import Clock, Entered, Sink
from ..errors import Code
from ..model.description import EndpointDescription, Surface
from ..model.message import Call, Fault
from ..model.version import compatible, parse
from .admission import forbidden
from .clock import Sweep
from .failures import FailureLog
from .invocation import RETRY_AFTER_S, Invocation
from .lag import LoopLag
from .pacing import Pacing, Refusal
from .routes import Route
from .runners import inside, runner
from .statistics import CallCounters


class Dispatcher:
    """`contracts.Calls` of one node."""

    def __init__(
        self, *, clock: Clock, log: logging.Logger, in_flight_limit: int | None, run: str = "auto",
        failures: FailureLog | None = None, lag: LoopLag | None = None, adaptive: bool = False,
    ) -> None:  # fmt: skip
        self.clock, self.log, self.now = clock, log, clock.now
        self.lag = lag or LoopLag()  # one that nobody measures is never late
        self.failures = failures or FailureLog(clock, "")
        self._routes: dict[int, Route] = {}
        self._next = 0
        self._revision = 0
        self._loop = asyncio.get_running_loop()
        self._start = runner(run, self._loop)
        self.inside = inside(run, self._loop, self.now)
        self._sweeping, self._sweep = False, Sweep(self._loop, self.now, self._look)
        self.running: dict[Invocation, None] = {}
        self.pacing = Pacing(
            self.running, most=in_flight_limit, adaptive=adaptive, lag=self.lag, now=clock.now, log=log
        )  # fmt: skip
        self.line = self.pacing.line
        self.draining = False
        self.statistics: Callable[[], dict[str, Any]] | None = (
            None  # both are the node's, for transports that show them
        )
        self.readiness: Callable[[], Awaitable[tuple[bool, dict[str, Any]]]] | None = None
        self._idle: asyncio.Future[None] | None = None
        self.is_awaited = False
        """Somebody waits until calls are over."""

    # ---- composition -----------------------------------------------------------------------------------------------
    def add(self, route: Route) -> int:
        """Serve one more endpoint; its index is never reused."""
        index, self._next = self._next, self._next + 1
        self._routes[index] = route
        self._revision += 1
        self.pacing.add(route)
        return index

    def remove(self, service: str) -> None:
        """Serve nothing of `service` any more."""
        for index, route in list(self._routes.items()):
            if route.endpoint.service == service:
                del self._routes[index]
                route.open, route.closed_reason = False, f"{route.endpoint.path} is not served any more"
                self.pacing.remove(route)
        self._revision += 1

    @property
    def routes(self) -> list[Route]:
        """The endpoints that are served."""
        return list(self._routes.values())

    def surface(self, *names: str) -> Surface:
        """What a listener exposes that goes by any of `names` (its table in vyked.toml, its plugin; none: everything); an
        endpoint that does not travel over it is None."""

        def visible(endpoint: EndpointDescription) -> bool:
            return not names or endpoint.transports is None or not endpoint.transports.isdisjoint(names)

        found = map(self._routes.get, range(self._next))
        endpoints = tuple(r.endpoint if r is not None and visible(r.endpoint) else None for r in found)
        return Surface(revision=self._revision, endpoints=endpoints)

    def endpoint(self, index: int) -> EndpointDescription:
        """The endpoint that is served under `index`. Raises LookupError."""
        return self._routes[index].endpoint

    def route(self, index: int) -> Route:
        """What runs the endpoint that is served under `index`. Raises LookupError."""
        return self._routes[index]

    def find(self, wanted: EndpointDescription) -> int | None:
        """The index of a compatible endpoint, the highest version first; None: there is none."""
        found = [
            (parse(route.endpoint.version).key(), index)
            for index, route in self._routes.items()
            if route.endpoint.kind.is_raw == wanted.kind.is_raw
            and route.endpoint.service == wanted.service
            and route.endpoint.name == wanted.name
            and compatible(route.endpoint.version, wanted.version or None)
        ]
        return max(found)[1] if found else None

    # ---- per call --------------------------------------------------------------------------------------------------
    def enter(self, call: Call, sink: Sink) -> Entered | None:
        """Let one call in that the task of its transport runs."""
        return self.dispatch(call, sink, _left_to_its_transport)

    def dispatch(self, call: Call, sink: Sink, start: Callable[[Invocation], None] | None = None) -> Invocation | None:
        """Run one call, as `start` does it where that is given. Every refusal is `not_executed`."""
        route = self._routes.get(call.endpoint)
        if route is None:
            self._refuse(call, sink, "NOT_FOUND", f"there is no endpoint {call.endpoint} here")
            return None
        now = self.now()
        if (
            not route.is_plain
            or call.deadline <= now
            or len(self.running) >= self.pacing.room
            or now >= self.lag.late_at
        ) and (why := self._examined(route, call, now)) is not None:
            self._refuse(call, sink, *why, route=route)
            return None
        codecs = route.codecs.get(call.codec)
        if codecs is None:
            self._refuse(call, sink, "NOT_SUPPORTED", f"{route.endpoint.path} can't take {call.codec!r}", route=route)
            return None
        pace = route.pace if call.peer is not None else None
        invocation = route.invocation(self, route, codecs, call, sink, now, pace)
        route.counters.in_flight += 1
        self.running[invocation] = None
        if pace is None:
            self.pacing.aside += 1
        if not self._sweeping:
            self._watch()
        (start or self._start)(invocation)
        return None if invocation.ended else invocation

    def start_inside(self, invocation: Invocation) -> None:
        """Begin a call inside this process."""
        if self.inside is None or invocation.__class__ is not Invocation:
            self._start(invocation)
        else:
            self.inside.start(invocation)

    def _watch(self) -> None:
        self._sweeping = True
        self._sweep.begin()

    def _examined(self, route: Route, call: Call, now: float) -> Refusal | None:
        """Why a call is refused about which something has to be looked at; None: it is not."""
        if route.timeout_s is not None and call.deadline > now + route.timeout_s:
            call.deadline = now + route.timeout_s
        if call.deadline <= now:
            return "DEADLINE_EXCEEDED", f"{route.endpoint.path}: no time was left"
        if not route.open:
            return "UNAVAILABLE", route.closed_reason
        if route.examined or len(self.running) >= self.pacing.room or now >= self.lag.late_at:
            return forbidden(route, call) or self.pacing.refusal(route, call, now)
        return None

    def _refuse(
        self, call: Call, sink: Sink, code: Code, message: str, type: str = "", *, route: Route | None = None
    ) -> None:  # fmt: skip
        retry_after = RETRY_AFTER_S if code == "RESOURCE_EXHAUSTED" else None
        fault = Fault(code=code, message=message, executed="not_executed", type=type, retry_after_s=retry_after)
        self._turn_away(call, sink, fault, route)

    def _turn_away(self, call: Call, sink: Sink, fault: Fault, route: Route | None) -> None:
        if route is not None:
            route.counters.fault(fault.code, 0.0)
        self.failures.served(route.endpoint.path if route is not None else f"endpoint {call.endpoint}", call, fault)
        sink.fail(call, fault)

    def let_in(self, invocation: Invocation) -> None:
        """A call inside this process, which its route has counted, goes on beyond its first step."""
        self.running[invocation] = None
        self.pacing.aside += 1
        if not self._sweeping:
            self._watch()

    def leave(self, invocation: Invocation) -> None:
        """A call is over."""
        self.running.pop(invocation, None)
        if invocation.pace is None:
            self.pacing.aside -= 1
        invocation.route.counters.in_flight -= 1
        if self.is_awaited:
            self._tell_who_waits()

    def told(self, counters: CallCounters) -> None:
        """A call was answered: count it with those before, and tell who waits for the last."""
        counters.tally.fold()
        if self.is_awaited:
            self._tell_who_waits()

    def _tell_who_waits(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        self.is_awaited = False

    def _look(self, now: float) -> bool:
        for invocation in [each for each in self.running if each.call.deadline <= now]:
            limit = invocation.route.timeout_s
            own = f" (its own limit is {limit:g} s)" if limit is not None else ""
            text = f"{invocation.route.endpoint.path}: the deadline passed while it ran{own}"
            invocation.cancel(Fault(code="DEADLINE_EXCEEDED", message=text, executed="executed"))
        self._sweeping = bool(self.running)
        return self._sweeping

    # ---- drain -----------------------------------------------------------------------------------------------------
    def close(self, reason: str) -> None:
        """Take no new calls; what runs goes on. The control lane keeps answering."""
        self.draining = True
        for route in self.routes:
            if route.endpoint.lane == "normal":
                route.open, route.closed_reason = False, reason

    async def idle(self) -> None:
        """Wait until no call runs, but those of the control lane: the watches of others end with their connections."""
        while any(each.route.endpoint.lane == "normal" for each in self.running):
            if self._idle is None or self._idle.done():
                self._idle, self.is_awaited = self._loop.create_future(), True
            await asyncio.shield(self._idle)

    def abort(self) -> list[str]:
        """Cancel what still runs; its endpoints, by name."""
        left = sorted(invocation.route.endpoint.path for invocation in self.running)
        for invocation in list(self.running):
            invocation.stop(Fault(code="UNAVAILABLE", message="the host was stopped", executed="executed"))
        return left


def _left_to_its_transport(_invocation: object) -> None:
    """A call that was let in is begun by who brought it."""
