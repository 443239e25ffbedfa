"""Events that come in: one consumer per subscription, one task per event, one verdict per delivery.

Return = ack; `Retry` = again after a delay; `Reject` = dead letter at once; any other exception = again with backoff, dead
letter after `max_deliveries`. One event's failure never ends the subscription (Vyked 2.x: defect 21).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context as Variables
from typing import Any

from ..contracts import Clock, Consumer, Delivery, Middleware, PubSub
from ..errors import DeadlineExceeded
from ..model.description import EndpointDescription, Kind, SubscriptionDescription
from ..model.message import SENSITIVE, Call, Subscription, Verdict
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

CAUSE_CHARACTERS = 2000
"""Of what a handler raised, that travels with a dead letter."""
HELD_S = 12 * 3600.0
"""One handler may keep an event so long by in_progress(), before [timing] scale: as long as SQS lets a message be invisible to others. A
handler that goes on for ever would else hold its event for ever, unseen by whoever looks for dead letters."""
_REDELIVERY = Backoff(first=1.0, most=120.0, factor=5.0)


class Subscriber:
    """One @subscribe or @xsubscribe handler of one service at this node. `handler_s`: the time that a handler has for one event
    before the bus may deliver it again (docs/semantics.md, events); `scale` is that of [timing]."""

    def __init__(
        self, *, description: SubscriptionDescription, consumer: str, consumer_major: int, group: str | None, member: str,
        handler: Callable[[Any], Any], chain: Sequence[Middleware], codecs: Codecs, serializers: Mapping[str, str],
        tasks: TaskScope, clock: Clock, log: logging.Logger, trail: EventTrail, handler_s: float, scale: float = 1.0,
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
        self.counters = CallCounters("consumer")
        self.gaps = 0
        self._consumer: Consumer | None = None
        self.subscription = Subscription(
            service=description.service, major=description.major, name=description.event,
            group=group,
            member=member, since=description.since, strategy=description.strategy, concurrency=description.concurrency,
        )  # fmt: skip

    @property
    def path(self) -> str:
        """``consumer.handler``."""
        return self._endpoint.path

    @property
    def topic(self) -> str:
        """``service.event@major``."""
        return self._topic

    async def start(self, pubsub: PubSub) -> None:
        """Subscribe. Raises NotSupported when the bus can't give what is asked for."""
        self.since = self._clock.unix()
        self._consumer = await pubsub.subscribe(self.subscription, self._deliver)

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
        Variables().run(self._tasks, self._handle(delivery), f"event {self.path}")

    async def _handle(self, delivery: Delivery) -> None:
        began = self._clock.now()
        self.counters.in_flight += 1
        entry = self._trail.delivers(
            delivery.event.id, self._topic, self.path, self.subscription.group, delivery.count
        )  # fmt: skip
        ended = LOST
        try:
            verdict = await self._run(delivery, began, entry)
            ended = verdict.action
        finally:
            self.counters.in_flight -= 1
            self._trail.ended(entry, ended, self._clock.now() - began)
        if verdict.action == "ack":
            self.counters.succeeded(self._clock.now() - began)
        else:
            self.counters.fault(verdict.action.upper(), self._clock.now() - began)
        await self._settle(delivery, verdict)

    async def _settle(self, delivery: Delivery, verdict: Verdict) -> None:
        try:
            await delivery.settle(verdict)
        except Exception as error:  # noqa: BLE001 - the bus brings the event again; idempotency keys are for that
            self._log.error(
                "%s: the bus could not be told %s of event %s, which may come again: %r",
                self.path, verdict.action, delivery.event.id, error,
            )  # fmt: skip

    async def _run(self, delivery: Delivery, began: float, entry: Delivered) -> Verdict:
        event = delivery.event
        decode = self._decoders.get(event.content_type)
        if decode is None:
            entry.cause = f"no serializer here for {event.content_type}"
            return self._refused(entry.cause)
        try:
            payload = decode(event.body)
        except ValueError as error:
            entry.cause = "the payload does not fit the type that the handler takes"
            return self._refused(f"the payload does not fit: {error}")
        metadata = event.metadata
        if SENSITIVE in metadata:
            metadata = {name: value for name, value in metadata.items() if name != SENSITIVE}
        call = Call(
            0, 0, "object", payload, began + self._handler_s, metadata=headers.pack(metadata), attempt=delivery.count
        )  # fmt: skip
        CURRENT.set(Context(call, self._description, self._clock.now, self._told(delivery, call)))
        try:
            await self._proceed(payload)
        except Retry as retry:
            entry.cause = str(retry)
            return self._again(delivery, retry.after, str(retry))
        except Reject as reject:
            entry.cause = str(reject)
            return Verdict(action="reject", cause=_plain(str(reject)))
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # one event's failure is its own: redelivered, then dead-lettered
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise  # by the drain: the bus gives the event to somebody else
            fault = internal_fault(self._endpoint, error, self._log)
            entry.cause = f"{raised_at(error)}, in the log under {fault.details['id']}"
            seconds = _REDELIVERY.delay(delivery.count - 1, random.random()) * self._scale
            return self._again(delivery, seconds, f"{error!r} {fault.details}")
        return Verdict(action="ack")

    def _told(self, delivery: Delivery, call: Call) -> Told:
        until = self._clock.now() + HELD_S * self._scale

        async def extend() -> None:
            if self._clock.now() >= until:
                hours = HELD_S / 3600
                text = f"{self.path} has had event {delivery.event.id} for {hours:g} h: others may get it now"
                raise DeadlineExceeded(text, executed="unknown")
            await delivery.settle(Verdict(action="extend", seconds=self._handler_s))
            call.deadline = self._clock.now() + self._handler_s

        event = delivery.event
        return Told(id=event.id, delivery_count=delivery.count, idempotency_key=event.id, extend=extend)

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
