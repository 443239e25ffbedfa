"""The bus: `contracts.PubSub` over two connections, one to publish and one to listen, so that a flood of events never holds up
a confirmation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from vyked_host import CallError, NotSupported, StartError, TooLarge, Unavailable
from vyked_host.contracts import (
    Backlog,
    Consumer,
    Delivery,
    Environment,
    Event,
    Ledger,
    PubSub,
    Receipt,
    Subscription,
    Take,
    TakesEnvelopes,
    pack,
    parse,
)

from .connection import Watch
from .feed import Feed, Topic
from .keeper import Keeper
from .line import Line
from .options import ENVELOPE_BYTES, LARGEST, BusOptions
from .outbox import Echoed, Outbox
from .server import Servers, Unreachable, hang_up

TOPICS = 1024
"""Of so many the subject is kept."""


class NatsBus(PubSub, TakesEnvelopes):
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
        key = event.service, event.version, event.name
        name, to = self._known.get(key) or self._know(key)
        packed = pack(event)
        error = self._refusal(name, len(packed), len(event.body))
        return failed(error) if error is not None else self._outbox.publish(name, to, packed, deadline)

    def envelopes(self, service: str, version: str, name: str) -> Take:
        """See `contracts.TakesEnvelopes`."""
        text, to = self._know((service, version, name))
        keeper, outbox = self._publishing, self._outbox

        def take(packed: bytes, body: int, deadline: float, ledger: Ledger, entry: Any) -> Receipt:
            line, size = keeper.line, len(packed)
            if line is None or size > LARGEST or size > line.client.max_payload or self._closed:
                error = self._refusal(text, size, body)
                if error is not None:
                    return refused(error, ledger, entry)
            return outbox.publish(text, to, packed, deadline, "", ledger, entry)

        return take

    def _refusal(self, name: str, size: int, body: int) -> CallError | None:
        """Why an event of so many bytes can't be handed over, nor ever can be."""
        if self._closed:
            return Unavailable(f"event {name} is not published: the bus is closed", executed="not_sent")
        line = self._publishing.line
        if line is None:
            self._publishing.begin()
        most = LARGEST + ENVELOPE_BYTES if line is None else line.client.max_payload
        if size > most or size > LARGEST < body:
            text = f"event {name} has {body} bytes, {size} with its headers; this bus takes {LARGEST}"
            return TooLarge(f"{text}, and the server {most} in all", executed="not_sent")
        return None

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


def refused(error: CallError, ledger: Ledger, entry: Any) -> Receipt:
    """A receipt that has failed."""
    receipt = Receipt(ledger=ledger, entry=entry)
    receipt.fail(error)
    return receipt


def failed(error: CallError) -> Awaitable[None]:
    """An outcome that is one already."""
    failed = asyncio.get_running_loop().create_future()
    failed.set_exception(error)
    return failed


def _ignore(_cause: str) -> None:
    """Whoever waits is told by the line."""
