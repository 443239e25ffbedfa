"""Events that come in: one consumer per subscription, one run of its handler and one verdict per delivery; a task of its own has a
handler that suspends (:mod:`turns`).

Return = ack; `Retry` = again after a delay; `Reject` = dead letter at once; any other exception = again with backoff, dead
letter after `max_deliveries`. One event's failure never ends the subscription (Vyked 2.x: defect 21).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import Context as Variables
from functools import partial
from typing import Any

from ..contracts import Clock, Consumer, Delivery, Middleware, PubSub
from ..errors import CallError, DeadlineExceeded, StartError
from ..model.description import EndpointDescription, Kind, SubscriptionDescription
from ..model.message import SENSITIVE, Call, Fault, Subscription, Verdict
from ..routing.backoff import Backoff
from ..service.context import CURRENT, Context, Reject, Retry
from ..service.context import Delivery as Told
from ..wire import metadata as headers
from .codecs import Codecs
from .failures import raised_at
from .outcomes import internal_fault
from .routes import compose
from .statistics import CallCounters
from .tasks import TaskScope
from .trail import LOST, Delivered, EventTrail
from .turns import Run, Turn

CAUSE_CHARACTERS = 2000
"""Of what a handler raised, that travels with a dead letter."""
HELD_S = 12 * 3600.0
"""One handler may keep an event so long by in_progress(), before [timing] scale: as long as SQS lets a message be invisible to others. A
handler that goes on for ever would else hold its event for ever, unseen by whoever looks for dead letters."""
_REDELIVERY = Backoff(first=1.0, most=120.0, factor=5.0)
ACK = Verdict(action="ack")


class Handling:
    """One delivery on its way through its handler: `turns.Run`. One that is cancelled before its first line is the bus's again."""

    ended = False
    reason: Fault | None = None

    def __init__(self, handle: Callable[[Delivery], Coroutine[Any, Any, None]], delivery: Delivery) -> None:
        self._handle, self._delivery = handle, delivery

    def run(self) -> Coroutine[Any, Any, None]:
        """The handler, and what the bus is told."""
        return self._handle(self._delivery)

    def started(self, task: asyncio.Task[None]) -> None:
        """It goes on in a task of the host's events, which is asked for its handlers there."""

    def abandoned(self, task: asyncio.Task[None]) -> None:
        """It was not settled, so the bus brings it again, where it keeps events."""


class Subscriber:
    """One @subscribe or @xsubscribe handler of one service at this node. `handler_s`: the time that a handler has for one event
    before the bus may deliver it again (docs/semantics.md, events); `scale` is that of [timing]; `apart`: each event has a task of its
    own, as ``[host] runner = "task"`` has it for calls."""

    def __init__(
        self, *, description: SubscriptionDescription, consumer: str, consumer_major: int, group: str | None, member: str,
        handler: Callable[[Any], Any], chain: Sequence[Middleware], codecs: Codecs, serializers: Mapping[str, str],
        tasks: TaskScope, clock: Clock, log: logging.Logger, trail: EventTrail, handler_s: float, scale: float = 1.0,
        apart: bool = False,
    ) -> None:  # fmt: skip
        self._trail, self._topic = trail, f"{description.service}.{description.event}@{description.major}"
        self.since = clock.unix()
        self._description, self._tasks, self._clock, self._log = description, tasks, clock, log
        self._handler_s, self._scale = handler_s, scale
        name = f"{description.service}.{description.event}"
        self._endpoint = EndpointDescription(
            service=consumer, version=f"{consumer_major}", name=description.handler, kind=Kind.UNARY,
            arguments=description.payload, timeout_s=handler_s, summary=f"on {name}",
        )  # fmt: skip
        self._decoders = {
            content_type: codecs.bind(description.payload, serializer).decode
            for content_type, serializer in serializers.items()
        }
        self._proceed = compose(self._endpoint, "consumer", chain, handler)
        self.path = self._endpoint.path
        """``consumer.handler``."""
        self.counters = CallCounters("consumer")
        self.gaps = 0
        self._task_name = f"event {self.path}"
        # in one turn of the loop as many are begun as may run at once: what else there is to do has its turn in between
        self._start = self._alone if apart else Turn(self._begin, most=description.concurrency).start
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
        self._start(Handling(self._handle, delivery))

    def _alone(self, run: Run) -> None:
        self._begin(run.run())

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return Variables().run(self._tasks.begin, work, self._task_name)

    async def _handle(self, delivery: Delivery) -> None:
        now, counters, event = self._clock.now, self.counters, delivery.event
        began = now()
        counters.in_flight += 1
        entry = self._trail.delivers(event.id, self._topic, self.path, self.subscription.group, delivery.count)
        ended = LOST
        try:
            verdict = await self._run(delivery, began, entry)
            ended = verdict.action
        finally:
            counters.in_flight -= 1
            took_s = now() - began
            self._trail.ended(entry, ended, took_s)
        if verdict is ACK:
            counters.succeeded(took_s)
        else:
            counters.fault(verdict.action.upper(), took_s)
        try:
            told = delivery.settle(verdict)
            if isinstance(told, asyncio.Future):
                self._tasks.keep(told, self._task_name)
                told.add_done_callback(partial(self._is_told, event.id, verdict))
            else:
                await told
        except Exception as error:  # noqa: BLE001 - the bus brings the event again; idempotency keys are for that
            self._not_told(event.id, verdict, error)

    def _is_told(self, event_id: str, verdict: Verdict, told: asyncio.Future[None]) -> None:
        error = None if told.cancelled() else told.exception()
        if error is not None:
            self._not_told(event_id, verdict, error)

    def _not_told(self, event_id: str, verdict: Verdict, error: BaseException) -> None:
        self._log.error(
            "%s: the bus could not be told %s of event %s, which may come again: %r",
            self.path, verdict.action, event_id, error,
        )  # fmt: skip

    async def _run(self, delivery: Delivery, began: float, entry: Delivered) -> Verdict:
        event = delivery.event
        metadata = event.metadata
        if SENSITIVE in metadata:
            metadata = {name: value for name, value in metadata.items() if name != SENSITIVE}
        packed = headers.pack(metadata) if metadata else None
        call = Call(0, 0, "object", None, began + self._handler_s, metadata=packed, attempt=delivery.count)
        # before anything else, for the task may have run another handler before
        told = Told(
            id=event.id, delivery_count=delivery.count, idempotency_key=event.id,
            extend=partial(self._extend, delivery, call, began),
        )  # fmt: skip
        CURRENT.set(Context(call, self._description, self._clock.now, told))
        decode = self._decoders.get(event.content_type)
        if decode is None:
            entry.cause = f"no serializer here for {event.content_type}"
            return self._refused(entry.cause)
        try:
            call.body = payload = decode(event.body)
        except ValueError as error:
            entry.cause = "the payload does not fit the type that the handler takes"
            return self._refused(f"the payload does not fit: {error}")
        try:
            await self._proceed(payload)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # one event's failure is its own: redelivered, then dead-lettered
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise  # by the drain: the bus gives the event to somebody else
            return self._verdict(delivery, error, entry)
        return ACK

    def _verdict(self, delivery: Delivery, error: BaseException, entry: Delivered) -> Verdict:
        """On what a handler raised."""
        if isinstance(error, Retry):
            entry.cause = str(error)
            return self._again(delivery, error.after, str(error))
        if isinstance(error, Reject):
            entry.cause = str(error)
            return Verdict(action="reject", cause=_plain(str(error)))
        fault = internal_fault(self._endpoint, error, self._log)
        entry.cause = f"{raised_at(error)}, in the log under {fault.details['id']}"
        seconds = _REDELIVERY.delay(delivery.count - 1, random.random()) * self._scale
        return self._again(delivery, seconds, f"{error!r} {fault.details}")

    async def _extend(self, delivery: Delivery, call: Call, began: float) -> None:
        if self._clock.now() >= began + HELD_S * self._scale:
            hours = HELD_S / 3600
            text = f"{self.path} has had event {delivery.event.id} for {hours:g} h: others may get it now"
            raise DeadlineExceeded(text, executed="unknown")
        await delivery.settle(Verdict(action="extend", seconds=self._handler_s))
        call.deadline = self._clock.now() + self._handler_s

    def _again(self, delivery: Delivery, seconds: float, cause: str) -> Verdict:
        if delivery.count >= self._description.max_deliveries:
            return Verdict(action="reject", cause=_plain(f"given up after {delivery.count} deliveries: {cause}"))
        return Verdict(action="retry", seconds=seconds, cause=_plain(cause))

    def _refused(self, cause: str) -> Verdict:
        self._log.error("%s: an event was refused: %s", self.path, cause)
        return Verdict(action="reject", cause=cause)


def _plain(cause: str) -> str:
    """What a bus can carry and keep of a cause: text that can be encoded, and not all of it (a name of a file, say, need not
    be; what is cut is in the log)."""
    return cause[:CAUSE_CHARACTERS].encode(errors="backslashreplace").decode()


def _is_cancelled() -> bool:
    """Was this task cancelled from outside, rather than the handler by itself?"""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
