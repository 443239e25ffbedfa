"""One member of a group: reads its share of a topic, hands over as many events as its handler takes at once, and tells the server
what became of each. Whatever is not settled within the ack wait, and whatever a member held back or left, is taken by whoever of
the group asks next; everybody asks several times within an ack wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from logging import Logger
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from ....contracts import Clock, Delivery, Event, Verdict
from ....errors import LocalProtocolError
from ....wire.envelope import MalformedEnvelope, unpack
from ..errands import Errands
from ..wire import Word
from .bounded import Bounded
from .keys import GroupKeys
from .reader import Reader
from .scripts import ACKED, AGAIN, BURY, HOLD

MOST_A_READ = 256
LOOKS = 3
"""How often within an ack wait it is asked for events that come again; at least once a second."""


class Entry(NamedTuple):
    """One entry in the hands of this member: `lane` 0 is the topic, 1 what was brought back for the group."""

    lane: int
    id: str
    deliveries: int


class StreamDelivery(Delivery):
    """`contracts.Delivery` of one entry."""

    __slots__ = ("_member", "count", "entry", "event", "gap", "held", "settled")

    def __init__(self, member: Member, entry: Entry, event: Event) -> None:
        self._member, self.entry, self.event = member, entry, event
        self.count, self.gap, self.held, self.settled = entry.deliveries, 0, False, False

    def settle(self, verdict: Verdict) -> Awaitable[None]:
        """Awaiting: the server knows. Raises LocalProtocolError when it was settled before."""
        return self._member.settle(self, verdict)


class Member:
    """`contracts.Consumer`. `ack_wait_s` is in seconds; `index` names the set that knows where dead letters are."""

    def __init__(
        self, keys: GroupKeys, group: str, name: str, concurrency: int, deliver: Callable[[Delivery], None], *,
        errands: Errands, bounded: Bounded, clock: Clock, log: Logger, ack_wait_s: float, read_s: float, index: str,
        left: Callable[[Member], None],
    ) -> None:  # fmt: skip
        self.keys, self.group, self.name = keys, group, name
        self._concurrency, self._deliver, self._left = concurrency, deliver, left
        self._errands, self._bounded, self._clock, self._log, self._index = errands, bounded, clock, log, index
        self._ack_wait_s, self._look_s = ack_wait_s, min(1.0, ack_wait_s / LOOKS, read_s)
        self._unsettled: dict[Entry, StreamDelivery] = {}
        self._look_at = 0.0
        self._paused = self._ended = self._making = False
        self.malformed = 0
        self.reader: Reader | None = None

    # ---- reading -----------------------------------------------------------------------------------------------------------
    def command(self) -> tuple[Word, ...] | None:
        """What to ask the server next."""
        room = min(self._concurrency - len(self._unsettled), MOST_A_READ)
        if room <= 0 or self._paused or self._making:
            return None
        now = self._clock.now()
        (stream, held), (again, again_held) = self.keys.lanes
        if now >= self._look_at:
            self._look_at = now + self._look_s
            wait = str(int(self._ack_wait_s * 1000))
            keys = (stream, held, again, again_held, self.keys.later, self.keys.clock)
            return ("EVALSHA", AGAIN.digest, str(len(keys)), *keys, self.group, self.name, wait, str(room))
        block = max(1, int((self._look_at - now) * 1000))
        return (
            "XREADGROUP",
            "GROUP",
            self.group,
            self.name,
            "COUNT",
            str(room),
            "BLOCK",
            str(block),
            "STREAMS",
            stream,
            ">",
        )

    def got(self, reply: Any) -> None:
        """The reply to a read: new entries, entries that come again, or nothing."""
        match reply:
            case None | []:
                return
            case [[bytes(), list() as entries]]:
                for id_, fields in entries:
                    self._take(Entry(0, id_.decode(), 1), fields)
            case list():
                for lane, id_, count, fields in reply:
                    self._take(Entry(int(lane), id_.decode(), int(count)), fields)

    def refused(self, error: Exception) -> None:
        """The server took the read amiss. A group that is gone - a server without its data - is made anew, with all there is."""
        if isinstance(error, ResponseError) and "NOGROUP" in str(error):
            self._log.warning(
                "group %s of %s is gone at the server and is made anew", self.group, self.keys.lanes[0].stream
            )
            self._making = True
            asyncio.gather(*self.make("0"), return_exceptions=True).add_done_callback(self._made)
        else:
            self._log.error("no events of %s for %s: %s", self.keys.lanes[0].stream, self.group, error)

    def make(self, since: str) -> list[Awaitable[object]]:
        """Make the group at the server, if it is not there: events from `since` on ("$": from now on)."""
        starts = zip(self.keys.lanes, (since, "0"), strict=True)
        return [self._errands.ask("XGROUP", "CREATE", lane.stream, self.group, at, "MKSTREAM") for lane, at in starts]

    def _made(self, _made: object) -> None:
        self._making = False
        self._wake()

    def _take(self, entry: Entry, fields: Any) -> None:
        if self._paused:  # the read was under way when the drain began: others have it at once
            self._held(entry, 0.0)
            return
        try:
            event = unpack(bytes(fields[1]))
        except MalformedEnvelope as error:
            self.malformed += 1
            if self.malformed == 1:
                self._log.error("what is no event in %s becomes a dead letter: %s", self.keys.lanes[0].stream, error)
            _told(self._bounded.say(BURY, *self._burial(entry, str(error))))
            return
        delivery = self._unsettled[entry] = StreamDelivery(self, entry, event)
        try:
            self._deliver(delivery)
        except Exception:  # noqa: BLE001 - told; the event comes again
            self._log.exception("a consumer could not take event %s of %s.%s", event.id, event.service, event.name)
            self._unsettled.pop(entry, None)

    # ---- settling ----------------------------------------------------------------------------------------------------------
    def settle(self, delivery: StreamDelivery, verdict: Verdict) -> Awaitable[None]:
        """Tell the server, whether anybody awaits that or not; who does hears within the ack wait. Raises LocalProtocolError when it
        was told before."""
        entry = delivery.entry
        if verdict.action == "extend":
            delivery.held = True
            return self._held(entry, verdict.seconds or self._ack_wait_s)
        if delivery.settled:
            raise LocalProtocolError(f"event {delivery.event.id} was settled before")
        delivery.settled = True
        self._unsettled.pop(entry, None)
        self._wake()
        if verdict.action == "ack":
            return self._acked(delivery)
        if verdict.action == "retry":
            return self._held(entry, verdict.seconds)
        return _told(self._bounded.say(BURY, *self._burial(entry, verdict.cause)))

    def _acked(self, delivery: StreamDelivery) -> Awaitable[None]:
        lane, id_, _ = delivery.entry
        if lane or delivery.held:
            return _told(self._bounded.say(ACKED, *self._ending(lane, id_)))
        acked = self._bounded.ack(self.keys.lanes[0].stream, self.group, id_)
        acked.add_done_callback(partial(self._too_late, id_))
        return _told(acked)

    def _too_late(self, id_: str, acked: asyncio.Future[int]) -> None:
        """One of these was given to somebody else meanwhile, who may have given it up: it was handled, and is no dead letter."""
        if not acked.cancelled() and acked.exception() is None and acked.result() < 0:
            _told(self._bounded.say(ACKED, *self._ending(0, id_)))

    def _ending(self, lane: int, id_: str) -> tuple[Any, ...]:
        stream, held = self.keys.lanes[lane]
        return (stream, held, self.keys.dead, self.keys.order), self.group, str(lane), id_

    def _held(self, entry: Entry, seconds: float) -> asyncio.Future[Any]:
        milliseconds = str(max(0, int(seconds * 1000)))
        return _told(self._bounded.say(HOLD, self.keys.lanes[entry.lane], *self._mine(entry), milliseconds))

    def _mine(self, entry: Entry) -> tuple[str, ...]:
        return (self.group, self.name, entry.id, str(entry.deliveries))

    def _burial(self, entry: Entry, cause: str) -> tuple[Any, ...]:
        keys = (*self.keys.lanes[entry.lane], self.keys.dead, self.keys.order, self.keys.number, self._index)
        return keys, *self._mine(entry), cause, self.keys.base

    def _wake(self) -> None:
        if self.reader is not None and not self._ended:
            self.reader.wake()

    # ---- the consumer ------------------------------------------------------------------------------------------------------
    def pause(self) -> None:
        """Ask for nothing new."""
        self._paused = True

    async def pending(self) -> int:
        """Events that wait for the group or are with one of it; -1: the server can't say."""
        try:
            found = groups_of(await self._bounded.ask("XINFO", "GROUPS", self.keys.lanes[0].stream))
        except ResponseError:  # there is no such stream: a server without its data
            return -1
        return next((waiting for name, waiting in found if name == self.group), 0)

    async def aclose(self) -> None:
        """Leave: what was not settled goes to the others at once. Idempotent."""
        self._paused = True
        if self._ended:
            return
        self._ended = True
        unsettled, self._unsettled = list(self._unsettled), {}
        if self.reader is not None:
            await self.reader.aclose()
        self._left(self)
        if unsettled:
            await asyncio.wait({self._held(each, 0.0) for each in unsettled}, timeout=1.0)


def groups_of(reply: Any) -> list[tuple[str, int]]:
    """(name, events that wait or are unsettled) of each group in a reply of XINFO GROUPS; -1: unknown."""
    found = []
    for told in reply:
        fields = dict(zip(told[::2], told[1::2], strict=True))
        lag = fields.get(b"lag")
        found.append((fields[b"name"].decode(), -1 if lag is None else int(lag) + int(fields[b"pending"])))
    return found


def _told(reply: asyncio.Future[Any]) -> asyncio.Future[Any]:
    """Whoever does not await it hears of no failure: the event comes again."""
    reply.add_done_callback(_looked_at)
    return reply


def _looked_at(reply: asyncio.Future[Any]) -> None:
    if not reply.cancelled():
        reply.exception()
