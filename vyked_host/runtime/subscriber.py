"""Events that come in: one consumer per subscription, one run of its handler and one verdict per delivery; a task of its own has a
handler that suspends (:mod:`arrivals`).

Return = ack; `Retry` = again after a delay; `Reject` = dead letter at once; any other exception = again with backoff, dead
letter after `max_deliveries`. One event's failure never ends the subscription (Vyked 2.x: defect 21).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from contextvars import Context as Variables
from types import CoroutineType, coroutine
from typing import Any

from ..contracts import Clock, Consumer, Delivery, Event, Middleware, PubSub, Settlement
from ..errors import CallError, DeadlineExceeded, StartError
from ..model.description import EndpointDescription, Kind, SubscriptionDescription
from ..model.message import Subscription, Verdict
from ..routing.backlog import SETTLED
from ..routing.backoff import Backoff
from ..service.context import Reject, Retry, enter_context
from .ahead import Rest
from .arrivals import Arrivals
from .codecs import Codecs
from .failures import raised_at
from .handling import UNREAD, Handling
from .inside import Come, Share
from .outcomes import internal_fault
from .routes import compose
from .statistics import BATCH, CallCounters
from .tasks import TaskScope
from .telling import Telling
from .trail import LOST, Delivered, EventTrail
from .trail import Consumer as Consumes
from .turns import ENDED

CAUSE_CHARACTERS = 2000
"""Of what a handler raised, that travels with a dead letter."""
HELD_S = 12 * 3600.0
"""One handler may keep an event so long by in_progress(), before [timing] scale: as long as SQS lets a message be invisible to others. A
handler that goes on for ever would else hold its event for ever, unseen by whoever looks for dead letters."""
_REDELIVERY = Backoff(first=1.0, most=120.0, factor=5.0)
ACK = Verdict(action="ack")


class Subscriber:
    """One @subscribe or @xsubscribe handler of one service at this node. `handler_s`: the time that a handler has for one event
    before the bus may deliver it again (docs/semantics.md, events); `share`: what all handlers may begin at once; `scale` is that of [timing]; `apart`: each event has a task of its
    own, as ``[host] runner = "task"`` has it for calls."""

    def __init__(
        self, *, description: SubscriptionDescription, consumer: str, consumer_major: int, group: str | None, member: str,
        handler: Callable[[Any], Any], chain: Sequence[Middleware], codecs: Codecs, serializers: Mapping[str, str],
        tasks: TaskScope, clock: Clock, log: logging.Logger, trail: EventTrail, handler_s: float, share: Share, scale: float = 1.0,
        apart: bool = False,
    ) -> None:  # fmt: skip
        self._trail = trail
        self._topic = f"{description.service}.{description.event}@{description.major}"
        self.since = clock.unix()
        self._description, self._tasks, self._clock, self._log = description, tasks, clock, log
        self._now = clock.now
        self._handler_s, self._scale = handler_s, scale
        name = f"{description.service}.{description.event}"
        self.endpoint = EndpointDescription(
            service=consumer, version=f"{consumer_major}", name=description.handler, kind=Kind.UNARY,
            arguments=description.payload, timeout_s=handler_s, summary=f"on {name}",
        )  # fmt: skip
        self.decoders = {
            content_type: codecs.bind(description.payload, serializer).decode
            for content_type, serializer in serializers.items()
        }
        self._proceed = compose(self.endpoint, "consumer", chain, handler)
        self.path = self.endpoint.path
        """``consumer.handler``."""
        self.counters = CallCounters("consumer")
        self._seconds = self.counters.tally.seconds
        self.gaps = 0
        self._consumes, self._keep = Consumes(self._topic, self.path, group), trail.delivered.append
        self._task_name = f"event {self.path}"
        self._telling = Telling(tasks, self._task_name, self.path, log)
        # in one turn of the loop as many are begun as may run at once: what else there is to do has its turn in between
        loop = asyncio.get_running_loop()
        arrivals = Arrivals(loop, self._begin, description.concurrency, share, self._handles)
        self._start = self._alone if apart else arrivals.start
        self._consumer: Consumer | None = None
        self.subscription = Subscription(
            service=description.service, major=description.major, name=description.event,
            group=group,
            member=member, since=description.since, strategy=description.strategy, concurrency=description.concurrency,
        )  # fmt: skip

    @property
    def topic(self) -> str:
        """``service.event@major``."""
        return self._topic

    async def start(self, pubsub: PubSub) -> None:
        """Subscribe. Raises NotSupported when the bus can't give what is asked for, StartError."""
        self.since = self._clock.unix()
        try:
            self._consumer = await pubsub.subscribe(self.subscription, self._deliver)
        except CallError as error:  # nobody's call: this host's own start
            raise StartError(f"{self.path}: {error}") from error

    def pause(self) -> None:
        """Drain began."""
        if self._consumer is not None:
            self._consumer.pause()

    async def pending(self) -> int:
        """Events that wait for this handler."""
        return await self._consumer.pending() if self._consumer is not None else 0

    async def aclose(self) -> None:
        """End the subscription."""
        if self._consumer is not None:
            await self._consumer.aclose()
            self._consumer = None

    def _deliver(self, delivery: Delivery) -> None:
        if delivery.gap:
            self.gaps += max(delivery.gap, 1)
            self._log.warning(
                "%s missed %s events before this one", self.path, delivery.gap if delivery.gap > 0 else "some"
            )
        began = self._now()
        self._start(
            Handling(
                None, self._description, self._now, subscriber=self, taken=delivery, began=began, deadline=began + self._handler_s
            )
        )  # fmt: skip

    def _alone(self, run: Come) -> None:
        self._begin(run.run())

    def goes_on(self, task: asyncio.Task[None]) -> None:
        """`task` is that of a handler from now on, which is asked for its handlers among the host's events."""
        self._tasks.adopt(task, self._task_name)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return Variables().run(self._tasks.begin, work, self._task_name)

    async def handle(self, run: Handling) -> None:
        """One delivery, to its end."""
        await self._handles(None, run)
        run.ended = True

    @coroutine
    def _handles(self, rest: Rest | None, run: Handling | None = None) -> Generator[Any, Any, None]:
        """`run` to its end; else, as the work of a task, each that it is sent, until the task is kept by one."""
        counters, now, handler, decoders = self.counters, self._now, self._proceed, self.decoders
        consumer, unix, keep, seconds = self._consumes, self._clock.unix, self._keep, self._seconds
        while True:
            run = run or (yield ENDED)
            enter_context(run)  # before anything else, for the task may have run another handler before
            delivery, verdict = run.taken, None
            event = delivery.event
            entry = Delivered(event.id, consumer, delivery.count, unix())
            keep(entry)
            counters.in_flight += 1
            try:
                run.payload = work = decoders.get(event.content_type, _unknown)(event.body)
                work = handler(work)
                if work.__class__ is not CoroutineType:
                    work = work.__await__()
                yield from work
                verdict = ACK
            except BaseException as error:  # noqa: BLE001 - what ends the task is raised again; else one event's failure is its own
                verdict = self._verdict(run, error, entry)
            finally:
                counters.in_flight -= 1
                entry.seconds = took_s = now() - run.began
                if verdict is ACK:
                    seconds.append(took_s)
                    if len(seconds) >= BATCH:
                        counters.tally.fold()
                else:
                    self._failed(entry, verdict)
            try:
                work = delivery.settle(verdict)
                if work is not SETTLED:
                    yield from self._told(work, event.id, verdict)
            except Exception as error:  # noqa: BLE001 - the bus brings the event again; idempotency keys are for that
                self._telling.failed(event.id, verdict, error)
            if rest is None or rest.is_kept:
                return
            run = work = None  # of what waits for the next one
            del delivery, event

    def _told(self, settled: Awaitable[None], event_id: str, verdict: Verdict) -> Iterable[Any]:
        """The bus is being told of it: what there is to wait for, if anything."""
        if isinstance(settled, Settlement):
            self._telling.follow(settled, event_id, verdict)
        elif isinstance(settled, asyncio.Future):
            self._telling.keep(settled, event_id, verdict)
        else:
            return settled.__await__()
        return ()

    def _failed(self, entry: Delivered, verdict: Verdict | None) -> None:
        """Count and remember it; None: nobody knows what became of it."""
        self._trail.failed(entry, LOST if verdict is None else verdict.action)
        if verdict is not None:
            self.counters.fault(verdict.action.upper(), entry.seconds)

    def _verdict(self, run: Handling, error: BaseException, entry: Delivered) -> Verdict:
        """On what was raised, in the except block of it; what ends the task is raised again."""
        if run.payload is UNREAD and isinstance(error, ValueError):
            return self._refused(run.taken.event, error, entry)
        delivery = run.taken
        if isinstance(error, (KeyboardInterrupt, GeneratorExit)):
            raise error
        if isinstance(error, asyncio.CancelledError) and _is_cancelled():
            raise error  # by the drain: the bus gives the event to somebody else
        if isinstance(error, Retry):
            entry.cause = str(error)
            return self._again(delivery, error.after, str(error))
        if isinstance(error, Reject):
            entry.cause = str(error)
            return Verdict(action="reject", cause=_plain(str(error)))
        fault = internal_fault(self.endpoint, error, self._log)
        entry.cause = f"{raised_at(error)}, in the log under {fault.details['id']}"
        seconds = _REDELIVERY.delay(delivery.count - 1, random.random()) * self._scale
        return self._again(delivery, seconds, f"{error!r} {fault.details}")

    async def extend(self, run: Handling) -> None:
        """Tell the bus that the handler is still at it. Raises DeadlineExceeded."""
        if self._now() >= run.began + HELD_S * self._scale:
            hours = HELD_S / 3600
            text = f"{self.path} has had event {run.event_id} for {hours:g} h: others may get it now"
            raise DeadlineExceeded(text, executed="unknown")
        await run.taken.settle(Verdict(action="extend", seconds=self._handler_s))
        run.until(self._now() + self._handler_s)

    def _again(self, delivery: Delivery, seconds: float, cause: str) -> Verdict:
        if delivery.count >= self._description.max_deliveries:
            return Verdict(action="reject", cause=_plain(f"given up after {delivery.count} deliveries: {cause}"))
        return Verdict(action="retry", seconds=seconds, cause=_plain(cause))

    def _refused(self, event: Event, error: ValueError, entry: Delivered) -> Verdict:
        if event.content_type in self.decoders:
            entry.cause = "the payload does not fit the type that the handler takes"
            cause = f"the payload does not fit: {error}"
        else:
            entry.cause = cause = f"no serializer here for {event.content_type}"
        self._log.error("%s: an event was refused: %s", self.path, cause)
        return Verdict(action="reject", cause=cause)


def _unknown(_body: bytes) -> Any:
    """The decoder of a content type that nobody here reads."""
    raise ValueError


def _plain(cause: str) -> str:
    """What a bus can carry and keep of a cause: text that can be encoded, and not all of it (a name of a file, say, need not
    be; what is cut is in the log)."""
    return cause[:CAUSE_CHARACTERS].encode(errors="backslashreplace").decode()


def _is_cancelled() -> bool:
    """Was this task cancelled from outside, rather than the handler by itself?"""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
