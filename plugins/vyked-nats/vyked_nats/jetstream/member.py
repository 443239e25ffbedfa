"""One member of a group: takes as many events as its handler takes at once, and tells the server what became of each. Whatever is
not settled within the ack wait goes to another member; so does, at once, what a member gives back when it leaves.

JetStream writes down what it has handed out only every tenth of a second. After a restart of the server it may hand out the same
again as if for the first time: so the first that comes back notes in the group's consumer how far the stream reached then (`DOUBT`),
and whatever is older says that it may have been there before.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from math import inf
from typing import Any

from vyked_host import CallError, Unavailable, UsageError
from vyked_host.contracts import (
    Delivery,
    Environment,
    MalformedEnvelope,
    Subscription,
    Verdict,
    pack,
    unpack,
)

from ..kinds import Kinds
from ..message import Message
from .api import NO_CONSUMER, Api, Refused
from .delivery import GroupDelivery, Word, first_of, place_of
from .durables import DOUBT, SERVER, of_group
from .letters import Letters
from .names import Names, Topic, consumer_of
from .past import Past
from .reader import Reader
from .settling import Promise, Settling
from .store import NS, Store

BEATS = 3
"""How often within an ack wait the server hears that an event is still being handled."""
LATE_S = 0.1
"""So long before the ack wait is over what a member says may already come too late."""
HELD_NOTED = 10_000
"""Events that come again later of which a member still knows, to say how far its group is behind."""
FULL_S = 5.0
"""An event that can't become a dead letter comes again after so long."""


class Member:
    """`contracts.Consumer`. `server` says which server is at the other end, and `left` is told of the end."""

    def __init__(
        self, wanted: Subscription, start: dict[str, Any], deliver: Callable[[Delivery], None], *, names: Names, api: Api,
        store: Store, settling: Settling, letters: Letters, past: Past, env: Environment, ack_wait_s: float,
        server: Callable[[], str], left: Callable[[Member], None],
    ) -> None:  # fmt: skip
        self.topic, self.group = Topic(wanted.service, wanted.major, wanted.name), str(wanted.group)
        self._names, self._api, self._settling, self._past = names, api, settling, past
        self._tell = settling.tell
        self._letters, self._env, self._log, self._server, self._left = letters, env, env.log, server, left
        self._start, self._deliver, self._concurrency, self._ack_wait_s = start, deliver, wanted.concurrency, ack_wait_s
        self._now, self._late_s = env.clock.now, min(LATE_S, ack_wait_s / 4)
        self._kinds = Kinds(*self.topic)
        self.consumer = consumer_of(self.topic, self.group)
        self._is_first_here = first_of(names.events, self.consumer).fullmatch
        self._unsettled: dict[bytes, GroupDelivery] = {}
        self._came = past.came
        self._is_first: Callable[[bytes], object] = _unknown
        self._doubt = self.malformed = 0
        self._paused = self._ended = self._beating = False
        self._doing: set[Promise] = set()
        self._held: list[float] = []
        self.reader = Reader(
            f"{self.group} on {self.topic}", names.events, store, env, prepare=self._prepare, room=self._room, got=self._got
        )  # fmt: skip

    # ---- the consumer at the server ----------------------------------------------------------------------------------------
    async def _prepare(self) -> str:
        here = self._server()
        try:
            found = await self._api.ask(f"CONSUMER.INFO.{self._names.events}.{self.consumer}")
        except Refused as error:
            if error.number != NO_CONSUMER:
                raise
            found = await self._made(here)
        said = found["config"].get("metadata") or {}
        if said.get(SERVER) != here or found["config"]["ack_wait"] != int(self._ack_wait_s * NS):
            said = await self._noted(found["config"], here, said)
        self._doubt = int(said.get(DOUBT, 0))
        self._is_first = _unknown if self._doubt else self._is_first_here
        return self.consumer

    async def _made(self, here: str) -> Any:
        """A new group; or one that is gone with the server's data, or was removed: made anew, with all there is."""
        start, doubt = self._start, 0
        if self.reader.entered.done():
            self._log.warning("group %s of %s is gone at the server and is made anew", self.group, self.topic)
            start, doubt = {"deliver_policy": "all"}, await self._last()
        wait_s = self._ack_wait_s
        return await self._create(
            of_group(self._names, self.topic, self.group, wait_s, start, server=here, doubt=doubt)
        )

    async def _noted(self, config: dict[str, Any], here: str, said: dict[str, str]) -> dict[str, str]:
        if said.get(SERVER) != here:
            said = {**said, SERVER: here, DOUBT: str(await self._last())}
        await self._create({**config, "ack_wait": int(self._ack_wait_s * NS), "metadata": said})
        return said

    async def _create(self, config: dict[str, Any]) -> Any:
        body = {"stream_name": self._names.events, "config": config}
        return await self._api.ask(f"CONSUMER.CREATE.{self._names.events}.{self.consumer}", body)

    async def _last(self) -> int:
        found = await self._api.ask(f"STREAM.INFO.{self._names.events}")
        return int(found["state"]["last_seq"])

    # ---- what comes --------------------------------------------------------------------------------------------------------
    def _room(self) -> int:
        return self._concurrency - len(self._unsettled)

    def _got(self, message: Message) -> None:
        answer_to, unsettled = message.answer_to, self._unsettled
        if self._is_first(answer_to):
            count, self._came[self.consumer] = 1, answer_to
        else:
            count = self._count(answer_to)
        if self._paused or (len(unsettled) >= self._concurrency and answer_to not in unsettled):
            self._say(answer_to, nak(0.0), self._now() + self._ack_wait_s)
            return
        try:
            event = unpack(message.data)
            kind = event.service, event.version, event.name
            if not (kind in self._kinds or self._kinds.takes(kind)):
                text = f"an event of {event.service}.{event.name} {event.version} that was published as {self.topic}"
                self._refuse(message, text)
                return
        except MalformedEnvelope as error:
            self._refuse(message, str(error))
            return
        unsettled[answer_to] = delivery = GroupDelivery(
            answer_to=answer_to, member=self, event=event, count=count, fresh_until=self._now() + self._ack_wait_s
        )
        try:
            self._deliver(delivery)
        except Exception:  # noqa: BLE001 - told; the event comes again
            self._log.exception("a consumer could not take event %s of %s", event.id, self.topic)
            unsettled.pop(answer_to, None)

    def _count(self, answer_to: bytes) -> int:
        """How often it was delivered, where that takes a closer look. First deliveries come in the order of their places, so nothing is in
        doubt any more behind one that is not."""
        reply = answer_to.decode()
        place = place_of(reply)
        self._past.saw(place.sequence, reply)
        if place.sequence <= self._doubt:
            return place.deliveries + 1
        if place.deliveries == 1:
            self._is_first = self._is_first_here
        return place.deliveries

    def _refuse(self, message: Message, cause: str) -> None:
        """It is no event of the topic, and becomes a dead letter."""
        self.malformed += 1
        if self.malformed == 1:
            self._log.error("what is no event of %s becomes a dead letter: %s", self.topic, cause)
        deliveries = place_of(message.reply).deliveries
        self._do(self._bury(message.answer_to, deliveries, cause, message.data))

    def _hold(self, until: float) -> None:
        self._held.append(until)
        if len(self._held) > HELD_NOTED:
            self._held = self._held[-HELD_NOTED:]

    @property
    def held(self) -> int:
        """Events that this member gave back and that come again later."""
        now = self._now()
        self._held = [each for each in self._held if each > now]
        return len(self._held)

    # ---- settling ----------------------------------------------------------------------------------------------------------
    def settle(self, delivery: GroupDelivery, verdict: Verdict) -> Awaitable[None]:
        """The consumer has decided. Raises UsageError when it had before."""
        now, action = self._now(), verdict.action
        if action == "extend":
            delivery.held_until = now + (verdict.seconds or self._ack_wait_s)
            return self._beat(delivery)
        if delivery.settled:
            raise UsageError(f"event {delivery.event.id} was settled before")
        delivery.settled = True
        self._unsettled.pop(delivery.answer_to, None)
        if not self.reader.is_asked:
            self.reader.wake()
        is_late = now > delivery.fresh_until - self._late_s
        if action == "ack":
            self._tell(self.consumer, delivery)
            return self._do(self._late(delivery)) if is_late else delivery
        if is_late:  # somebody else has it, and decides
            delivery.confirm()
            return delivery
        if action == "retry":
            self._hold(now + verdict.seconds)
            delivery.payload, delivery.until = nak(verdict.seconds), delivery.fresh_until
            self._tell(self.consumer, delivery)
            return delivery
        return self._do(self._reject(delivery, verdict.cause))

    def _say(self, answer_to: bytes, payload: bytes, until: float = inf) -> Word:
        return self._settling.say(self.consumer, answer_to, payload, until)

    def _do(self, work: Coroutine[Any, Any, None]) -> Promise:
        """Runs whether anybody awaits it or not, and to its end; whoever awaits it is told within the ack wait."""
        promise = self._settling.promise()
        self._doing.add(promise)
        promise.add_done_callback(self._doing.discard)
        self._env.tasks(promise.follow(work), f"nats: settle for {self.group}")
        return promise

    async def _reject(self, delivery: GroupDelivery, cause: str) -> None:
        await self._bury(delivery.answer_to, delivery.count, cause, pack(delivery.event))

    async def _bury(self, answer_to: bytes, deliveries: int, cause: str, packed: bytes) -> None:
        subject = self._names.dead(self.topic, self.group)
        try:
            await self._letters.bury(subject, answer_to.decode(), deliveries, cause, packed)
        except (Refused, CallError) as error:
            self._log.error("an event of %s can't become a dead letter, and comes again: %s", self.topic, error)
            await self._say(answer_to, nak(FULL_S), self._now() + self._ack_wait_s)
            return
        await self._say(answer_to, b"+TERM")

    async def _late(self, delivery: GroupDelivery) -> None:
        """It was given to somebody else meanwhile, who may have given it up: it was handled, and is no dead letter."""
        await delivery
        await self._letters.take_back(self._names.dead(self.topic, self.group), delivery.reply)

    # ---- more time ---------------------------------------------------------------------------------------------------------
    def _beat(self, delivery: GroupDelivery) -> Word:
        delivery.fresh_until = self._now() + self._ack_wait_s
        if not self._beating:
            self._beating = True
            self._env.clock.at(self._now() + self._ack_wait_s / BEATS, self._beat_all)
        return self._say(delivery.answer_to, b"+WPI", delivery.fresh_until)

    def _beat_all(self) -> None:
        self._beating = False
        now = self._now()
        for each in [each for each in self._unsettled.values() if each.held_until > now]:
            self._beat(each)

    # ---- contracts.Consumer ------------------------------------------------------------------------------------------------
    def pause(self) -> None:
        """Ask for nothing new."""
        self._paused = True
        self.reader.pause()

    async def pending(self) -> int:
        """Events that wait for the group or are with one of it. Raises Unavailable."""
        await self._settling.flush(self._env.timing.pong)
        try:
            async with asyncio.timeout(self._env.timing.dial):
                found = await self._api.ask(f"CONSUMER.INFO.{self._names.events}.{self.consumer}")
        except (Refused, TimeoutError) as error:
            raise Unavailable(f"what waits for {self.group} is not known: {error}", executed="not_executed") from None
        return int(found["num_pending"]) + int(found["num_ack_pending"])

    async def settled(self) -> None:
        """Wait until what it gave up on are dead letters, for at most `timing.pong` seconds."""
        if self._doing:
            await asyncio.wait(set(self._doing), timeout=self._env.timing.pong)

    async def aclose(self) -> None:
        """Leave: what was not settled goes to the others at once. Idempotent."""
        self.pause()
        if self._ended:
            return
        self._ended = True
        await self.reader.aclose(self._env.timing.pong)
        unsettled, self._unsettled = list(self._unsettled.values()), {}
        for each in unsettled:
            self._say(each.answer_to, nak(0.0), each.fresh_until)
        self._left(self)
        await self.settled()
        await self._settling.flush(self._env.timing.pong)


def nak(seconds: float) -> bytes:
    """It comes again after so long."""
    return b"-NAK" if seconds <= 0 else b"-NAK " + json.dumps({"delay": int(seconds * NS)}).encode()


def _unknown(_answer_to: bytes) -> None:
    """Each delivery is looked at closely."""
