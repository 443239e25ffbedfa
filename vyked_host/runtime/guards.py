"""What may stand before the calls of a client: a breaker for each method; a rate and a bulkhead for all of them. Each wraps the
function that makes the call, where it is configured, and is not there where it isn't."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ..contracts import Clock
from ..errors import CallError, Overloaded, ServiceError, Unavailable
from ..model.description import EndpointDescription
from ..model.settings import ClientTable
from ..routing.breaker import Breaker, BreakerRule, has_failed
from ..routing.rate import TokenBucket
from ..service.clients import CallOptions, Invoke
from .bulkhead import Bulkhead
from .outgoing import PLAIN
from .statistics import CallCounters

REPLACED = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"})
"""Codes of a call that its fallback answers."""
Deadline = Callable[[CallOptions | None], float]


class Guards:
    """Of one client."""

    def __init__(self, settings: ClientTable, clock: Clock, service: str) -> None:
        self._clock = clock
        self._bucket = self._bulkhead = self._rule = None
        if (rate := settings.rate) is not None:
            self._bucket = TokenBucket(rate.per_second, rate.burst or max(1.0, rate.per_second), clock.now())
        if (bulkhead := settings.bulkhead) is not None:
            self._bulkhead = Bulkhead(bulkhead.in_flight, bulkhead.pending, clock, service)
        if (breaker := settings.breaker) is not None:
            self._rule = BreakerRule(
                failures=breaker.failures, of=breaker.of, open_for_s=breaker.open_for, within_s=breaker.within
            )  # fmt: skip

    def before(
        self, endpoint: EndpointDescription, call: Invoke, counters: CallCounters, deadline: Deadline
    ) -> Invoke:  # fmt: skip
        """`call` with what is configured before it, the breaker first. `deadline` says when a call that begins now has to end."""
        if self._bulkhead is not None:
            call = bounded(call, self._bulkhead, self._clock, counters, deadline)
        if self._bucket is not None:
            call = paced(call, self._bucket, self._clock, counters, endpoint)
        if self._rule is not None:
            call = broken(call, Breaker(self._rule), self._clock, counters, endpoint)
        return call


def bounded(call: Invoke, bulkhead: Bulkhead, clock: Clock, counters: CallCounters, deadline: Deadline) -> Invoke:
    """`call`, of which only so many run at once. What a call waits is part of its time."""

    async def bounded_call(arguments: Any, inbound: Any, options: CallOptions | None) -> Any:
        if bulkhead.is_free:
            bulkhead.enter()
        else:
            until = deadline(options)
            try:
                await bulkhead.wait(until)
            except Overloaded:
                counters.note("shed")
                raise
            left = max(1e-9, until - clock.now())
            options = msgspec.structs.replace(options or PLAIN, timeout=left)
        try:
            return await call(arguments, inbound, options)
        finally:
            bulkhead.leave()

    return bounded_call


def paced(
    call: Invoke, bucket: TokenBucket, clock: Clock, counters: CallCounters, endpoint: EndpointDescription
) -> Invoke:  # fmt: skip
    """`call`, of which only so many begin in a second."""

    async def paced_call(arguments: Any, inbound: Any, options: CallOptions | None) -> Any:
        wait = bucket.take(clock.now())
        if wait > 0.0:
            counters.note("limited")
            text = f"{endpoint.path}: over the rate of this client ([clients] rate)"
            raise Overloaded(
                text, service=endpoint.service, method=endpoint.name, executed="not_sent", retry_after=wait
            )
        return await call(arguments, inbound, options)

    return paced_call


def broken(
    call: Invoke, breaker: Breaker, clock: Clock, counters: CallCounters, endpoint: EndpointDescription
) -> Invoke:  # fmt: skip
    """`call`, which is not made while most of them fail."""

    async def guarded_call(arguments: Any, inbound: Any, options: CallOptions | None) -> Any:
        wait = breaker.wait(clock.now())
        if wait > 0.0:
            counters.note("refused")
            text = f"{endpoint.path} fails too often: its breaker is open ([clients] breaker)"
            raise Unavailable(
                text, service=endpoint.service, method=endpoint.name, executed="not_sent", retry_after=wait
            )
        decides, failed = breaker.enter(), None
        try:
            result = await call(arguments, inbound, options)
            failed = False
            return result
        except CallError as error:
            failed = has_failed(error.code)
            raise
        except ServiceError:
            failed = False
            raise
        finally:
            if breaker.leave(decides, failed, clock.now()):
                counters.note("opened")

    return guarded_call


def replaced(call: Invoke, fallback: Invoke, counters: CallCounters) -> Invoke:
    """`call`, and `fallback` with the same arguments where that could not be answered in the end."""

    async def replaced_call(arguments: Any, inbound: Any, options: CallOptions | None) -> Any:
        try:
            return await call(arguments, inbound, options)
        except CallError as error:
            if error.code not in REPLACED:
                raise
            counters.note("fallbacks")
            rest = None
            if options is not None:  # neither a node nor a key of the other service means anything here
                rest = CallOptions(timeout=options.timeout, entity=options.entity, metadata=options.metadata)
            try:
                return await fallback(arguments, inbound, rest)
            except CallError as other:
                raise other from error

    return replaced_call
