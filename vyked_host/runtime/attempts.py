"""The attempts of a call: instance, channel, encode, send, wait, decode; and once more elsewhere where that may be.

The way without failures is the one that counts: whom the call has tried, the budget and the pause exist from the first failure on.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ..contracts import Channel
from ..errors import CallError, HeldUp
from ..model.message import Call, Fault
from ..routing.candidates import another
from ..routing.outliers import speaks_against
from ..routing.retries import Failure, may_run_twice
from ..service.clients import CallOptions
from ..service.context import inherited_context
from .answers import Answer
from .hedging import race
from .instances import Instance
from .links import Ends, Way
from .outcomes import unsendable
from .outgoing import HOP_S, LEAST_S, Outgoing
from .statistics import BATCH
from .tried import Tried, results_at, served


class Attempts(Outgoing):
    """One endpoint with one answer."""

    async def call(self, arguments: Any, _inbound: Any, options: CallOptions | None) -> Any:
        """One call: its attempts, one after the other."""
        now, answer, ends = self._now(), None, None
        if options is None:
            deadline, metadata, outer = now + self.timeout, None, inherited_context(None)
            if outer is not None:
                deadline, metadata = min(deadline, outer.deadline - HOP_S), outer.onward(None)
            call = Call(0, 0, "", None, deadline, metadata=metadata, caller=self._caller)
        elif options.hedge_after is not None:
            return await race(self, arguments, options, options.hedge_after)
        else:
            call = self._new(options, now)
        is_usual = call.deadline - now >= LEAST_S and (options is None or not options.instance)
        try:
            instance = self._target.choose(call) if is_usual else self._choose(call, options, now)
            way = instance.link.best if self.is_plain else instance.link.least_busy(self._only, self._count)
            if (ends := way.ends.get(self)) is not None:
                answer = self._sent(call, arguments, instance, ends, now)
                body = await answer.future
                try:  # as `Answer.result`
                    result = ends[4](body)
                except (ValueError, TypeError) as error:
                    raise answer.misfit(error) from error
        except BaseException as error:
            tried, pause = self._after(answer, error, call, options, ends[0] if ends is not None else None)
            answer = None
            if pause is None:
                raise
        else:
            if answer is None:  # of a connection that has to be dialled, or was just now
                return await self._attempts(call, arguments, options, None, instance)
            answer.running = None  # as in `_succeeded`
            elapsed, seconds = self._now() - now, self._seconds
            instance.in_flight -= 1
            self._waiting.pop(answer, None)
            seconds.append(elapsed)
            if len(seconds) >= BATCH or instance.failures or self._observer is not None:
                self._told(instance, elapsed)
            return result
        return await self._again(call, arguments, options, tried, pause)

    async def going_on(self, call: Call, arguments: Any, answer: Answer) -> Any:
        """The rest of a call whose first attempt has been begun inside this process: `answer` waits for it."""
        try:
            result = answer.result(await answer.future)
        except BaseException as error:
            tried, pause = self._after(answer, error, call, None, answer.instance.link.best.channel)
            del answer  # as in `_attempts`
            if pause is None:
                raise
        else:
            self._succeeded(answer)
            return result
        return await self._again(call, arguments, None, tried, pause)

    def _after(
        self, answer: Answer | None, error: BaseException, call: Call, options: CallOptions | None, asked: Channel | None
    ) -> tuple[Tried | None, float | None]:  # fmt: skip
        """Account for a first attempt that failed; what comes next, as `_next` says it."""
        self._over(answer, error, call, None, 0.0)
        return self._next(error, call, options, None, asked)

    async def _again(
        self, call: Call, arguments: Any, options: CallOptions | None, tried: Tried | None, pause: float
    ) -> Any:  # fmt: skip
        """The attempts after the first."""
        if pause > 0.0:
            await asyncio.sleep(pause)
        return await self._attempts(call, arguments, options, tried)

    async def beside(self, arguments: Any, options: CallOptions, tried: Tried) -> Any:
        """The same call where more attempts run beside these: `tried` is theirs, too."""
        return await self._attempts(self._new(options, self._now()), arguments, options, tried)

    async def _attempts(
        self, call: Call, arguments: Any, options: CallOptions | None, tried: Tried | None, chosen: Instance | None = None
    ) -> Any:  # fmt: skip
        """One attempt after the other, the first at the instance that is `chosen` already."""
        clock = self._now
        while True:
            now, answer = clock(), None
            dialling = 0.0  # when it began; then, negative, how long it took
            try:
                instance, chosen = chosen or self._instance(call, options, tried, now), None
                way = instance.link.best if self.is_plain else instance.link.least_busy(self._only, self._count)
                channel = way.channel
                if channel is None:
                    dialling = clock()
                    instance, way, channel = await self._dialled(instance, way, call, options)
                    now = clock()
                    dialling -= now
                answer = self._send(call, arguments, instance, way, channel, tried, now)
                result = answer.result(await answer.future)
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

    # ---- one attempt -----------------------------------------------------------------------------------------------
    def _send(
        self, call: Call, arguments: Any, instance: Instance, way: Way, channel: Channel, tried: Tried | None, now: float
    ) -> Answer:  # fmt: skip
        ends = way.ends.get(self)
        if ends is None or ends[0] is not channel:
            index, codec = way.agreed(channel, self.endpoint)
            codecs = self.codecs_of(codec)
            ends = (channel, index, codec, codecs.encode, codecs.decode)
            if way.channel is channel:  # it may have retired while this call waited for the dial
                way.ends[self] = ends
        if tried is not None and (tried.doubt is not None or not self.endpoint.idempotent):
            call.endpoint = ends[1]
            offered = served(channel, call)
            tried.idempotent = offered is not None and offered.idempotent
            if tried.doubt is not None and results_at(offered, call) != tried.results:
                doubt, tried = tried.doubt, None
                try:
                    raise doubt
                finally:
                    del doubt  # as in `_attempts`
        return self._sent(call, arguments, instance, ends, now)

    def _sent(self, call: Call, arguments: Any, instance: Instance, ends: Ends, now: float) -> Answer:
        """What waits for the answer of a call that is sent to one of its `ends`."""
        channel, call.endpoint, call.codec, encode, decode = ends
        try:
            call.body = encode(arguments)
        except (ValueError, TypeError, OverflowError) as error:
            raise unsendable(self.endpoint, error) from error
        answer = Answer(self.endpoint, instance, decode, self._loop.create_future(), now, call.deadline)
        waiting, pending = self._waiting, self._pending
        if len(waiting) >= pending.room:
            pending.make_room()
        waiting[answer] = None
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
        instance, elapsed = answer.instance, self._now() - answer.began
        instance.in_flight -= 1
        self._waiting.pop(answer, None)
        self._seconds.append(elapsed)
        self._told(instance, elapsed)

    def _told(self, instance: Instance, elapsed_s: float) -> None:
        """An attempt was answered: count it with those before, and tell who wants to know."""
        if len(self._seconds) >= BATCH:
            self.counters.tally.fold()
        if self._observer is not None:
            self._observer.observed(instance, None, elapsed_s)
        instance.failures = 0

    def given_up(self, answer: Answer) -> None:
        """An attempt was broken off by what ends the program."""
        self._ended(answer, None)

    def _ended(self, answer: Answer, error: CallError | None) -> None:
        instance = answer.instance
        instance.in_flight -= 1
        self._waiting.pop(answer, None)
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
            Failure(
                code=error.code, executed=error.executed, retry_after=error.retry_after, passing=isinstance(error, HeldUp)
            ),
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
