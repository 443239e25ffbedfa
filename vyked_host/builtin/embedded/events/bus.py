"""The event bus of a mesh, seen from one node: what it publishes and subscribes goes to the broker at the hub's holder.

Terms come and go, and the node follows them: what is not accepted yet is published to the next holder under its id, every
subscription is made again once, and what became of a delivery is told to whoever holds the hub then.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path

from ....contracts import (
    Consumer,
    Delivery,
    Environment,
    Event,
    Guarantees,
    PubSub,
    Subscription,
    Term,
    Verdict,
)
from ....errors import CallError, NotFound, NotSupported, StartError, TooLarge, Unavailable, VykedError
from ....model.queues import refusal
from ....routing.backoff import Backoff
from ..mishaps import Mishaps
from ..options import MIB, BusOptions
from ..provider import guarantees
from .asking import Asking
from .desk import BusDesk
from .inbox import GroupDelivery, Inbox
from .inquiries import Moving
from .letters import Succession, Wanted
from .links import Away, Here, Link
from .outbox import Outbox
from .parcel import Parcel, Topic
from .replay import Replay, ReplayConsumer
from .settlements import Settlements

_AGAIN = Backoff(first=0.05, most=2.0)
LEAVE_S = 2.0
"""Each step of leaving takes so long at most, so that a host whose hub is gone ends all the same ([timing] scale applies)."""


class EmbeddedBus(Asking, PubSub):
    """`contracts.PubSub` of one node."""

    def __init__(self, options: BusOptions, env: Environment) -> None:
        self._options, self._env, self._clock = options, env, env.clock
        self._path = str(Path(env.folder, options.path)) if options.path is not None else None
        self._name = f"{env.node_id}#{secrets.token_hex(4)}"
        self._hub = env.hub(options.address)
        self._hub.offer(BusDesk, self._desk)
        self._inbox = Inbox(env, self, options.queue)
        self._outbox = Outbox(env, options.memory, self._why_not)
        self._settlements = Settlements(env, options.ack_wait * env.timing.scale)
        self._link: Link | None = None
        self._here: Here | None = None
        self._changed = asyncio.Event()
        self._trouble: VykedError | None = None
        self._terms, self._told_all = 0, False
        self._before: Succession | None = None
        self._cancel: Callable[[], None] | None = None
        self._closed = False
        self.mishaps = Mishaps(env.log, "following the event bus")

    def _desk(self) -> BusDesk:
        return BusDesk.furnished(self._options, self._env, self._path, before=self._before)

    # ---- following the hub -------------------------------------------------------------------------------------------
    def _start(self) -> None:
        if self._cancel is None and not self._closed:
            self._cancel = self._env.tasks(self._follow(), "following the event bus")

    async def _follow(self) -> None:
        failures = 0
        while True:
            try:
                await self._follow_one()
                failures = 0
            except (VykedError, Moving) as error:
                failures += 1
                self._in_trouble(error)
            except Exception as error:  # noqa: BLE001 - told; without this loop the node would have no bus for ever
                failures += 1
                self.mishaps.met(error)
                self._in_trouble(Unavailable(f"following it failed: {error!r}", executed="not_sent"))
            if failures:
                await asyncio.sleep(_AGAIN.delay(failures - 1, self._env.rng.random()))

    async def _follow_one(self) -> None:
        """One term, from its beginning to its end."""
        term = await self._hub.term()
        link = await self._opened(term)
        self._terms += 1
        try:
            self._use(link)
            await asyncio.wait({term.over})
        finally:
            self._lose(link)

    async def _opened(self, term: Term) -> Link:
        link: Link
        if term.is_here:
            link = Here(term, self._name, self._inbox, self._env)
        else:
            link = Away(term, self._name, self._inbox, self._settlements, self._env)
        try:
            await link.open(told_all=self._told_all)
        except NotFound as error:
            raise StartError(
                f"{term.node_id} holds the hub and keeps no events: every host of a mesh needs the same [pubsub] use"
            ) from error
        return link

    def _in_trouble(self, error: VykedError) -> None:
        if self._terms or not isinstance(error, StartError):
            self._env.log.debug("the event bus has no holder: %s", error)
        self._trouble = error
        self._tell()

    def _use(self, link: Link) -> None:
        self._link, self._trouble = link, None
        if isinstance(link, Here):
            self._outbox.empty_into(link.broker.publish)
            self._settlements.empty_into(link.settle)
            self._here = link
        else:
            self._outbox.resume(link)
            self._settlements.resume(link)
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _lose(self, link: Link) -> None:
        self._link = self._here = None
        self._told_all, self._before = link.told_all, link.succession
        self._outbox.stop()
        self._settlements.stop()
        link.close()

    def _why_not(self) -> str:
        return f"the event bus has no holder: {self._trouble}" if self._trouble else "the event bus has no holder"

    async def _linked_within(self, seconds: float) -> Link:
        """The way to the broker. Raises Unavailable; StartError where this host may not join."""
        self._start()
        deadline = self._clock.now() + seconds
        while self._link is None:
            if isinstance(self._trouble, StartError) and not self._terms:
                raise self._trouble
            try:
                async with asyncio.timeout(max(0.0, deadline - self._clock.now())):
                    await self._changed.wait()
            except TimeoutError:
                raise Unavailable(self._why_not(), executed="not_sent") from None
        return self._link

    # ---- contracts.PubSub --------------------------------------------------------------------------------------------
    async def verify(self) -> Guarantees:
        """Take part in the mesh's hub. Raises StartError when this host may not, or its file can't be used."""
        await self._linked_within(self._env.timing.start)
        return guarantees(self._options)

    def publish(self, event: Event, *, deadline: float) -> Awaitable[None]:
        """Hand over `event`. The awaitable raises errors.TooLarge, Overloaded, Unavailable, DeadlineExceeded."""
        if self._closed:
            return _failed(Unavailable("the event bus of this host is closed", executed="not_executed"))
        if len(event.body) > MIB:
            text = f"event {event.service}.{event.name} has {len(event.body)} bytes; this bus takes {MIB}"
            return _failed(TooLarge(text, executed="not_executed"))
        parcel = Parcel(event)
        if self._here is not None:
            return self._here.broker.publish(parcel, deadline)
        self._start()
        return self._outbox.publish(parcel, deadline)

    async def subscribe(self, subscription: Subscription, deliver: Callable[[Delivery], None]) -> Consumer:
        """Deliver matching events from now on, or from `since` on. Raises errors.NotSupported for `since` where nothing is kept,
        or not for a group, and for a second strategy in one group; Unavailable."""
        if subscription.since is not None:
            return await self._replayed(subscription, subscription.since, deliver)
        not_allowed = refusal(subscription.service, subscription.major, subscription.name, subscription.group)
        if not_allowed:
            raise NotSupported(not_allowed)
        consumer, wanted = self._inbox.add(subscription, deliver)
        try:
            await self._subscribed(wanted)
        except BaseException:
            await consumer.aclose()
            raise
        return consumer

    async def _replayed(
        self, subscription: Subscription, since: str, deliver: Callable[[Delivery], None]
    ) -> Consumer:  # fmt: skip
        if self._options.keep is None or subscription.group is not None:
            raise NotSupported(
                "the embedded bus keeps history only where [pubsub.embedded] has path and keep, and for @subscribe: subscribe without "
                "from_, or use another bus"
            )
        topic = Topic(subscription.service, subscription.major, subscription.name)
        replay = Replay(self._env, topic, lambda: self._linked_within(self._env.timing.start))
        begun = await replay.begin(since)
        consumer, wanted = self._inbox.add(subscription, deliver, ReplayConsumer)
        assert isinstance(consumer, ReplayConsumer)
        try:
            await self._subscribed(wanted)
        except BaseException:
            await consumer.aclose()
            raise
        consumer.cancel = self._env.tasks(replay.run(consumer, begun), f"replay of {topic}")
        return consumer

    async def _subscribed(self, wanted: Wanted) -> None:
        deadline = self._clock.now() + self._env.timing.start
        while True:
            link = await self._linked_within(deadline - self._clock.now())
            try:
                refused = await link.subscribe(wanted)
            except (CallError, Moving):
                if self._clock.now() >= deadline:
                    raise
                await asyncio.sleep(_AGAIN.first)  # the next holder is asked, if this one is gone
                continue
            if refused:
                raise NotSupported(refused)
            self._inbox.followed(wanted.index)
            return

    async def aclose(self) -> None:
        """Hand over what waits, tell the others, leave. Idempotent."""
        self._closed = True
        within = LEAVE_S * self._env.timing.scale
        await self._outbox.flush(within if self._link is not None else 0.0)
        await self._settlements.flush(within if self._link is not None else 0.0)
        link, self._link, self._here = self._link, None, None
        if self._cancel is not None:  # first: a term that ends now must not bring this node back
            self._cancel()
            self._cancel = None
        if link is not None:
            try:
                await link.quit(within)
            except (CallError, Moving) as error:
                self._env.log.debug("the hub could not be told that this node leaves: %s", error)
            link.close()
        self._outbox.close()
        self._settlements.close()

    # ---- inbox.Post --------------------------------------------------------------------------------------------------
    def settle(self, delivery: GroupDelivery, verdict: Verdict) -> Awaitable[None]:
        """What became of a delivery, told to whoever holds the hub."""
        if self._here is not None:
            return self._here.settle(delivery, verdict)
        if self._closed:
            return _failed(Unavailable("the event bus of this host is closed", executed="not_sent"))
        return self._settlements.settle(delivery, verdict)

    def pause(self, index: int) -> None:
        """Nothing new for this subscription."""
        if isinstance(self._link, Here):
            self._link.pause(index)
        elif self._link is not None:
            self._env.tasks(self._told(self._link.pause(index)), "pausing a subscription")

    async def leave(self, index: int) -> None:
        """End this subscription."""
        if self._link is not None:
            await self._told(self._link.leave(index))

    async def _told(self, telling: Awaitable[None]) -> None:
        try:
            await telling
        except (CallError, Moving) as error:
            self._env.log.debug("the hub could not be told of a subscription's end: %s", error)

    async def pending(self, index: int) -> int:
        """Events that wait for the group of this subscription, -1 when nobody can say now."""
        if self._link is None:
            return -1
        try:
            return await self._link.pending(index)
        except CallError:
            return -1


def _failed(error: CallError) -> Awaitable[None]:
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    failed.set_exception(error)
    return failed
