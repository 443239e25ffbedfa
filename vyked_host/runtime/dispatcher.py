"""Runs the calls that arrive, whatever they came over. `dispatch` is the one entrance: transports, local calls and the
HTTP edge all use it, so that limits, deadlines, middleware and counters hold for each of them alike.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from ..contracts import Clock, Entered, Running, Sink
from ..errors import Code
from ..model.description import EndpointDescription, Surface
from ..model.message import Call, Fault
from ..model.version import compatible, parse
from .admission import forbidden
from .clock import SWEEP_S
from .failures import FailureLog
from .invocation import RETRY_AFTER_S, Invocation
from .lag import LoopLag
from .outcomes import invalid_fault
from .pacing import Pacing
from .routes import Route
from .runners import runner


class Dispatcher:
    """`contracts.Calls` of one node."""

    def __init__(
        self, *, clock: Clock, log: logging.Logger, in_flight_limit: int | None, run: str = "auto",
        failures: FailureLog | None = None, lag: LoopLag | None = None, adaptive: bool = False,
    ) -> None:  # fmt: skip
        self.clock, self.log, self.now = clock, log, clock.now
        self.lag = lag or LoopLag()  # one that nobody measures is never late
        self.failures = failures or FailureLog(clock, "")
        self._routes: list[Route | None] = []
        self._revision = 0
        self._loop = asyncio.get_running_loop()
        self._start = runner(run, self._loop)
        self._sweeping = False
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

    # ---- composition -----------------------------------------------------------------------------------------------
    def add(self, route: Route) -> int:
        """Serve one more endpoint; its index is never reused."""
        self._routes.append(route)
        self._revision += 1
        self.pacing.add(route)
        return len(self._routes) - 1

    def remove(self, service: str) -> None:
        """Serve nothing of `service` any more."""
        for index, route in enumerate(self._routes):
            if route is not None and route.endpoint.service == service:
                self._routes[index] = None
                self.pacing.remove(route)
        self._revision += 1

    @property
    def routes(self) -> list[Route]:
        """The endpoints that are served."""
        return [route for route in self._routes if route is not None]

    def surface(self, *names: str) -> Surface:
        """What a listener exposes that goes by any of `names` (its table in vyked.toml, its plugin; none: everything); an
        endpoint that does not travel over it is None."""

        def visible(endpoint: EndpointDescription) -> bool:
            return not names or endpoint.transports is None or not endpoint.transports.isdisjoint(names)

        endpoints = tuple(r.endpoint if r is not None and visible(r.endpoint) else None for r in self._routes)
        return Surface(revision=self._revision, endpoints=endpoints)

    def endpoint(self, index: int) -> EndpointDescription:
        """The endpoint that is served under `index`. Raises LookupError."""
        route = self._routes[index]
        if route is None:
            raise LookupError(index)
        return route.endpoint

    def find(self, wanted: EndpointDescription) -> int | None:
        """The index of a compatible endpoint, the highest version first; None: there is none."""
        found = [
            (parse(route.endpoint.version).key(), index)
            for index, route in enumerate(self._routes)
            if route is not None
            and route.endpoint.kind.is_raw == wanted.kind.is_raw
            and route.endpoint.service == wanted.service
            and route.endpoint.name == wanted.name
            and compatible(route.endpoint.version, wanted.version or None)
        ]
        return max(found)[1] if found else None

    # ---- per call --------------------------------------------------------------------------------------------------
    def dispatch(self, call: Call, sink: Sink) -> Running | None:
        """Run one call. Every refusal is `not_executed`."""
        admitted = self._admit(call, sink)
        if admitted is None:
            return None
        invocation, arguments = admitted
        task = self._start(invocation.run(arguments))
        if invocation.ended:
            return None
        invocation.started(task)
        self._watch()
        return invocation

    def enter(self, call: Call, sink: Sink) -> Entered | None:
        """Let one call in that the task of its transport runs."""
        admitted = self._admit(call, sink)
        if admitted is None:
            return None
        invocation, arguments = admitted
        invocation.arguments = arguments
        self._watch()
        return invocation

    def _admit(self, call: Call, sink: Sink) -> tuple[Invocation, Any] | None:
        """The call as it is counted from now on, and its arguments; None: it is refused."""
        index = call.endpoint
        route = self._routes[index] if 0 <= index < len(self._routes) else None
        if route is None:
            self._refuse(call, sink, "NOT_FOUND", f"there is no endpoint {index} here")
            return None
        now = self.now()
        if route.timeout_s is not None and call.deadline > now + route.timeout_s:
            call.deadline = now + route.timeout_s
        if call.deadline <= now:
            self._refuse(call, sink, "DEADLINE_EXCEEDED", f"{route.endpoint.path}: no time was left", route)
            return None
        if not route.open:
            self._refuse(call, sink, "UNAVAILABLE", route.closed_reason, route)
            return None
        if (route.examined or len(self.running) >= self.pacing.room or now >= self.lag.late_at) and (
            why := self._examined(route, call, now)
        ) is not None:
            self._refuse(call, sink, *why, route)
            return None
        codecs = route.codecs.get(call.codec)
        if codecs is None:
            text = f"{route.endpoint.path} can't be called with {call.codec!r}"
            self._refuse(call, sink, "NOT_SUPPORTED", text, route)
            return None
        try:
            arguments = codecs.decode(call.body)
        except ValueError as error:
            self._turn_away(call, sink, invalid_fault(route.endpoint, error), route)
            return None
        invocation = route.invocation(self, route, codecs, call, sink, now)
        route.counters.in_flight += 1
        self.running[invocation] = None
        if invocation.pace is None:
            self.pacing.aside += 1
        return invocation, arguments

    def _watch(self) -> None:
        if not self._sweeping:
            self._sweeping = True
            self._loop.call_later(SWEEP_S, self._sweep)

    def _examined(self, route: Route, call: Call, now: float) -> tuple[Code, str] | None:
        return forbidden(route, call) or self.pacing.refusal(route, call, now)

    def _refuse(self, call: Call, sink: Sink, code: Code, message: str, route: Route | None = None) -> None:
        retry_after = RETRY_AFTER_S if code == "RESOURCE_EXHAUSTED" else None
        fault = Fault(code=code, message=message, executed="not_executed", retry_after_s=retry_after)
        self._turn_away(call, sink, fault, route)

    def _turn_away(self, call: Call, sink: Sink, fault: Fault, route: Route | None) -> None:
        if route is not None:
            route.counters.fault(fault.code, 0.0)
        self.failures.served(route.endpoint.path if route is not None else f"endpoint {call.endpoint}", call, fault)
        sink.fail(call, fault)

    def leave(self, invocation: Invocation) -> None:
        """A call is over."""
        self.running.pop(invocation, None)
        if invocation.pace is None:
            self.pacing.aside -= 1
        invocation.route.counters.in_flight -= 1
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _sweep(self) -> None:
        now = self.now()
        for invocation in [each for each in self.running if each.call.deadline <= now]:
            limit = invocation.route.timeout_s
            own = f" (its own limit is {limit:g} s)" if limit is not None else ""
            text = f"{invocation.route.endpoint.path}: the deadline passed while it ran{own}"
            invocation.cancel(Fault(code="DEADLINE_EXCEEDED", message=text, executed="executed"))
        self._sweeping = bool(self.running)
        if self._sweeping:
            self._loop.call_later(SWEEP_S, self._sweep)

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
                self._idle = self._loop.create_future()
            await asyncio.shield(self._idle)

    def abort(self) -> list[str]:
        """Cancel what still runs; its endpoints, by name."""
        left = sorted(invocation.route.endpoint.path for invocation in self.running)
        for invocation in list(self.running):
            invocation.stop(Fault(code="UNAVAILABLE", message="the host was stopped", executed="executed"))
        return left
