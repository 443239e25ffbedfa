"""Calls that go out: what a client attribute of a service does. One `ServiceClient` per (consumer, dependency); one
composed function per endpoint, in which only what is configured has a part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import random

from ..contracts import Clock, Middleware, ObservesOutcomes
from ..model.description import EndpointDescription
from ..routing.backoff import Backoff
from ..routing.budget import RetryBudget
from ..routing.retries import Retries
from ..service.clients import Invoke, unhedgeable
from .attempts import Attempts
from .codecs import Codecs
from .directory import Target
from .dispatcher import Dispatcher
from .ejection import Ejection
from .failures import FailureLog
from .guards import Guards, replaced
from .hedging import Hedged
from .middlewares import within
from .nearby import Nearby
from .pending import Pending
from .statistics import CallCounters
from .streaming import TIMEOUT_S, Streams
from .tasks import TaskScope

Fallback = Callable[[EndpointDescription], Invoke]
"""What is called in place of an endpoint, bound to it."""


class ServiceClient:
    """`service.clients.Invoker` on the runtime. `chance` gives floats in [0, 1). `here` runs the calls of this process, where it serves
    what is called."""

    def __init__(
        self, *, target: Target, codecs: Codecs, clock: Clock, pending: Pending, chain: Sequence[Middleware],
        tasks: TaskScope, caller: str, balancer: object, failures: FailureLog | None = None, eject_s: float = 30.0,
        rest_s: float = 1.0, chance: Callable[[], float] = random, here: Dispatcher | None = None,
    ) -> None:  # fmt: skip
        self._here = here
        self.failures = failures or FailureLog(clock, "")
        self.target, self.codecs, self.clock, self.pending = target, codecs, clock, pending
        self.chain, self.tasks, self.caller, self.chance = tuple(chain), tasks, caller, chance
        self.observer = balancer if isinstance(balancer, ObservesOutcomes) else None
        self.counters: dict[str, CallCounters] = {}
        self.ejection = Ejection(target, clock, eject_s, rest_s)
        again = target.settings.retry
        self.retries = Retries(attempts=again.attempts, backoff=Backoff(first=again.backoff, most=again.most))
        self.fallbacks: Mapping[str, Fallback] = {}
        self._guards = Guards(target.settings, clock, target.service)
        self._budget = RetryBudget(again.budget, again.per_second, clock.now())

    def bind(self, endpoint: EndpointDescription) -> Invoke:
        """(arguments, inbound, options) -> a coroutine of the result, or a Reply where the answer is a stream."""
        return self._bound(endpoint, self.fallbacks.get(endpoint.name))

    def without_fallback(self, endpoint: EndpointDescription) -> Invoke:
        """The same, for what is itself a fallback."""
        return self._bound(endpoint, None)

    def _bound(self, endpoint: EndpointDescription, fallback: Fallback | None) -> Invoke:
        counters = self.counters.setdefault(endpoint.path, CallCounters("client"))
        if endpoint.kind.streams_out or endpoint.kind.streams_in:
            streams = Streams(self, endpoint, counters, endpoint.timeout_s or TIMEOUT_S)
            if endpoint.kind.streams_out:
                return streams.stream
            return self._guards.before(endpoint, streams.upload, counters, streams.deadline)
        attempts = Attempts(self, endpoint, counters, endpoint.timeout_s or self.target.settings.timeout)
        call: Invoke = attempts.call
        hedge_after = self.target.settings.hedge_after
        if hedge_after is not None and not unhedgeable(endpoint):
            call = Hedged(attempts, hedge_after).call
        elif attempts.is_plain and (inside := self._here and self._here.inside) and inside.seats is not None:
            call = Nearby(attempts, self._here, inside, inside.seats)
        call = self._guards.before(endpoint, call, counters, attempts.deadline)
        if fallback is not None:
            call = replaced(call, fallback(endpoint), counters)
        return within(endpoint, self.chain, call)

    def extra_attempt(self, now: float, counters: CallCounters) -> bool:
        """May there be one more attempt than calls? Counts it, or that there was none."""
        if self._budget.take(sum(each.calls for each in self.counters.values()), now):
            return True
        counters.note("withheld")
        return False
