"""A call of a service of this process, composed once for each endpoint of a client.

Most handlers are answered in their first step, which is taken within that of their caller. Such a call needs no future, no place in
the tables of those that wait and run, and nobody to hand its answer over: what stands here is all that is left of it. Whatever is
unusual goes the way of all calls (:mod:`attempts`, :mod:`dispatcher`): one with options, one that has to be looked at or refused. And
a handler that suspends, or fails, gets its places in those tables then, and ends as every other does.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from msgspec.structs import astuple

from ..contracts import Proceed
from ..errors import VykedError
from ..model.message import Call
from ..service.clients import CallOptions
from ..service.context import Context, inherited_context
from ..service.signatures import takes_positions
from .ahead import current, current_tasks
from .answers import Answer
from .codecs import AS_IS, exact_classes, exactly
from .first_step import NearCall
from .instances import Instance
from .invocation import Invocation
from .links import OBJECT, LocalChannel
from .outgoing import HOP_S, LEAST_S
from .statistics import BATCH
from .turns import ENDED

if TYPE_CHECKING:
    from .attempts import Attempts
    from .dispatcher import Dispatcher
    from .inside import Inside
    from .seats import Seat, Seats

_NOBODY: Any = object()
"""The instance of an endpoint that is not composed."""


class _Nothing:
    """The class of no argument: whatever comes is copied."""


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
        "_caller", "_codecs", "_counters", "_dispatcher", "_encode", "_index", "_inside", "_instance", "_is_exact", "_limit", "_loop",
        "_new_id", "_observer", "_only", "_pacing", "_running", "_seats", "_seen", "_served", "_spares", "_tally", "_target",
        "_values", "_waiting", "arguments", "attempts", "begin", "deliver", "description", "now", "result_class", "route", "seconds", "takes_one", "timeout", "told_s",
    )  # fmt: skip

    def __init__(self, attempts: Attempts, dispatcher: Dispatcher, inside: Inside, seats: Seats) -> None:
        client = attempts.client
        self.attempts, self._dispatcher, self._inside = attempts, dispatcher, inside
        self._seats, self._spares, self._loop = seats, seats.spares, seats.loop
        self._target, self.now, self._observer = client.target, client.clock.now, client.observer
        self._counters, self._caller = attempts.counters, client.caller
        self._running, self._pacing = dispatcher.running, dispatcher.pacing
        self._waiting, self._limit = client.pending.waiting, client.pending.limit
        shape = attempts.endpoint.arguments
        self._values: Callable[[Any], tuple[Any, ...]] = astuple
        self.arguments: Callable[..., Any] = shape
        if not takes_positions(shape):
            self._values, self.arguments = _alone, _itself
        self._seen: Instance | None = None
        self._instance: Instance = _NOBODY

    def __call__(self, arguments: Any, _inbound: Any, options: CallOptions | None) -> Coroutine[Any, Any, Any]:
        """One call."""
        values = self._values(arguments)
        return self.given(values) if options is None else self._otherwise(values, options)

    async def given(self, values: tuple[Any, ...]) -> Any:
        """The same, with arguments as they stand in their Struct, or as that Struct itself where some have to be named."""
        read, inside, spares = self.now, self._inside, self._spares
        now, loop, limits = read(), self._loop, None
        if (
            self._target.near is not self._instance
            or not self.route.is_near
            or (self._running and len(self._running) >= self._pacing.room)
            or (self._waiting and len(self._waiting) >= self._limit)
            or not (spares or self._seats.one_more())
            or (now >= inside.until and not inside.has_room(now))
            or ((outer := inherited_context(None)) is not None and (limits := self._within(outer, now)) is None)
            or (own := values if (type(values[0]) is self._only if self.takes_one else self._is_exact(values)) else self._copied(values)) is None
        ):  # fmt: skip
            return await self._otherwise(values)
        seat = spares.pop()
        seat.nearby, seat.values = self, own
        seat.began, seat.limits = now, limits
        self._served.in_flight += 1
        caller, current_tasks[loop] = current(loop), seat.task
        try:
            run = seat.run
            awaited = run(seat.send, own)
        except BaseException as error:  # noqa: BLE001 - its task's, which raises it
            awaited, seat.rest.error = None, error
        finally:
            if caller is None:
                del current_tasks[loop]
            else:
                current_tasks[loop] = caller
        if awaited is not ENDED or seat.beyond is not None:
            rest = self._rest_of(seat, awaited)
            del seat, run  # an error leads to this frame, and is kept by what waited for it: a ring
            return await rest
        self._served.in_flight -= 1
        result = seat.result
        self._seats.vacated(seat)
        if len(self.seconds) >= BATCH or self._observer is not None or self._instance.failures:
            self._succeeded(self.seconds[-1])
        return result

    def _within(self, outer: Context, now: float) -> tuple[float, bytes | None] | None:
        """Deadline and metadata of a call that is made by the handler of `outer`; None: that has no time left for it."""
        deadline = min(now + self.timeout, outer.deadline - HOP_S)
        return (deadline, outer.onward(None)) if deadline - now >= LEAST_S else None

    def _rest_of(self, seat: Seat, awaited: Any) -> Coroutine[Any, Any, Any]:
        """What waits for the outcome of the call that has it, whose handler waits for `awaited`, or failed; and goes on without it."""
        beyond, arguments = seat.goes_on(), seat.arguments
        if awaited is not ENDED and seat.rest.error is None:
            seat.suspended(awaited)
        self._seats.vacated(seat)
        return self.attempts.going_on(beyond.call, arguments, beyond.answer)

    def _copied(self, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """What is handed over, where it is not the values themselves; None where they don't fit: the call says what is wrong."""
        try:
            return self._values(self._encode(self.arguments(*values)))
        except (ValueError, TypeError, OverflowError):
            return None

    async def _otherwise(self, values: tuple[Any, ...], options: CallOptions | None = None) -> Any:
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
        classes = exact_classes(endpoint.arguments) if by_position else None
        self.takes_one = not by_position or len(endpoint.arguments.__struct_fields__) == 1
        self._only = classes[0] if classes and self.takes_one else _Nothing
        self._is_exact = exactly(*classes) if classes is not None else _never
        self._encode = codecs.encode
        body = getattr(route.handler, "by_position", None) if by_position and route.proceed is route.handler else None
        self.begin = body or self._in_struct(route.proceed)
        self.deliver = codecs.decode if codecs.decode != AS_IS.encode else None
        self.route, self._codecs, self._served, self._index = route, route.codecs[OBJECT], route.counters, index
        self._tally = self._counters.together(route.counters)
        self.seconds = self._tally.seconds
        self._new_id, self.timeout, self._instance = way.channel.new_id, timeout, instance
        self.description, self.result_class, self.told_s = route.endpoint, route.result_class, route.told_s
        return True

    def _in_struct(self, proceed: Proceed) -> Callable[..., Awaitable[Any]]:
        return lambda *values: proceed(self.arguments(*values))

    def _succeeded(self, elapsed_s: float) -> None:
        """A call was answered: count it with those before, and tell who wants to know."""
        if len(self.seconds) >= BATCH:
            self._tally.fold()
        if self._observer is not None:
            self._observer.observed(self._instance, None, elapsed_s)
        self._instance.failures = 0

    def call_of(self, seat: Seat) -> Call:
        """The one that has it, as others know calls."""
        return Call(
            self._new_id(), self._index, OBJECT, seat.arguments, seat.deadline, metadata=seat.packed, caller=self._caller
        )  # fmt: skip

    def beyond(self, seat: Seat) -> NearCall:
        """The same as a call that has its places in the tables of those that wait and run."""
        instance, client, call = self._instance, self.attempts.client, seat.about.call
        answer = Answer(
            self.attempts.endpoint, instance, self.attempts.codecs_of(OBJECT).decode,
            self._loop.create_future(), seat.began, seat.deadline,
        )  # fmt: skip
        found = NearCall(
            self._dispatcher, self.route, self._codecs, call, answer, seat.began, None, call.body, answer=answer
        )
        answer.running = found
        client.pending.keep(answer)
        instance.in_flight += 1
        self._dispatcher.let_in(found)
        return found
