"""The bus: `contracts.PubSub` on JetStream. One connection publishes; the other reads for all handlers, settles and asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from vyked_host import CallError, NotSupported, StartError, TooLarge, Unavailable
from vyked_host.contracts import (
    Consumer,
    Delivery,
    Environment,
    Event,
    PubSub,
    Subscription,
    is_queue,
    pack,
    queue_refusal,
)

from ..bus import failed
from ..keeper import Keeper
from ..line import Line
from ..options import ENVELOPE_BYTES, LARGEST, MIB, JetStreamOptions
from ..outbox import Outbox
from ..server import Servers
from .api import Api, Refused
from .asking import Asking
from .ending import Ending
from .followers import Followers
from .groups import Groups
from .known import Known
from .later import Later, Worker
from .letters import Letters
from .lookout import Lookout
from .member import Member
from .names import Names
from .past import Past
from .presence import Presence
from .queues import Queues
from .reader import Reader
from .search import start_of
from .settling import Settling
from .store import Store
from .stored import Stored
from .trimmer import Trimmer

TABLE = "pubsub.nats-jetstream"
LETTER_ROOM = 16 << 10
"""Bytes of a message that are left for what a dead letter says of an event."""
ENVELOPE_ROOM = ENVELOPE_BYTES
STRATEGIES = frozenset({"any", "random"})
"""Members that have room are served in turn by the server: also what RANDOM is for."""
AFTER_ERROR_S = 1.0


class JetStreamBus(PubSub, Asking):
    """Events of one host over NATS, kept until they are handled."""

    def __init__(self, options: JetStreamOptions, env: Environment) -> None:
        self.options, self.env = options, env
        self.servers = servers = Servers(options, env, TABLE)
        self.names = Names(options.prefix, env.namespace)
        self.api = Api(env.timing.dial)
        self._ack_wait_s = options.ack_wait * env.timing.scale
        self._settling = Settling(env.clock, self._ack_wait_s, servers.place)
        self._past = Past(self.api, self.names, env.log, self._settling.lost)
        self.store = Store(self.api, self.names, options, self._past)
        self._letters = Letters(self.api, self.store, self.names)
        # of whoever asks and waits for the answer, while what the bus does by itself goes on when the server is back
        self._questions = Api(env.timing.dial, away_s=env.timing.dial)
        self._asked_store = Store(self._questions, self.names, options)
        self.letters = Letters(self._questions, self._asked_store, self.names)
        self._queues = Queues(self.api, self.store, self.names, env, self._ack_wait_s, self._server)
        self._groups = Groups(self._questions, self.names, self.letters, env.clock)
        self._presence = Presence(self._questions)
        self._ending = Ending(self._questions, self.names, self.letters, self._presence)
        self._trimmer = Trimmer(self.api, self.store, self._past, self.names, self._groups, env, options.keep)
        self._lookout = Lookout(self.names, self._groups, self._presence, env)
        self._listening = Keeper("bus, listening", servers, env, joined=self._joined, left=self._left, told=_ignore)
        self._stored = Stored(self.names.events, self._absent, self._past.kept)
        told = self._stored.told
        self._publishing = Keeper(
            "bus, publishing", servers, env, joined=self._can_publish, left=self._can_not, told=told
        )
        self._open: Line | None = None
        self._why_not = ""
        self._stop_opening: Callable[[], None] = _ignore
        self._stop_resuming: Callable[[], None] = _ignore
        self._stop_upkeep: list[Callable[[], None]] = []
        self._outbox = Outbox(
            options.outbox, env.clock, lambda: self._open, lambda: self._why_not or self._publishing.away,
            self._stored, TABLE, LETTER_ROOM,
        )  # fmt: skip
        self._members: list[Member] = []
        self._later: set[Later] = set()
        self._followers = Followers(self.api, self.store, self._past, self.names, env, options)
        self._closed = False
        self._known = Known(self.names)

    def begin(self) -> None:
        """From now on there shall be connections. Idempotent."""
        self._listening.begin()
        self._publishing.begin()
        if not self._stop_upkeep:
            self._stop_upkeep = [
                self.env.tasks(self._trimmer.run(), "nats: trim the stream"),
                self.env.tasks(self._lookout.run(), "nats: look for groups without members"),
            ]

    # ---- the connections -----------------------------------------------------------------------------------------------
    def _joined(self, line: Line) -> None:
        self.api.joined(line)
        self._questions.joined(line)
        self._stop_resuming()
        self._stop_resuming = self.env.tasks(self._resuming(line), "nats: go on with what was said of events")
        self._presence.joined(line)
        for reader in (*self._taking(), *(each.reader for each in self._followers.all)):
            reader.joined(line)

    async def _resuming(self, line: Line) -> None:
        """Nothing is said of events before it is known that they are still there."""
        await self._made()
        self._settling.joined(line)

    def _left(self, cause: str) -> None:
        self._stop_resuming()
        self.api.left(cause)
        self._questions.left(cause)
        self.store.forget()
        self._asked_store.forget()
        self._queues.forget()
        self._settling.left(cause)
        self._presence.left()
        for reader in self._taking():
            reader.left(cause)
        for follower in self._followers.all:
            follower.left(cause)

    def _taking(self) -> list[Reader]:
        return [member.reader for member in self._members] + [later.reader for later in self._later]

    def _can_publish(self, line: Line) -> None:
        self._stop_opening()
        self._stop_opening = self.env.tasks(self._opening(line), "nats: see to the streams")

    def _can_not(self, _cause: str) -> None:
        self._stop_opening()
        self._open, self._why_not = None, ""
        self._stored.lost()

    async def _opening(self, line: Line) -> None:
        """Nothing goes out before there is a stream to take it."""
        await self._made()
        self._open, self._why_not = line, ""
        self._outbox.joined(line)

    async def _made(self) -> None:
        while True:
            try:
                return await self.store.make()
            except (Refused, CallError, StartError) as error:
                self._why_not = f"{self.servers.place}: {error}"
            await asyncio.sleep(AFTER_ERROR_S)

    def _absent(self) -> None:
        """There was no stream to take an event."""
        line, self._open = self._open, None
        if line is not None:
            self._why_not = f"{self.servers.place}: no stream takes events"
            self.store.forget()
            self._can_publish(line)

    def _server(self) -> str:
        line = self._listening.line
        return "" if line is None else line.client.info.server_id

    # ---- publishing --------------------------------------------------------------------------------------------------
    def publish(self, event: Event, *, deadline: float) -> Awaitable[None]:
        """Hand over `event`. Awaiting: the server keeps it. Raises errors.TooLarge, Overloaded, Unavailable, DeadlineExceeded,
        PermissionDenied."""
        key = event.service, event.version, event.name
        known = self._known.get(key) or self._known.of(key)
        if self._closed:
            return failed(Unavailable(f"event {known.name} is not published: the bus is closed", executed="not_sent"))
        packed = pack(event)
        line = self._publishing.line
        most = (line.client.info.max_payload if line is not None else MIB) - LETTER_ROOM
        if len(packed) > most or len(packed) > LARGEST < len(event.body):
            text = f"event {known.name} has {len(event.body)} bytes, {len(packed)} with its headers; this bus takes {LARGEST}"
            return failed(TooLarge(f"{text}, and the server {most} in all", executed="not_sent"))
        if line is None:
            self.begin()
        # an id is one topic's: the stream, which has all of them, would take that of another for a repetition
        known_by = known.place + event.id
        if not known.is_queue:
            return self._outbox.publish(known.name, known.kept, packed, deadline, known_by)
        is_later = (event.not_before_unix_s or 0.0) > self.env.clock.unix()
        to = known.later if is_later else known.kept
        hand_over = partial(self._outbox.publish, known.name, to, packed, deadline, known_by)
        return self._queues.enqueue(known.topic, deadline, hand_over)

    # ---- subscribing -------------------------------------------------------------------------------------------------
    async def subscribe(self, subscription: Subscription, deliver: Callable[[Delivery], None]) -> Consumer:
        """Deliver matching events from now on, or from `since` on; jobs all that there are. Raises NotSupported for a strategy it has
        not, Unavailable, PermissionDenied."""
        if subscription.group is not None and subscription.strategy not in STRATEGIES:
            raise NotSupported(
                f"JetStream knows no strategy {subscription.strategy!r}: whoever of a group has room gets an event"
            )
        not_allowed = queue_refusal(subscription.service, subscription.major, subscription.name, subscription.group)
        if not_allowed:
            raise NotSupported(not_allowed)
        self.begin()
        start = await start_of(
            subscription, self._line, names=self.names, api=self.api, store=self.store, env=self.env
        )  # fmt: skip
        if subscription.group is not None:
            return await self._member(subscription, start, deliver)
        follower, backlog = self._followers.follow(subscription, start, deliver)
        await self._entered(follower.reader, backlog)
        return backlog

    def _line(self) -> Line:
        if self._listening.line is None:
            raise Unavailable(self._listening.away, executed="not_executed")
        return self._listening.line

    async def _member(
        self, wanted: Subscription, start: dict[str, Any], deliver: Callable[[Delivery], None]
    ) -> Consumer:  # fmt: skip
        member = Member(
            wanted, start, deliver, names=self.names, api=self.api, store=self.store, settling=self._settling,
            letters=self._letters, past=self._past, env=self.env, ack_wait_s=self._ack_wait_s, server=self._server, left=self._gone,
        )  # fmt: skip
        self._members.append(member)
        self._presence.enter(self.names.member(member.topic, member.group))
        await self._entered(member.reader, member)
        return await self._worker(member) if is_queue(wanted.name) else member

    async def _worker(self, member: Member) -> Worker:
        later = Later(
            member.topic, names=self.names, api=self.api, store=self.store, settling=self._settling, queues=self._queues,
            env=self.env, ack_wait_s=self._ack_wait_s,
        )  # fmt: skip
        self._later.add(later)
        worker = Worker(member, later, self.env, self._later.discard)
        await self._entered(later.reader, worker)
        return worker

    def _gone(self, member: Member) -> None:
        self._members = [each for each in self._members if each is not member]
        self._presence.leave(self.names.member(member.topic, member.group))

    async def _entered(self, reader: Reader, whose: Consumer) -> None:
        """Wait until the server knows. Raises Unavailable and what the server says."""
        if self._listening.line is not None:
            reader.begin(self._listening.line)
        try:
            async with asyncio.timeout(self.env.timing.dial):
                await asyncio.shield(reader.entered)
        except BaseException as error:
            await whose.aclose()
            if isinstance(error, TimeoutError):
                raise Unavailable(
                    f"{reader.what} can't be subscribed: {self._listening.away}", executed="unknown"
                ) from None
            if isinstance(error, Refused):
                raise Unavailable(f"{reader.what} can't be subscribed: {error}", executed="not_executed") from None
            raise

    # ---- the end -----------------------------------------------------------------------------------------------------------
    async def aclose(self) -> None:
        """Send and settle what waits, for at most `timing.pong` seconds, and close both connections. Idempotent."""
        self._closed = True
        for stop in self._stop_upkeep:
            stop()
        for reader in self._taking():  # what comes from here on goes back: others have it at once
            reader.pause()
        for member in self._members:
            member.pause()
        await asyncio.gather(
            self._followers.aclose(), *(member.aclose() for member in list(self._members)),
            *(later.reader.aclose(self.env.timing.pong) for later in list(self._later)),
        )  # fmt: skip
        await self._outbox.flush(self.env.timing.pong)
        self._outbox.close()
        self._stop_opening()
        self._stop_resuming()
        self._settling.close()
        self.api.close()
        self._questions.close()
        await self._publishing.aclose()
        await self._listening.aclose()


def _ignore(*_args: object) -> None:
    """Nothing to do."""
