"""`[pubsub] use = "classic"`: the bus of Vyked 2.x. Nothing is kept: who is not connected misses an event."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from vyked_host import CallError, NotSupported, TooLarge, Unavailable
from vyked_host.contracts import Backlog, Consumer, Delivery, Environment, Event, PubSub, Subscription, parse

from ..joined import ClassicRegistry, short
from ..options import BusOptions
from ..wire.speech import in_ascii
from .channels import Channel, listens, pattern
from .direct import handed_over
from .feed import Feed
from .groups import NAMES, groups, turns
from .outbox import Outbox
from .server import FAULTS, opened, unusable

LARGEST = 1 << 20
JSON = "application/json"


class Heard:
    """One subscription: what it matches, and what waits for its handler."""

    def __init__(self, subscription: Subscription, nodes: frozenset[str], patterns: tuple[str, ...]) -> None:
        self.subscription, self.nodes, self.patterns = subscription, nodes, patterns
        self.backlog: Backlog

    def wants(self, channel: Channel) -> bool:
        """Is this message for it?"""
        wanted = self.subscription
        meant = channel.node in self.nodes if self.nodes else not channel.node
        return (
            meant
            and (channel.service, channel.event) == (wanted.service, wanted.name)
            and channel.major == wanted.major
        )


class ClassicBus(PubSub):
    """`contracts.PubSub`. `joined` is the registry that knows who xsubscribed; None: nobody can say."""

    def __init__(self, options: BusOptions, env: Environment, joined: Callable[[], ClassicRegistry | None]) -> None:
        self._options, self._env, self._joined = options, env, joined
        self._outbox = Outbox(options.url, options.outbox, env)
        self._feed = Feed(options.url, env, self._take, self._missed)
        self._heard: list[Heard] = []
        self._turn = 0

    async def verify(self) -> None:
        """Is the server there? Raises StartError that says what to do."""
        try:
            async with opened(self._options.url, self._env):
                return
        except FAULTS as error:
            raise unusable(self._options.url, error) from None

    # ---- publishing --------------------------------------------------------------------------------------------------
    def publish(self, event: Event, *, deadline: float) -> Awaitable[None]:
        """Send `event` to everybody who subscribed, and to one of each group that xsubscribed."""
        if len(event.body) > LARGEST:
            text = f"event {event.service}.{event.name} has {len(event.body)} bytes; this bus takes {LARGEST}"
            return _failed(TooLarge(text, executed="not_sent"))
        joined = self._joined()
        version = joined.spelt(event.service, event.version) if joined is not None else short(event.version)
        payload = in_ascii(event.body)
        to_all = self._outbox.publish(str(Channel(event.service, version, event.name)), payload, deadline)
        return self._settled(event, version, payload, to_all, deadline)

    async def _settled(
        self, event: Event, version: str, payload: bytes, to_all: Awaitable[int], deadline: float
    ) -> None:  # fmt: skip
        await to_all
        for members in await self._groups(event, version, deadline):
            await self._to_one(event, version, payload, members, deadline)

    async def _groups(self, event: Event, version: str, deadline: float) -> list[list[Any]]:
        joined = self._joined()
        registration = joined.registration_of(event.service) if joined is not None else None
        if registration is None:
            return []
        within = min(self._env.timing.dial, max(0.0, deadline - self._env.clock.now()))
        return groups(await registration.subscribers(event.name, version, within))

    async def _to_one(
        self, event: Event, version: str, payload: bytes, members: Sequence[Any], deadline: float
    ) -> None:  # fmt: skip
        """To the one whose turn it is; to the next where that one is not connected; over its port where none is."""
        for each in turns(members, self._env.rng.random):
            channel = Channel(event.service, version, event.name, each.node_id)
            if await self._outbox.publish(str(channel), payload, deadline):
                return
        channel = Channel(event.service, version, event.name)
        for each in turns(members, self._env.rng.random):  # release 2.1.91 does not listen to them
            if await handed_over(each.host, each.port, channel, payload, self._env):
                return
        name, version = members[0].of
        text = (
            f"event {event.service}.{event.name}: none of {len(members)} instances of {name} {version} can be reached"
        )
        raise Unavailable(text, executed="executed")

    # ---- subscribing -------------------------------------------------------------------------------------------------
    async def subscribe(self, subscription: Subscription, deliver: Callable[[Delivery], None]) -> Consumer:
        """Deliver from now on: the server has confirmed it. Raises NotSupported for `since`, Unavailable."""
        if subscription.since is not None:
            raise NotSupported("the bus of Vyked 2.x keeps no published events: subscribe without from_")
        heard = self._matching(subscription)

        def leave(_backlog: Backlog) -> None:
            if heard in self._heard:
                self._heard.remove(heard)
                self._feed.leave(heard.patterns)

        heard.backlog = Backlog(subscription.concurrency, self._options.queue, deliver, leave, self._not_taken)
        self._heard.append(heard)
        try:
            await self._feed.listen(heard.patterns, self._env.timing.dial)
        except BaseException as error:
            await heard.backlog.aclose()
            if isinstance(error, TimeoutError):
                text = f"{subscription.service}.{subscription.name} can't be subscribed: {self._feed.away}"
                raise Unavailable(text, executed="unknown") from None
            raise
        return heard.backlog

    def _matching(self, wanted: Subscription) -> Heard:
        if wanted.group is None:
            names = (pattern(wanted.service, wanted.name), listens(wanted.service, wanted.major, wanted.name))
            return Heard(wanted, frozenset(), names)
        joined = self._joined()
        if joined is None:
            raise NotSupported(
                '@xsubscribe over the bus "classic" needs [registry] use = "classic", which says whose turn it is'
            )
        consumer, _, major = wanted.group.partition("/")[0].partition("@")
        version = joined.spelt(wanted.service, str(wanted.major))
        joined.wish(
            consumer, int(major),
            {"name": wanted.service, "version": version, "endpoint": wanted.name, "strategy": NAMES[wanted.strategy]},
        )  # fmt: skip
        node = joined.id_of(consumer, int(major))
        return Heard(wanted, frozenset((node,)), (pattern(wanted.service, wanted.name, node),))

    def _take(self, channel: Channel, payload: bytes) -> None:
        wanted = [each for each in self._heard if each.wants(channel)]
        if wanted:
            event = self._event(channel, payload)
            for each in wanted:
                each.backlog.accept(event)

    def take_one(self, channel: Channel, payload: bytes) -> bool:
        """An event for this instance that came without Redis, as release 2.1.91 sends it: is there a handler? It does not say which
        service of this process is meant; where several wait for it as many are sent, so each gets one in turn."""
        wanted = [each for each in self._heard if each.nodes and each.wants(channel._replace(node=min(each.nodes)))]
        if not wanted:
            return False
        self._turn += 1
        wanted[self._turn % len(wanted)].backlog.accept(self._event(channel, payload))
        return True

    def _event(self, channel: Channel, payload: bytes) -> Event:
        return Event(
            id=secrets.token_hex(8), service=channel.service, version=str(parse(channel.version)), name=channel.event,
            source="redis", body=payload, content_type=JSON, published_unix_s=self._env.clock.unix(),
        )  # fmt: skip

    def _missed(self) -> None:
        for each in self._heard:
            each.backlog.missed()

    def _not_taken(self, event: Event) -> None:
        self._env.log.exception("a consumer could not take event %s of %s.%s", event.id, event.service, event.name)

    async def aclose(self) -> None:
        """Send what waits, for at most `timing.pong` seconds, and close both connections. Idempotent."""
        await self._outbox.aclose(self._env.timing.pong)
        await self._feed.aclose()


def _failed(error: CallError) -> Coroutine[Any, Any, None]:
    async def fail() -> None:
        raise error

    return fail()
