"""The attempts of a call: instance, channel, encode, send, wait, decode; and once more elsewhere where that may be.

The way without failures is the one that counts: whom the call has tried, the budget and the pause exist from the first failure on.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ..contracts import Channel
from ..errors import CallError
from ..model.description import EndpointDescription
from ..model.message import Call, Fault
from ..routing.candidates import another
from ..routing.outliers import speaks_against
from ..routing.retries import Failure, may_run_twice
from ..service.clients import CallOptions
from .answers import Answer
from .hedging import race
from .instances import Instance
from .links import Way
from .outcomes import unsendable
from .outgoing import LEAST_S, PLAIN, Outgoing, Tried


class Attempts(Outgoing):
    """One endpoint with one answer."""

    async def call(self, arguments: Any, _inbound: Any, options: CallOptions | None, tried: Tried | None = None) -> Any:
        """One call: its attempts, one after the other. `tried` is given where more of them run beside these, or were made before."""
        if options is not None and options.hedge_after is not None and tried is None:
            return await race(self, arguments, options, options.hedge_after)
        clock, target, now = self._now, self._target, self._now()
        call = self._new(options or PLAIN, now) if tried is None or tried.call is None else tried.call
        while True:
            answer: Answer | None = None
            dialling = 0.0  # when it began; then, negative, how long it took
            try:
                if tried is None and options is None and call.deadline - now >= LEAST_S:
                    instance = target.choose(call)
                else:
                    instance = self._instance(call, options, tried, now)
                way = instance.link.best if self.is_plain else instance.link.least_busy(self._only, self._count)
                channel = way.channel
                if channel is None:
                    dialling = clock()
                    channel = await self._dialled(instance, way, call)
                    now = clock()
                    dialling -= now
                answer = self._send(call, arguments, instance, way, channel, tried, now)
                result = await answer.future
            except BaseException as error:
                self._over(answer, error, call, tried, clock() - dialling if dialling > 0 else -dialling)
                tried, pause = self._next(error, call, options, tried, channel if answer is not None else None)
                if pause is None:
                    said, answer, tried = tried.instead(error) if tried is not None else None, None, None
                    if said is None:
                        raise
                    try:
                        raise said from error
                    finally:
                        del said  # what is raised leads to this frame: a ring, which would wait for the collector
            else:
                self._succeeded(answer)
                return result
            if pause > 0.0:
                await asyncio.sleep(pause)
            now = clock()

    async def going_on(self, call: Call, arguments: Any, answer: Answer) -> Any:
        """The rest of a call whose first attempt has been begun inside this process: `answer` waits for it."""
        try:
            result = await answer.future
        except BaseException as error:
            self._over(answer, error, call, None, 0.0)
            tried, pause = self._next(error, call, None, None, answer.instance.link.best.channel)
            del answer  # as in `call`
            if pause is None or tried is None:
                raise
        else:
            self._succeeded(answer)
            return result
        if pause > 0.0:
            await asyncio.sleep(pause)
        tried.call = call
        return await self.call(arguments, None, None, tried)

    # ---- one attempt -----------------------------------------------------------------------------------------------
    def _send(
        self, call: Call, arguments: Any, instance: Instance, way: Way, channel: Channel, tried: Tried | None, now: float
    ) -> Answer:  # fmt: skip
        call.endpoint, call.codec = way.known.get(self._key) or way.agreed(channel, self.endpoint)
        if tried is not None and (tried.doubt is not None or not self.endpoint.idempotent):
            offered = served(channel, call)
            tried.idempotent = offered is not None and offered.idempotent
            if tried.doubt is not None and results_at(offered, call) != tried.results:
                doubt, tried = tried.doubt, None
                try:
                    raise doubt
                finally:
                    del doubt  # as in `call`
        codecs = self._codecs.get(call.codec) or self.codecs_of(call.codec)
        encode = codecs.encode
        try:
            call.body = encode(arguments)
        except (ValueError, TypeError, OverflowError) as error:
            raise unsendable(self.endpoint, error) from error
        answer = Answer(self.endpoint, instance, codecs.decode, self._loop.create_future(), now, call.deadline)
        pending = self._pending
        if len(pending.waiting) >= pending.room:
            pending.make_room()
        pending.waiting[answer] = None
        instance.in_flight += 1
        try:
            answer.running = channel.dispatch(call, answer)
        except BaseException:
            self._ended(answer, None)
            raise
        return answer

    def _succeeded(self, answer: Answer) -> None:
        """Account for an attempt that was answered: as `_ended`, for each call that goes well."""
        answer.running = None  # it has the answer as its sink: a circle no collector would find
        clock, instance = self._now, answer.instance
        elapsed = clock() - answer.began
        instance.in_flight -= 1
        self._pending.waiting.pop(answer, None)
        self.counters.succeeded(elapsed)
        if self._observer is not None:
            self._observer.observed(instance, None, elapsed)
        if instance.failures:
            instance.failures = 0

    def given_up(self, answer: Answer) -> None:
        """An attempt was broken off by what ends the program."""
        self._ended(answer, None)

    def _ended(self, answer: Answer, error: CallError | None) -> None:
        instance = answer.instance
        instance.in_flight -= 1
        self._pending.waiting.pop(answer, None)
        if self._observer is not None:
            fault = Fault(code=error.code, message=str(error), executed=error.executed) if error else None
            self._observer.observed(instance, fault, self._now() - answer.began)

    def _over(
        self, answer: Answer | None, error: BaseException, call: Call, tried: Tried | None, dialling_s: float
    ) -> None:  # fmt: skip
        """An attempt failed, or another one has the answer, in which case this one was no failure."""
        if tried is None or tried.counts(error):
            self._failed(answer, error, call, dialling_s)
        elif answer is not None:
            self._ended(answer, None)
            answer.abandon(Fault(code="CANCELLED", message="another attempt was answered first", executed="unknown"))

    def _failed(self, answer: Answer | None, error: BaseException, call: Call, dialling_s: float) -> None:
        """Account for a failed attempt."""
        known = error if isinstance(error, CallError) else None
        waited = self._now() - answer.began if answer is not None else 0.0
        self.counters.fault(known.code if known is not None else type(error).__name__, waited)
        named = answer.instance.node_id if answer is not None else None
        self.client.failures.called(self.endpoint, call, error, named, dialling_s, waited)
        if answer is None:
            return
        self._ended(answer, known)
        answer.abandon(Fault(code="CANCELLED", message="the caller waits no longer", executed="unknown"))
        if known is not None and speaks_against(known.code, known.executed):
            self.client.ejection.failed(answer.instance)

    # ---- the next one ----------------------------------------------------------------------------------------------
    def _next(
        self, error: BaseException, call: Call, options: CallOptions | None, tried: Tried | None, asked: Channel | None
    ) -> tuple[Tried | None, float | None]:
        """Whom the call has tried, and seconds until its next attempt; None: there is none. The node that was `asked` says what the
        endpoint is: a caller that knows it by name only knows nothing else of it."""
        if not isinstance(error, CallError) or error.instance is None or not self.client.target.instances:
            return tried, None
        offered = served(asked, call) if asked is not None else None
        tried = tried or Tried(error.instance)
        idempotent = self.endpoint.idempotent or (offered is not None and offered.idempotent)
        kept = results_at(offered, call)
        if kept and error.executed == "unknown" and tried.doubt is None and not idempotent:
            tried.doubt, tried.results = error, kept
        pause = self.client.retries.pause(
            Failure(code=error.code, executed=error.executed, retry_after=error.retry_after),
            attempt=max(call.attempt, len(tried.nodes)),
            repeatable=may_run_twice(idempotent=idempotent, has_key=tried.doubt is not None, keyed=bool(tried.results)),
            elsewhere=(options is None or not options.instance) and self.has_another(tried),
            chance=self.client.chance(),
        )  # fmt: skip
        now = self._now()
        if pause is None or now + pause >= call.deadline or not self.client.extra_attempt(now, self.counters):
            return tried, None
        self.counters.note("retries")
        call.attempt += 1
        return tried, pause

    def may_double(self, tried: Tried) -> bool:
        """May there be an attempt beside the one that runs? Counts it."""
        if not (self.endpoint.idempotent or tried.idempotent):
            return False
        if not self.has_another(tried) or len(tried.nodes) >= self.client.retries.attempts:
            return False
        if not self.client.extra_attempt(self._now(), self.counters):
            return False
        self.counters.note("hedges")
        return True

    def has_another(self, tried: Tried) -> bool:
        """Is there an instance that the call has not asked, and that can take it?"""
        return another(self.client.target.instances, tried.nodes, 0.0) is not None

    def _instance(self, call: Call, options: CallOptions | None, tried: Tried | None, now: float) -> Instance:
        """The instance of an attempt; after the first, or beside it, one that was not asked yet, where there is one."""
        if tried is None:
            return self._choose(call, options, now)
        chosen = None
        if tried.nodes and (options is None or not options.instance):
            chosen = another(self.client.target.instances, tried.nodes, self.client.chance())
        chosen = chosen or self._choose(call, options, now)
        tried.nodes.append(chosen.node_id)
        call.attempt = len(tried.nodes)
        return chosen


def served(channel: Channel, call: Call) -> EndpointDescription | None:
    """The endpoint of `call` as the node says it serves it, which it tells who connects."""
    endpoints = channel.surface.endpoints
    return endpoints[call.endpoint] if call.endpoint < len(endpoints) else None


def results_at(offered: EndpointDescription | None, call: Call) -> str:
    """The store where the node keeps what `call` gives under its idempotency key; "" where it has none, or the call no key."""
    return offered.results if offered is not None and call.idempotency_key is not None else ""
