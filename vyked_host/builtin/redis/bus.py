"""The bus: `contracts.PubSub` over two connections to one server, one to publish and one to listen, so that a flood of
events never holds up an answer. Each is opened by its first use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from ...contracts import Consumer, Delivery, Environment, Event, PubSub, Subscription
from ...errors import CallError, NotSupported, TooLarge, Unavailable
from ...model.version import parse
from ...routing.backlog import Backlog
from ...wire.envelope import pack
from .feed import Feed, Topic
from .keeper import Keeper
from .line import Line
from .options import MIB, BusOptions
from .outbox import Outbox
from .questions import asked
from .server import Server
from .wire import Wire

ENVELOPE_BYTES = 64 << 10
"""Room for what stands in an envelope beside the body: headers, key, names."""
RIGHTS = "+publish &<prefix>:*"


class RedisBus(PubSub):
    """Events of one host over Redis or Valkey."""

    def __init__(self, options: BusOptions, env: Environment) -> None:
        self._options, self._env = options, env
        self._server = server = Server(options.url, mesh=env.namespace)
        self._feed = Feed(server, env.log, MIB + ENVELOPE_BYTES)
        self._listening = Keeper(
            "bus, listening", server, env, self._listen, joined=self._feed.joined, left=self._feed.left
        )
        self._publishing = Keeper("bus, publishing", server, env, self._speak, joined=_ignore, left=_ignore)
        self._outbox = Outbox(
            options.outbox, env.clock, self._publishing.hurry, self._away, server.words, RIGHTS, "pubsub.redis"
        )
        self._closed = False

    def _listen(self, wire: Wire) -> Line:
        return Line(wire, self._server, self._env, self._feed.take, self._feed.heard)

    def _speak(self, wire: Wire) -> Line:
        return Line(wire, self._server, self._env, self._outbox.take, _ignore)

    def _away(self) -> str:
        return "" if self._publishing.line is not None else self._publishing.away

    # ---- start -------------------------------------------------------------------------------------------------------
    async def verify(self) -> None:
        """Ask the server who it is. Raises StartError that says what to do."""
        async with asked(self._server, self._env, "pubsub.redis"):
            pass

    # ---- publishing --------------------------------------------------------------------------------------------------
    def publish(self, event: Event, *, deadline: float) -> Awaitable[None]:
        """Hand over `event`. Awaiting: the server has sent it to whoever listened. Raises errors.TooLarge, Overloaded,
        Unavailable, DeadlineExceeded, PermissionDenied."""
        name = f"{event.service}.{event.name}"
        if self._closed:
            return _failed(Unavailable(f"event {name} is not published: the bus is closed", executed="not_sent"))
        packed = pack(event)
        if len(event.body) > MIB or len(packed) > MIB + ENVELOPE_BYTES:
            text = f"event {name} has {len(event.body)} bytes, {len(packed)} with its headers; this bus takes {MIB}"
            return _failed(TooLarge(text, executed="not_sent"))
        channel = self._channel(Topic(event.service, parse(event.version).major, event.name))
        return self._outbox.publish(name, ("PUBLISH", channel, packed), len(packed), deadline)

    def _channel(self, topic: Topic) -> str:
        return f"{self._options.prefix}:{self._env.namespace}:{topic.service}@{topic.major}:{topic.name}"

    # ---- subscribing -------------------------------------------------------------------------------------------------
    async def subscribe(self, subscription: Subscription, deliver: Callable[[Delivery], None]) -> Consumer:
        """Deliver matching events from now on: the server has confirmed it. Raises NotSupported for a group and for
        `since`, Unavailable, PermissionDenied."""
        _refuse_what_it_lacks(subscription)
        topic = Topic(subscription.service, subscription.major, subscription.name)
        channel = self._channel(topic)
        leave = partial(self._leave, channel)
        backlog = Backlog(subscription.concurrency, self._options.queue, deliver, leave, self._not_taken)
        waiting = self._feed.add(channel, topic, backlog)
        self._listening.wake()
        try:
            await self._feed.confirmed(waiting, self._env.timing.dial)
        except BaseException as error:
            await backlog.aclose()
            if isinstance(error, TimeoutError):
                text = f"{topic.service}.{topic.name} can't be subscribed: {self._listening.away}"
                raise Unavailable(text, executed="unknown") from None
            raise
        return backlog

    def _not_taken(self, event: Event) -> None:
        self._env.log.exception("a consumer could not take event %s of %s.%s", event.id, event.service, event.name)

    def _leave(self, channel: str, backlog: Backlog) -> None:
        self._feed.remove(channel, backlog)
        if self._listening.line is not None:
            self._listening.line.wake()

    async def aclose(self) -> None:
        """Send what waits, for at most `timing.pong` seconds, and close both connections. Idempotent."""
        self._closed = True
        await self._outbox.flush(self._env.timing.pong)
        self._outbox.close()
        await self._publishing.aclose()
        await self._listening.aclose()


def _refuse_what_it_lacks(subscription: Subscription) -> None:
    if subscription.group is not None:
        raise NotSupported("Redis PUBLISH reaches everybody who listens, never one of a group: use another bus")
    if subscription.since is not None:
        raise NotSupported("Redis keeps no published events: subscribe without from_, or use another bus")


def _failed(error: CallError) -> Awaitable[None]:
    failed = asyncio.get_running_loop().create_future()
    failed.set_exception(error)
    return failed


def _ignore(*_args: object) -> None:
    """Nothing to do."""
