"""A call of a service of this process, composed once for each endpoint of a client.

Most handlers are answered in their first step, which is taken within that of their caller. Such a call needs no future, no place in
the tables of those that wait and run, and nobody to hand its answer over: what stands here is all that is left of it. Whatever is
unusual goes the way of all calls (:mod:`attempts`, :mod:`dispatcher`): one with options, one that has to be looked at or refused. And
a handler that suspends, or fails, gets its places in those tables then, and ends as every other does.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from msgspec.structs import astuple

from ..contracts import Proceed
from ..errors import VykedError
from ..model.message import Call
from ..service.clients import CallOptions
from ..service.context import inherited_context
from ..service.signatures import takes_positions
from .answers import Answer
from .codecs import AS_IS, exactness
from .first_step import PENDING, FirstStep, NearCall
from .instances import Instance
from .invocation import Invocation
from .links import OBJECT, LocalChannel
from .outgoing import HOP_S, LEAST_S
from .statistics import BATCH

if TYPE_CHECKING:
    from .ahead import Ahead
    from .attempts import Attempts
    from .dispatcher import Dispatcher
    from .inside import Inside

_NOBODY: Any = object()
"""The instance of an endpoint that is not composed."""


def _never(_values: tuple[Any, ...]) -> bool:
    """Arguments of this type can be changed: they are copied."""
    return False


def _alone(arguments: Any) -> tuple[Any, ...]:
    return (arguments,)


def _itself(arguments: Any) -> Any:
    return arguments


class Nearby:
    """One endpoint as one client calls it while its service is in this process; as `attempts` do while it is not."""

    __slots__ = (
        "_caller", "_codecs", "_counters", "_description", "_dispatcher", "_encode", "_index", "_inside", "_is_exact", "_limit",
        "_new_id", "_now", "_observer", "_pacing", "_running", "_seen", "_served", "_steps", "_tally", "_target", "_timeout", "_values",
        "_waiting", "arguments", "attempts", "begin", "deliver", "instance", "route", "seconds",
    )  # fmt: skip

    def __init__(self, attempts: Attempts, dispatcher: Dispatcher, inside: Inside, steps: Ahead[FirstStep]) -> None:
        client = attempts.client
        self.attempts, self._dispatcher, self._inside, self._steps = attempts, dispatcher, inside, steps
        self._target, self._now, self._observer = client.target, client.clock.now, client.observer
        self._counters, self._caller = attempts.counters, client.caller
        self._running, self._pacing = dispatcher.running, dispatcher.pacing
        self._waiting, self._limit = client.pending.waiting, client.pending.limit
        shape = attempts.endpoint.arguments
        self._values: Callable[[Any], tuple[Any, ...]] = astuple
        self.arguments: Callable[..., Any] = shape
        if not takes_positions(shape):
            self._values, self.arguments = _alone, _itself
        self._seen: Instance | None = None
        self.instance: Instance = _NOBODY

    def __call__(self, arguments: Any, _inbound: Any, options: CallOptions | None) -> Coroutine[Any, Any, Any]:
        """One call."""
        return self.given(self._values(arguments), options)

    async def given(self, values: tuple[Any, ...], options: CallOptions | None = None) -> Any:
        """The same, with arguments as they stand in their Struct, or as that Struct itself where some have to be named."""
        now, inside, steps = self._now(), self._inside, self._steps
        if (
            options is not None
            or self._target.near is not self.instance
            or not self.route.is_near
            or (self._running and len(self._running) >= self._pacing.room)
            or (self._waiting and len(self._waiting) >= self._limit)
            or not (steps.spares or steps.left)
            or (now >= inside.until and not inside.has_room(now))
            or (own := values if self._is_exact(values) else self._copied(values)) is None
        ):
            return await self._otherwise(values, options)
        deadline, metadata, outer = now + self._timeout, None, inherited_context(None)
        if outer is not None:
            deadline, metadata = min(deadline, outer.deadline - HOP_S), outer.onward(None)
            if deadline - now < LEAST_S:
                return await self._otherwise(values, options)
        step = FirstStep(
            None, self._description, self._now,
            nearby=self, values=own, began=now, deadline=deadline, packed=metadata,
        )  # fmt: skip
        served = self._served
        served.in_flight += 1
        try:
            steps.start(step)
        except BaseException:  # what ends the program, where its task does not keep it
            if step.beyond is not None:
                self.attempts.given_up(step.beyond.answer)
            raise
        if (result := step.result) is not PENDING:
            served.in_flight -= 1
            if len(self.seconds) >= BATCH or self._observer is not None or self.instance.failures:
                self._succeeded(self.seconds[-1])
            return result
        rest = self.attempts.going_on(step.call, self.arguments(*values), step.goes_on().answer)
        del step  # an error leads to this frame, and is kept by what waited for it: a ring
        return await rest

    def _copied(self, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """What is handed over, where it is not the values themselves; None where they don't fit: the call says what is wrong."""
        try:
            return self._values(self._encode(self.arguments(*values)))
        except (ValueError, TypeError, OverflowError):
            return None

    async def _otherwise(self, values: tuple[Any, ...], options: CallOptions | None) -> Any:
        """A call as any other, unless it is the first one of an instance that is here."""
        instance = self._target.near
        if instance is not None and instance is not self._seen:
            self._seen = instance
            if self._compose(instance) and options is None:
                return await self.given(values)
        return await self.attempts.call(self.arguments(*values), None, options)

    def _compose(self, instance: Instance) -> bool:
        """Put together what a call of `instance` needs, where its arguments are handed over as an object."""
        way, endpoint = instance.link.best, self.attempts.endpoint
        if not isinstance(way.channel, LocalChannel):
            return False
        try:
            index, codec = way.agreed(way.channel, endpoint)
        except VykedError:  # the call says what is wrong
            return False
        route = self._dispatcher.route(index)
        timeout = min(self.attempts.timeout, route.timeout_s or math.inf)
        if codec != OBJECT or route.invocation is not Invocation or timeout < LEAST_S:
            return False
        codecs = self.attempts.codecs_of(OBJECT)
        by_position = self._values is astuple
        self._is_exact = (exactness(endpoint.arguments) if by_position else None) or _never
        self._encode = codecs.encode
        body = getattr(route.handler, "by_position", None) if by_position and route.proceed is route.handler else None
        self.begin = body or self._in_struct(route.proceed)
        self.deliver = codecs.decode if codecs.decode != AS_IS.encode else None
        self.route, self._codecs, self._served, self._index = route, route.codecs[OBJECT], route.counters, index
        self._tally = self._counters.together(route.counters)
        self.seconds = self._tally.seconds
        self._new_id, self._timeout, self.instance = way.channel.new_id, timeout, instance
        self._description = route.endpoint
        return True

    def _in_struct(self, proceed: Proceed) -> Callable[..., Awaitable[Any]]:
        return lambda *values: proceed(self.arguments(*values))

    def _succeeded(self, elapsed_s: float) -> None:
        """A call was answered: count it with those before, and tell who wants to know."""
        if len(self.seconds) >= BATCH:
            self._tally.fold()
        if self._observer is not None:
            self._observer.observed(self.instance, None, elapsed_s)
        self.instance.failures = 0

    def call_of(self, step: FirstStep) -> Call:
        """`step` as others know calls."""
        return Call(
            self._new_id(), self._index, OBJECT, step.arguments, step.deadline, metadata=step.packed, caller=self._caller
        )  # fmt: skip

    def beyond(self, step: FirstStep) -> NearCall:
        """`step` as a call that has its places in the tables of those that wait and run."""
        instance, client, began = self.instance, self.attempts.client, step.began
        answer = Answer(
            self.attempts.endpoint, instance, self.attempts.codecs_of(OBJECT).decode,
            asyncio.get_running_loop().create_future(), began, step.deadline,
        )  # fmt: skip
        found = NearCall(
            self._dispatcher, self.route, self._codecs, step.call, answer, began, None, step.arguments, answer=answer
        )
        answer.running = found
        client.pending.keep(answer)
        instance.in_flight += 1
        self._dispatcher.let_in(found)
        return found
