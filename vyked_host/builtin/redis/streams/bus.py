"""The bus: `contracts.PubSub` on streams. One connection publishes, one settles, one reads all fan-out, and each @xsubscribe handler
reads over one of its own, since it waits at the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from redis.exceptions import NoPermissionError, ResponseError

from ....contracts import (
    Consumer,
    DeadLetters,
    Delivery,
    EndsGroups,
    Environment,
    Event,
    GroupLag,
    KnowsGroups,
    KnowsLag,
    PubSub,
    Subscription,
)
from ....errors import CallError, NotSupported, PermissionDenied, TooLarge, Unavailable
from ....model.queues import group_of, is_queue, refusal
from ....model.version import parse
from ....routing.backlog import Backlog
from ....wire.envelope import pack
from ..errands import Errands
from ..keeper import Keeper
from ..line import Line
from ..options import MIB, StreamOptions
from ..outbox import Outbox
from ..server import Server
from ..wire import Wire, Word
from . import keys
from .bounded import Bounded
from .follower import START, Follow, Follower, Id, parsed, written
from .groups import Groups
from .letters import Letters
from .member import Member, groups_of
from .reader import PATIENCE, Reader
from .replay import catch_up, first
from .scripts import AGAIN, END, ENQUEUE, ONCE
from .upkeep import Upkeep

ENVELOPE_BYTES = 64 << 10
RIGHTS = "~<prefix>:* +xadd +eval +exists +set +sadd +zadd +xgroup"
STRATEGIES = frozenset({"any", "random"})
"""A member that asks gets the next event, and those who wait are served in turn: also what RANDOM is for."""


class StreamsBus(PubSub, DeadLetters, KnowsGroups, KnowsLag, EndsGroups):
    """Events of one host over Redis or Valkey, kept until they are handled."""

    def __init__(self, options: StreamOptions, env: Environment) -> None:
        self.options, self.env = options, env
        self.server = server = Server(options.url, "pubsub.redis-streams", env.namespace)
        self._ack_wait_s = options.ack_wait * env.timing.scale
        self._read_s = env.timing.pong * PATIENCE
        self._lately_s = 2 * max(1.0, self._read_s) + env.timing.pong
        self._publishing = Keeper("bus, publishing", server, env, self._speak, joined=_ignore, left=_ignore)
        self._outbox = Outbox(
            options.outbox, env.clock, self._publishing.hurry, self._away, server.words, RIGHTS, "pubsub.redis-streams"
        )
        self._settling = Keeper("bus, settling", server, env, self._settle, joined=_ignore, left=_ignore)
        self._errands = Errands(self._settling.wake)
        self._bounded = Bounded(self._errands, env.clock, self._ack_wait_s, self._why)
        self._mesh = server.mesh
        self._index = keys.index_of(options.prefix, self._mesh)
        self._groups = Groups(self._bounded, options.prefix, self._mesh, self._lately_s, self._ack_wait_s)
        self._letters = Letters(self._bounded, self._index)
        self._follower = Follower(server, env, self._errands, self._read_s)
        self._members: list[Member] = []
        self._upkeep = Upkeep(options, env, self._bounded, self._letters, self._groups)
        self._stop_upkeep: Callable[[], None] | None = None
        self._closed = False

    def _speak(self, wire: Wire) -> Line:
        return Line(wire, self.server, self.env, self._outbox.take, _ignore)

    def _settle(self, wire: Wire) -> Line:
        return Line(wire, self.server, self.env, self._errands.take, _ignore)

    def _away(self) -> str:
        return "" if self._publishing.line is not None else self._publishing.away

    def _why(self) -> str:
        return f"{self.server.place} does not answer" if self._settling.line is not None else self._settling.away

    # ---- publishing --------------------------------------------------------------------------------------------------
    def publish(self, event: Event, *, deadline: float) -> Awaitable[None]:
        """Hand over `event`. Awaiting: the server has it. Raises errors.TooLarge, Overloaded, Unavailable, DeadlineExceeded,
        PermissionDenied."""
        name = f"{event.service}.{event.name}"
        if self._closed:
            return _failed(Unavailable(f"event {name} is not published: the bus is closed", executed="not_sent"))
        packed = pack(event)
        if len(event.body) > MIB or len(packed) > MIB + ENVELOPE_BYTES:
            text = f"event {name} has {len(event.body)} bytes, {len(packed)} with its headers; this bus takes {MIB}"
            return _failed(TooLarge(text, executed="not_sent"))
        stream = self._stream(event.service, parse(event.version).major, event.name)
        if (full := self._upkeep.refusal(stream)) is not None:
            return _failed(full)
        return self._outbox.publish(name, self._entering(stream, event, packed), len(packed), deadline)

    def _entering(self, stream: str, event: Event, packed: bytes) -> tuple[Word, ...]:
        """The command by which an event enters its stream: whole, so that none overtakes one whose script is not known."""
        known_ms = str(max(1, int(self.options.dedupe * 1000))) if event.named and self.options.dedupe else "0"
        known = keys.of_id(stream, event.id)
        if is_queue(event.name):
            group = group_of(event.service, parse(event.version).major)
            its = keys.of_group(stream, group)
            due_ms = str(int((event.not_before_unix_s or 0.0) * 1000))
            return (
                "EVAL", ENQUEUE.text, "4", stream, known, its.later, self._groups.index, packed, known_ms, due_ms, group, its.base
            )  # fmt: skip
        if known_ms == "0":
            return ("XADD", stream, "*", "e", packed)
        return ("EVAL", ONCE.text, "2", stream, known, packed, known_ms)

    def _stream(self, service: str, major: int, name: str) -> str:
        stream = keys.of_topic(self.options.prefix, self._mesh, service, major, name)
        if stream not in self._upkeep.topics:
            self._upkeep.topics.add(stream)
            if self._stop_upkeep is None:
                self._stop_upkeep = self.env.tasks(self._upkeep.watch(), "redis: upkeep of streams")
        return stream

    # ---- subscribing -------------------------------------------------------------------------------------------------
    async def subscribe(self, subscription: Subscription, deliver: Callable[[Delivery], None]) -> Consumer:
        """Deliver matching events from now on, or from `since` on. Raises NotSupported for a strategy it has not and for an event that
        it has no more, Unavailable, PermissionDenied."""
        if subscription.group is not None and subscription.strategy not in STRATEGIES:
            raise NotSupported(
                f"streams know no strategy {subscription.strategy!r}: whoever of a group asks next gets an event"
            )
        not_allowed = refusal(subscription.service, subscription.major, subscription.name, subscription.group)
        if not_allowed:
            raise NotSupported(not_allowed)
        stream = self._stream(subscription.service, subscription.major, subscription.name)
        try:
            # the id of an event is looked for in the stream, however long that is
            async with asyncio.timeout(self.env.timing.dial if subscription.since is None else self.env.timing.start):
                since = None if subscription.since is None else await first(subscription.since, stream, self._errands)
                if subscription.group is not None:
                    return await self._joined(stream, subscription, since, deliver)
                return await self._followed(stream, subscription, since, deliver)
        except TimeoutError:
            text = f"{subscription.service}.{subscription.name} can't be subscribed: {self._settling.away}"
            raise Unavailable(text, executed="unknown") from None
        except NoPermissionError as error:
            text = f"{subscription.service}.{subscription.name} can't be subscribed: {self.server.words(error)}"
            raise PermissionDenied(f"{text}; docs/redis.md lists the rights", executed="not_executed") from None

    async def _joined(
        self, stream: str, wanted: Subscription, since: Id | None, deliver: Callable[[Delivery], None]
    ) -> Member:  # fmt: skip
        group = str(wanted.group)
        member = Member(
            keys.of_group(stream, group), group, wanted.member, wanted.concurrency, deliver,
            errands=self._errands, bounded=self._bounded, clock=self.env.clock, log=self.env.log,
            ack_wait_s=self._ack_wait_s, read_s=self._read_s, index=self._index, left=self._left,
        )  # fmt: skip
        await self._groups.add(member.keys.base)
        for made in member.make("$" if since is None and not is_queue(wanted.name) else written(since or START)):
            try:
                await made
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):  # it is there already, with all that it has not handled
                    raise
        member.reader = Reader(
            f"bus, {group} on {wanted.service}.{wanted.name}", self.server, self.env,
            command=member.command, got=member.got, refused=member.refused, joined=_ignore, scripts=(AGAIN,),
        )  # fmt: skip
        self._members.append(member)
        member.reader.wake()
        return member

    def _left(self, member: Member) -> None:
        self._members = [each for each in self._members if each is not member]

    async def _followed(
        self, stream: str, wanted: Subscription, since: Id | None, deliver: Callable[[Delivery], None]
    ) -> Backlog:  # fmt: skip
        last = await self._newest(stream) if since is None else since
        follow, catching_up = Follow(stream, last), list[Callable[[], None]]()

        def leave(_backlog: Backlog) -> None:
            for cancel in catching_up:
                cancel()
            self._follower.remove(follow)

        follow.backlog = Backlog(wanted.concurrency, self.options.queue, deliver, leave, self._not_taken)
        if since is None:
            self._follower.add(follow)
        else:
            replay = catch_up(follow, self._errands, self._follower.tell, self._follower.add)
            catching_up.append(self.env.tasks(replay, f"redis: replay of {stream}"))
        return follow.backlog

    async def _newest(self, stream: str) -> Id:
        newest: Any = await self._errands.ask("XREVRANGE", stream, "+", "-", "COUNT", "1")
        return parsed(newest[0][0].decode()) if newest else START

    def _not_taken(self, event: Event) -> None:
        self.env.log.exception("a consumer could not take event %s of %s.%s", event.id, event.service, event.name)

    # ---- what groups have --------------------------------------------------------------------------------------------------
    async def letterboxes(self) -> list[tuple[Subscription, int]]:
        """Each group of any topic that has dead letters, and how many. Raises Unavailable."""
        found = [
            (keys.told(base, self.options.prefix, self._mesh), count) for base, count in await self._letters.boxes()
        ]  # fmt: skip
        return [
            (Subscription(service=service, major=major, name=name, group=group, member=""), count)
            for (service, major, name, group), count in found
        ]

    def dead(self, subscription: Subscription) -> AsyncIterator[tuple[Event, str, int]]:
        """(event, cause, deliveries) of each dead letter of the group, oldest first."""
        stream = self._stream(subscription.service, subscription.major, subscription.name)
        return self._letters.events(keys.of_group(stream, str(subscription.group)))

    async def discard(self, event_id: str, *, replay: bool, group: str | None = None) -> None:
        """Forget a dead letter, or put it back with its count at 0, in every group or in that one. Raises KeyError when there is
        none."""
        await self._letters.discard(event_id, replay=replay, group=group)

    async def groups(self, service: str, major: int, name: str) -> list[tuple[str, int, int]]:
        """(group, members that asked lately, events that wait) of each group of one topic. Raises Unavailable."""
        stream = self._stream(service, major, name)
        try:
            found = groups_of(await self._bounded.ask("XINFO", "GROUPS", stream))
            return [(group, await self._there(stream, group), waiting) for group, waiting in found]
        except ResponseError:
            return []  # nobody has published or subscribed yet

    async def _there(self, stream: str, group: str) -> int:
        told: Any = await self._bounded.ask("XINFO", "CONSUMERS", stream, group)
        members = [dict(zip(each[::2], each[1::2], strict=True)) for each in told]
        within = {False: 1000 * self._lately_s, True: 1000 * (self._lately_s + self._ack_wait_s)}
        return sum(int(each[b"idle"]) < within[int(each[b"pending"]) > 0] for each in members)

    async def lag(self, groups: frozenset[str] | None = None) -> list[GroupLag]:
        """How far each group of any topic is behind. Raises Unavailable."""
        return await self._groups.lag(groups)

    async def end_group(self, service: str, major: int, name: str, group: str) -> int:
        """Forget a group without members: how many events it had, as far as the server can say. Raises KeyError when there is none,
        NotSupported while it has members, Unavailable."""
        found = [
            each
            for each in await self._groups.lag(frozenset({group}))
            if (each.service, each.major, each.name) == (service, major, name)
        ]
        if not found:
            raise KeyError(group)
        if found[0].members:
            raise NotSupported(
                f"group {group} of {service}.{name}@{major} has {found[0].members} members: stop those first"
            )
        its = keys.of_group(self._stream(service, major, name), group)
        where = (
            *its.lanes[0], *its.lanes[1], its.dead, its.order, its.number, its.later, its.clock, self._index, self._groups.index
        )  # fmt: skip
        await self._bounded.run(END, where, group, its.base)
        return max(0, found[0].waiting) + max(0, found[0].in_flight) + found[0].dead

    # ---- the end -----------------------------------------------------------------------------------------------------------
    async def aclose(self) -> None:
        """Send and settle what waits, for at most `timing.pong` seconds, and close all connections. Idempotent."""
        self._closed = True
        if self._stop_upkeep is not None:
            self._stop_upkeep()
        await asyncio.gather(*(member.aclose() for member in list(self._members)), self._follower.aclose())
        await self._outbox.flush(self.env.timing.pong)
        self._outbox.close()
        if self._settling.line is not None:
            await self._errands.flush(self.env.timing.pong)
        self._errands.close()
        self._bounded.close()
        await self._publishing.aclose()
        await self._settling.aclose()


def _failed(error: CallError) -> Awaitable[None]:
    failed = asyncio.get_running_loop().create_future()
    failed.set_exception(error)
    return failed


def _ignore(*_args: object) -> None:
    """Nothing to do."""
