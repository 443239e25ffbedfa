"""Events between the mesh and old processes, over the Redis channels of Vyked 2.x.

What an old service publishes is published in the mesh, marked as coming from there. What a node of the mesh publishes is published
on the channels that old processes listen to, and handed to one of each group of them that xsubscribed; where new nodes are in the
same group, the bus of the mesh says whose turn it is.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable
from typing import NamedTuple

from redis.asyncio import Redis

from vyked_host import NotSupported, UsageError, VykedError
from vyked_host.contracts import (
    Consumer,
    Delivery,
    Environment,
    Event,
    PubSub,
    Strategy,
    Subscription,
    Verdict,
    compatible,
    parse,
)

from ..events.channels import BY_PATTERN, Channel, channel
from ..events.direct import handed_over
from ..events.echoes import Echoes
from ..events.feed import Feed
from ..events.groups import turns
from ..events.outbox import Outbox
from ..events.server import FAULTS, connection
from ..joined import short
from ..wire.speech import in_ascii
from .reception import Reception
from .roster import Guest

MARK = "vyked-classic"
"""Header of an event of the mesh that an old process has published: who listens to Redis has heard it there."""
LOOK_S = 1.0
"""Between two looks at which channels old processes listen to: Redis tells of nobody who comes."""
JSON = "application/json"
ACK = Verdict(action="ack")
AGAIN_S = 1.0
STRATEGIES: dict[str, Strategy] = {"LEADER": "leader", "RANDOM": "random"}
"""Those of the wire -> ours; any other one is keyed."""


class Topic(NamedTuple):
    """An event that old processes want of nodes of the mesh; `group`: (consumer, version) where one of them gets it, `is_mixed`:
    new nodes are in that group as well."""

    service: str
    major: int
    event: str
    group: tuple[str, str] | None = None
    strategy: str = ""
    is_mixed: bool = False


class Member(NamedTuple):
    """One of a group."""

    node_id: str
    strategy: str


class Bridge:
    """Both directions."""

    def __init__(self, url: str, env: Environment, pubsub: PubSub, reception: Reception) -> None:
        self._url, self._env, self._pubsub, self._reception = url, env, pubsub, reception
        self._outbox = Outbox(url, 8 << 20, env)
        self._feed = Feed(url, env, self._heard, _nothing)
        self._echoes = Echoes(env.clock.now)
        self._listened: set[str] = set()  # services of guests
        self._channels: frozenset[Channel] = frozenset()
        self._consumers: dict[Topic, Consumer] = {}
        self._changed, self._over = asyncio.Event(), asyncio.Event()
        self._served = frozenset[str]()
        self._client: Redis | None = None
        reception.changed, reception.hides = self._changed.set, self._is_mixed
        self._cancel = env.tasks(self._run(), "events of guests")

    async def aclose(self) -> None:
        """Send what waits and leave Redis."""
        self._cancel()
        await self._over.wait()
        for consumer in self._consumers.values():
            await consumer.aclose()
        await self._hang_up()
        await self._outbox.aclose(self._env.timing.pong)
        await self._feed.aclose()

    async def _run(self) -> None:
        try:
            while True:
                await self._look()
                pause = LOOK_S * min(1.0, self._env.timing.scale)
                cancel = self._env.clock.at(self._env.clock.now() + pause, self._changed.set)
                await self._changed.wait()
                self._changed.clear()
                cancel()
        finally:
            self._over.set()

    async def _look(self) -> None:
        """What is wanted now is compared with what is done."""
        guests = {guest.spot.name for guest in self._reception.roster.guests.values()}
        self._served = self._reception.served_by_nodes()
        self._follow(guests)
        try:
            self._client = self._client or connection(self._url, self._env)
            self._channels = frozenset(await self._subscribed(self._client))
        except FAULTS as error:
            self._env.log.info("what old processes listen to can't be seen now: %s", error)
            await self._hang_up()
        await self._subscribe(set(self._wanted()))

    async def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _subscribed(self, client: Redis) -> Iterable[Channel]:
        names: list[bytes] = await client.pubsub_channels("*/*/*")  # type: ignore[assignment]  # it decodes nothing here
        found = (channel(name.decode("utf-8", "replace")) for name in names)
        return [
            each
            for each in found
            if each is not None and each.node in ("", BY_PATTERN) and each.service in self._served
        ]

    # ---- from old processes into the mesh ----------------------------------------------------------------------------
    def _follow(self, services: set[str]) -> None:
        """Listen to what guests publish."""
        new, old = services - self._listened, self._listened - services
        self._listened = services
        self._feed.want(f"{each}/*/*" for each in new)
        self._feed.leave(f"{each}/*/*" for each in old)

    def _heard(self, found: Channel, payload: bytes) -> None:
        if found.node or found.major is None or self._echoes.is_one(str(found), payload):
            return
        event = Event(
            id=secrets.token_hex(16), service=found.service, version=str(parse(found.version)), name=found.event,
            source=f"vyked 2.x {found}", body=payload, content_type=JSON, metadata={MARK: found.version},
            published_unix_s=self._env.clock.unix(),
        )  # fmt: skip
        self._env.tasks(self._hand_over(event), f"event {event.service}.{event.name} of a guest")

    async def _hand_over(self, event: Event) -> None:
        try:
            await self._pubsub.publish(event, deadline=self._env.clock.now() + 10.0)
        except VykedError as error:
            self._env.log.warning("event %s.%s of Vyked 2.x is lost to the mesh: %s", event.service, event.name, error)

    # ---- from the mesh to old processes ------------------------------------------------------------------------------
    def _wanted(self) -> Iterable[Topic]:
        for each in self._channels:
            if each.major is not None:
                yield Topic(each.service, each.major, each.event)
        for guest in self._reception.roster.guests.values():
            for wish in guest.wishes:
                mixed = self._is_mixed(guest.spot.name)
                if wish.name in self._served or mixed:
                    group = (guest.spot.name, guest.spot.version)
                    yield Topic(wish.name, parse(wish.version).major, wish.event, group, wish.strategy, mixed)

    def _is_mixed(self, consumer: str) -> bool:
        """Are there instances of this service in the mesh beside old ones?"""
        return consumer in self._served

    async def _subscribe(self, wanted: set[Topic]) -> None:
        for topic in self._consumers.keys() - wanted:
            await self._consumers.pop(topic).aclose()
        for topic in wanted - self._consumers.keys():
            try:
                self._consumers[topic] = await self._consume(topic)
            except VykedError as error:
                self._env.log.warning(
                    "events %s.%s do not reach old processes yet: %s", topic.service, topic.event, error
                )  # fmt: skip

    async def _consume(self, topic: Topic) -> Consumer:
        if topic.group is None:
            return await self._pubsub.subscribe(self._subscription(topic, None), self._to_all(topic))
        for group, strategy in _ways(topic):
            try:
                return await self._pubsub.subscribe(self._subscription(topic, group, strategy), self._to_one(topic))
            except NotSupported as error:
                self._env.log.debug("group %s with strategy %s: %s", group, strategy, error)
        # a bus without groups has no new nodes in them either
        return await self._pubsub.subscribe(self._subscription(topic, None), self._to_one(topic))

    def _subscription(self, topic: Topic, group: str | None, strategy: Strategy = "any") -> Subscription:
        return Subscription(
            service=topic.service, major=topic.major, name=topic.event, group=group, strategy=strategy,
            member=f"{self._env.node_id}/guests/{'/'.join(topic.group or ())}",  # beside this host's own services
        )  # fmt: skip

    def _to_all(self, topic: Topic) -> Callable[[Delivery], None]:
        def deliver(delivery: Delivery) -> None:
            self._env.tasks(self._publish(topic, delivery), f"event {topic.service}.{topic.event} for guests")

        return deliver

    async def _publish(self, topic: Topic, delivery: Delivery) -> None:
        """On each channel that somebody listens to."""
        event = delivery.event
        if MARK not in event.metadata and event.content_type == JSON:
            for each in self._names(topic, event):
                await self._say(each, event)
        await delivery.settle(ACK)

    def _names(self, topic: Topic, event: Event) -> Iterable[str]:
        """Channels that somebody listens to; where only patterns fit, the one that its publisher would have had in Vyked 2.x."""
        asked = [each for each in self._channels if (each.service, each.event) == (topic.service, topic.event)]
        found = [str(each) for each in asked if not each.node and _suits(event, each.version)]
        if found or not any(each.node and each.major == topic.major for each in asked):
            return found
        return [str(Channel(topic.service, short(event.version), topic.event))]

    def _to_one(self, topic: Topic) -> Callable[[Delivery], None]:
        def deliver(delivery: Delivery) -> None:
            self._env.tasks(self._hand_to_one(topic, delivery), f"event {topic.service}.{topic.event} for one guest")

        return deliver

    async def _hand_to_one(self, topic: Topic, delivery: Delivery) -> None:
        """To one that is connected; where none is, the bus brings it again."""
        event, name = delivery.event, topic.group[0] if topic.group else ""
        if MARK in event.metadata and not self._is_mixed(name):
            await delivery.settle(ACK)  # its old publisher has asked us, and handed it over by itself
            return
        members = self._members(topic, event)
        for guest, version in members:
            channel, at = Channel(topic.service, version, topic.event, guest.spot.node_id), guest.spot
            if await self._say(str(channel), event) or (
                guest.dialect == "S" and await handed_over(at.host, at.port, channel, in_ascii(event.body), self._env)
            ):
                await delivery.settle(ACK)
                return
        await delivery.settle(
            Verdict(action="retry", seconds=AGAIN_S, cause=f"no old instance of {name} can be reached")
        )

    def _members(self, topic: Topic, event: Event) -> list[tuple[Guest, str]]:
        """(guest, version that it listens to) in the order in which they are tried."""
        found = [
            (Member(guest.spot.node_id, wish.strategy), guest, wish.version)
            for guest in self._reception.roster.guests.values()
            for wish in guest.wishes
            if (guest.spot.name, guest.spot.version) == topic.group
            and (wish.name, wish.event) == (topic.service, topic.event)
            and _suits(event, wish.version)
        ]
        by_member = {member: (guest, version) for member, guest, version in found}
        return [by_member[each] for each in turns(list(by_member), self._env.rng.random)] if by_member else []

    async def _say(self, name: str, event: Event) -> int:
        """Publish; how many heard it."""
        payload = in_ascii(event.body)
        self._echoes.expect(name, payload)
        try:
            return await self._outbox.publish(name, payload, self._env.clock.now() + 10.0)
        except VykedError as error:
            self._env.log.warning("event %s does not reach old processes: %s", name, error)
            return 0


def _ways(topic: Topic) -> Iterable[tuple[str, Strategy]]:
    """(group, strategy) in the order in which they are tried. New nodes in the group have decided its strategy."""
    name, version = topic.group or ("", "1")
    own, group = STRATEGIES.get(topic.strategy, "keyed"), f"{name}@{parse(version).major}"
    if not topic.is_mixed:
        return [(f"{group}/vyked", own), (f"{group}/vyked", "any")]
    others: tuple[Strategy, ...] = ("any", "keyed", "random", "leader")
    return [(group, each) for each in dict.fromkeys((own, *others))]


def _suits(event: Event, version: str) -> bool:
    """May who listens to `version` get it?"""
    try:
        return compatible(event.version, version)
    except UsageError:
        return False


def _nothing() -> None:
    """What was missed while Redis was away is lost, as it was."""
