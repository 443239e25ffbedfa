"""The bus: `contracts.PubSub` over two connections, one to publish and one to listen, so that a flood of events never holds up
a confirmation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from vyked_host import CallError, NotSupported, StartError, TooLarge, Unavailable
from vyked_host.contracts import Backlog, Consumer, Delivery, Environment, Event, PubSub, Subscription, pack, parse

from .connection import Watch
from .feed import Feed, Topic
from .keeper import Keeper
from .line import Line
from .options import ENVELOPE_BYTES, LARGEST, BusOptions
from .outbox import Echoed, Outbox
from .server import Servers, Unreachable, hang_up

TOPICS = 1024
"""Of so many the subject is kept."""


class NatsBus(PubSub):
    """Events of one host over NATS."""

    def __init__(self, options: BusOptions, env: Environment) -> None:
        self.options, self.env = options, env
        self.servers = servers = Servers(options, env, "pubsub.nats")
        self._feed = Feed(env.log)
        self._listening = Keeper(
            "bus, listening", servers, env, joined=self._feed.joined, left=self._feed.left, told=self._feed.told
        )
        self._outbox = Outbox(
            options.outbox,
            env.clock,
            lambda: self._publishing.line,
            lambda: self._publishing.away,
            Echoed(),
            "pubsub.nats",
        )
        self._publishing = Keeper(
            "bus, publishing", servers, env, joined=self._can_publish, left=_ignore, told=self._outbox.told
        )
        self._closed = False
        self._known: dict[tuple[str, str, str], tuple[str, bytes]] = {}

    def _can_publish(self, line: Line) -> None:
        self._outbox.joined(line)

    # ---- start -------------------------------------------------------------------------------------------------------
    async def verify(self) -> int:
        """Ask the server how large an event may be, in bytes. Raises StartError that says what to do."""
        try:
            client = await self.servers.dial(self.env.timing.dial, Watch())
        except Unreachable as error:
            raise StartError(
                f"the bus 'nats' can't be used: {error}; {error.todo.format(table='pubsub.nats')}, or choose another bus "
                'with [pubsub] use = "embedded"'
            ) from None
        try:
            return max(0, min(LARGEST, client.max_payload - ENVELOPE_BYTES))
        finally:
            await hang_up(client)

    # ---- publishing --------------------------------------------------------------------------------------------------
    def publish(self, event: Event, *, deadline: float) -> Awaitable[None]:
        """Hand over `event`. Awaiting: the server has sent it to whoever listened. Raises errors.TooLarge, Overloaded,
        Unavailable, DeadlineExceeded, PermissionDenied."""
        if self._closed:
            return failed(Unavailable(f"event {event.name} is not published: the bus is closed", executed="not_sent"))
        key = event.service, event.version, event.name
        name, to = self._known.get(key) or self._know(key)
        packed, line = pack(event), self._publishing.line
        if line is None:
            self._publishing.begin()
        size, most = len(packed), LARGEST + ENVELOPE_BYTES if line is None else line.client.max_payload
        if size > most or size > LARGEST < len(event.body):
            text = f"event {name} has {len(event.body)} bytes, {size} with its headers; this bus takes {LARGEST}"
            return failed(TooLarge(f"{text}, and the server {most} in all", executed="not_sent"))
        return self._outbox.publish(name, to, packed, deadline)

    def _know(self, key: tuple[str, str, str]) -> tuple[str, bytes]:
        """What an event is called in words, and its subject."""
        service, version, name = key
        if len(self._known) >= TOPICS:
            self._known.clear()
        found = self._known[key] = f"{service}.{name}", self._subject(service, parse(version).major, name).encode()
        return found

    def _subject(self, service: str, major: int, name: str) -> str:
        return f"{self.options.prefix}.{self.env.namespace}.event.{service}.{major}.{name}"

    # ---- subscribing -------------------------------------------------------------------------------------------------
    async def subscribe(self, subscription: Subscription, deliver: Callable[[Delivery], None]) -> Consumer:
        """Deliver matching events from now on: the server has confirmed it. Raises NotSupported for a group and for
        `since`, Unavailable, PermissionDenied."""
        _refuse_what_it_lacks(subscription)
        topic = Topic(subscription.service, subscription.major, subscription.name)
        subject = self._subject(*topic)

        def leave(backlog: Backlog) -> None:
            self._feed.remove(subject, backlog)

        backlog = Backlog(subscription.concurrency, self.options.queue, deliver, leave, self._not_taken)
        waiting = self._feed.add(subject, topic, backlog)
        self._listening.begin()
        try:
            await self._feed.confirmed(waiting, self.env.timing.dial)
        except BaseException as error:
            await backlog.aclose()
            if isinstance(error, TimeoutError):
                text = f"{topic.service}.{topic.name} can't be subscribed: {self._listening.away}"
                raise Unavailable(text, executed="unknown") from None
            raise
        return backlog

    def _not_taken(self, event: Event) -> None:
        self.env.log.exception("a consumer could not take event %s of %s.%s", event.id, event.service, event.name)

    async def aclose(self) -> None:
        """Send what waits, for at most `timing.pong` seconds, and close both connections. Idempotent."""
        self._closed = True
        await self._outbox.flush(self.env.timing.pong)
        self._outbox.close()
        await self._publishing.aclose()
        await self._listening.aclose()


def _refuse_what_it_lacks(subscription: Subscription) -> None:
    if subscription.group is not None:
        raise NotSupported(
            "core NATS keeps nothing for a group that nobody of is there: use another bus for @xsubscribe"
        )
    if subscription.since is not None:
        raise NotSupported("core NATS keeps no published events: subscribe without from_, or use another bus")


def failed(error: CallError) -> Awaitable[None]:
    """An outcome that is one already."""
    failed = asyncio.get_running_loop().create_future()
    failed.set_exception(error)
    return failed


def _ignore(_cause: str) -> None:
    """Whoever waits is told by the line."""
