"""A call of a service of this process, composed once for each endpoint of a client.

Most handlers are answered in their first step, which is taken within that of their caller. Such a call needs no future, no place in
the tables of those that wait and run, and nobody to hand its answer over: what stands here is all that is left of it. Whatever is
unusual goes the way of all calls (:mod:`attempts`, :mod:`dispatcher`): one with options, one that has to be looked at or refused. And
a handler that suspends, or fails, gets its places in those tables then, and ends as every other does.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec.structs import astuple

from ..errors import VykedError
from ..model.message import Call
from ..service.clients import CallOptions
from ..service.context import CURRENT, Context
from .answers import Answer
from .codecs import AS_IS, exact_classes
from .inside import DEEPEST
from .instances import Instance
from .invocation import Invocation
from .links import OBJECT, LocalChannel
from .outgoing import HOP_S, LEAST_S
from .statistics import BATCH

if TYPE_CHECKING:
    from .attempts import Attempts
    from .dispatcher import Dispatcher
    from .inside import Inside

_NOBODY: Any = object()
"""The sink of a call for whose outcome nothing waits: its caller is in the midst of the step that begins it. And the instance of an
endpoint that is not composed."""


class Nearby:
    """One endpoint as one client calls it while its service is in this process; as `attempts` do while it is not."""

    __slots__ = (
        "_at_once", "_caller", "_classes", "_codecs", "_counters", "_encode", "_index", "_inside", "_limit", "_new_id",
        "_pacing", "_route", "_running", "_seen", "_target", "_timeout", "_waiting", "attempts", "deliver",
        "dispatcher", "instance", "now", "observer", "served", "tally",
    )  # fmt: skip

    def __init__(self, attempts: Attempts, dispatcher: Dispatcher, inside: Inside) -> None:
        client = attempts.client
        self.attempts, self.dispatcher, self._inside, self._at_once = attempts, dispatcher, inside, inside.at_once
        self._target, self.now, self.observer = client.target, client.clock.now, client.observer
        self._counters, self._caller = attempts.counters, client.caller
        self._running, self._pacing = dispatcher.running, dispatcher.pacing
        self._waiting, self._limit = client.pending.waiting, client.pending.limit
        self._seen: Instance | None = None
        self.instance: Instance = _NOBODY

    async def call(self, arguments: Any, _inbound: Any, options: CallOptions | None) -> Any:
        """One call."""
        now, inside, body = self.now(), self._inside, arguments
        if (
            options is not None
            or self._target.near is not self.instance
            or not self._route.is_near
            or (self._running and len(self._running) >= self._pacing.room)
            or (self._waiting and len(self._waiting) >= self._limit)
            or (now >= inside.until and not inside.has_room(now))
            or inside.deep >= DEEPEST
            or (tuple(map(type, astuple(body))) != self._classes and (body := self._copied(body)) is None)
        ):
            return await self._otherwise(arguments, options)
        deadline, metadata, outer = now + self._timeout, None, CURRENT.get(None)
        if outer is not None:
            deadline, metadata = min(deadline, outer.call.deadline - HOP_S), outer.onward(None)
            if deadline - now < LEAST_S:
                return await self._otherwise(arguments, options)
        call = Call(self._new_id(), self._index, OBJECT, body, deadline, metadata=metadata, caller=self._caller)
        near = NearCall(self.dispatcher, self._route, self._codecs, call, body, _NOBODY, now, None, nearby=self)
        self.served.in_flight += 1
        inside.deep += 1
        try:
            self._at_once(near)
        except BaseException:  # what ends the program, where its task does not keep it
            if near.answer is not None:
                self.attempts.given_up(near.answer)
            raise
        finally:
            inside.deep -= 1
        if near.answer is None:
            return near.result
        rest = self.attempts.going_on(call, arguments, near.answer)
        del near  # an error leads to this frame, and is kept by what waited for it: a ring
        return await rest

    def _copied(self, arguments: Any) -> Any | None:
        """What is handed over, where it is not the arguments themselves; None where they don't fit: the call says what is wrong."""
        try:
            return self._encode(arguments)
        except (ValueError, TypeError, OverflowError):
            return None

    async def _otherwise(self, arguments: Any, options: CallOptions | None) -> Any:
        """A call as any other, unless it is the first one of an instance that is here."""
        instance = self._target.near
        if instance is not None and instance is not self._seen:
            self._seen = instance
            if self._compose(instance) and options is None:
                return await self.call(arguments, None, None)
        return await self.attempts.call(arguments, None, options)

    def _compose(self, instance: Instance) -> bool:
        """Put together what a call of `instance` needs, where its arguments are handed over as an object."""
        way, endpoint = instance.link.best, self.attempts.endpoint
        if not isinstance(way.channel, LocalChannel):
            return False
        try:
            index, codec = way.agreed(way.channel, endpoint)
        except VykedError:  # the call says what is wrong
            return False
        route = self.dispatcher.route(index)
        timeout = min(self.attempts.timeout, route.timeout_s or math.inf)
        if codec != OBJECT or route.invocation is not Invocation or timeout < LEAST_S:
            return False
        codecs = self.attempts.codecs_of(OBJECT)
        self._classes, self._encode = exact_classes(endpoint.arguments), codecs.encode
        self.deliver = codecs.decode if codecs.decode != AS_IS.encode else None
        self._route, self._codecs, self.served, self._index = route, route.codecs[OBJECT], route.counters, index
        self.tally = self._counters.together(route.counters)
        self._new_id, self._timeout, self.instance = way.channel.new_id, timeout, instance
        return True

    def succeeded(self, elapsed_s: float) -> None:
        """A call was answered: count it with those before, and tell who wants to know."""
        if len(self.tally.seconds) >= BATCH:
            self.tally.fold()
        if self.observer is not None:
            self.observer.observed(self.instance, None, elapsed_s)
        self.instance.failures = 0

    def answer(self, near: NearCall) -> Answer:
        """What waits for the outcome of `near`, which did not come within its first step, as for that of any other call."""
        instance, client = self.instance, self.attempts.client
        answer = Answer(
            self.attempts.endpoint, instance, self.attempts.codecs_of(OBJECT).decode,
            asyncio.get_running_loop().create_future(), near.began, near.call.deadline, near,
        )  # fmt: skip
        client.pending.keep(answer)
        instance.in_flight += 1
        self.dispatcher.let_in(near)
        return answer


class NearCall(Invocation, eq=False, kw_only=True):
    """A call whose first step is part of its caller's. `answer`: what waits for its outcome since it suspended, or failed."""

    nearby: Nearby
    result: Any = None
    answer: Answer | None = None

    async def run(self) -> None:
        """The body of the task."""
        route, nearby = self.route, self.nearby
        CURRENT.set(Context(self.call, route.endpoint, nearby.now))
        try:
            result = await route.proceed(self.arguments)
            if result.__class__ is not route.result_class:
                result = self._checked(result)
        except BaseException as error:
            self._awaited()
            if self._ended_by(error):
                raise
        else:
            self.result = result
            if self.answer is not None or (nearby.deliver is not None and not self._fits(nearby.deliver)):
                self._respond(result)
                return
            self.ended = True
            nearby.served.in_flight -= 1
            elapsed = nearby.now() - self.began
            seconds = nearby.tally.seconds
            seconds.append(elapsed)
            if len(seconds) >= BATCH or nearby.observer is not None or nearby.instance.failures:
                nearby.succeeded(elapsed)

    def started(self, task: asyncio.Task[None]) -> None:
        """It suspended."""
        self._awaited()
        super().started(task)

    def _fits(self, deliver: Callable[[Any], Any]) -> bool:
        """Is the result of the type that this side expects? Where it is not, its caller hears so as of any other call."""
        try:
            self.result = deliver(self.result)
        except (ValueError, TypeError):
            self._awaited()
            return False
        return True

    def _awaited(self) -> Answer:
        if self.answer is None:
            self.sink = self.answer = self.nearby.answer(self)
        return self.answer
