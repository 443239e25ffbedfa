"""The way to the broker for one term: `Here`, where this node holds the hub, and `Away`, where another one does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context as Variables
from typing import Any

from ....contracts import Environment, Event, GroupLag, Term, Verdict
from ....errors import CallError, NotSupported
from ....routing.backoff import Backoff
from ....wire.envelope import MalformedEnvelope, unpack
from ..mishaps import Mishaps
from .census import known_groups, lag, letterboxes
from .desk import BusDesk
from .entry import nothing
from .inbox import GroupDelivery, Inbox
from .inquiries import Begun, Moving, Page
from .letters import Batch, DeadLetter, Letter, Settlement, Succession, Taken, Wanted
from .parcel import Topic
from .session import Session
from .settlements import Settlements

STREAM_S = 600.0
CALL_S = 5.0
"""A call of a moment's work ([timing] scale applies)."""
_RETRY = Backoff(first=0.05, most=2.0)
EVERYTHING = 1 << 40


class Here:
    """The desk is an object of this process: nothing is packed, no socket is touched."""

    def __init__(self, term: Term, name: str, inbox: Inbox, env: Environment) -> None:
        self.term, self.desk = term, term.desk(BusDesk)
        self.broker = self.desk.broker
        self._inbox, self._env, self._name = inbox, env, name
        self._session: Session
        self.told_all, self.succession = False, Succession()

    @property
    def born(self) -> int:
        """This node's session at the broker."""
        return self._session.born

    async def open(self, *, told_all: bool) -> None:
        """Take up the subscriptions of this node, once the desk is ready. Raises Moving."""
        await self.desk.ready()
        self._session = self.broker.session(self._name)
        self._inbox.begin(self.born, told_all=told_all)
        for wanted in self._inbox.wanted():
            refused = await self.subscribe(wanted)
            if refused:
                self._env.log.error("a subscription is lost: %s", refused)
        self.broker.attach(self._session, self._ready)

    def _ready(self) -> None:
        asyncio.get_running_loop().call_soon(self._take)

    def _take(self) -> None:
        told, given = self._session.take(EVERYTHING)
        for each in given:
            if not each.over:
                self._inbox.handed(each.member.index, each.token, each.count, each.entry.parcel.event)
        for feed, number, parcel in told:
            self._inbox.told(feed.index, number, (parcel.event,))

    async def subscribe(self, wanted: Wanted) -> str:
        """Ask for a subscription; why it is refused, "" when it is not."""
        try:
            self.broker.subscribe(self._session, wanted.index, wanted.subscription())
        except NotSupported as error:
            return str(error)
        if wanted.paused:
            self.broker.pause(self._session, wanted.index)
        return ""

    def settle(self, delivery: GroupDelivery, verdict: Verdict) -> Awaitable[None]:
        """What became of a delivery; awaiting: it is written, where the bus writes."""
        token = delivery.token if delivery.born == self.born else 0
        self.broker.settle(self._session, token, delivery.index, delivery.event.id, verdict)
        return self.broker.written()

    def pause(self, index: int) -> None:
        """Nothing new for this subscription."""
        self.broker.pause(self._session, index)

    async def leave(self, index: int) -> None:
        """End this subscription."""
        self.broker.leave(self._session, index)

    async def pending(self, index: int) -> int:
        """Events that wait for the group of this subscription."""
        return self.desk.waiting(self._session, index)

    async def dead(self, topic: Topic, group: str) -> list[tuple[Event, str, int]]:
        """The dead letters of a group."""
        found = self.broker.groups.get(topic, {}).get(group)
        return [(each.parcel.event, each.cause, each.count) for each in found.dead.values()] if found else []

    async def groups(self, topic: Topic) -> list[tuple[str, int, int]]:
        """(group, members, events that wait) of one topic."""
        return known_groups(self.broker, topic)

    async def begin(self, topic: Topic, since: str) -> Begun:
        """Where a replay begins."""
        return await self.desk.begin(*topic, since)

    async def past(self, topic: Topic, place: str, after: int) -> Page:
        """What follows in a replay."""
        return await self.desk.past(*topic, place, after)

    async def lag(self, groups: frozenset[str] | None) -> list[GroupLag]:
        """How far each group is behind."""
        return lag(self.broker, self._env.clock.unix(), groups)

    async def letterboxes(self) -> list[tuple[str, int, str, str, int]]:
        """(service, major, event, group, dead letters) of each group that has any."""
        return letterboxes(self.broker)

    async def discard(self, event_id: str, *, replay: bool, group: str | None) -> bool:
        """Forget a dead letter, or put it back."""
        return self.broker.discard(event_id, replay=replay, group=group)

    async def quit(self, within: float) -> None:
        """This node stops, and with it the term: every other node is told what it is due."""
        self.broker.end(self._session)
        await self.desk.finish(within)

    def close(self) -> None:
        """Nothing runs."""


class Away:
    """The desk is called over the hub."""

    def __init__(self, term: Term, name: str, inbox: Inbox, settlements: Settlements, env: Environment) -> None:
        self.term, self._name, self._inbox, self._settlements, self._env = term, name, inbox, settlements, env
        self._desk: Any = term.desk(BusDesk)
        self._call_s = CALL_S * env.timing.scale
        self._cancel: Callable[[], None] = nothing
        self._is_listening = False
        self.mishaps = Mishaps(env.log, f"the stream of events from {term.node_id}")
        self.born, self.told_all, self.succession = 0, False, Succession()

    async def open(self, *, told_all: bool) -> None:
        """Join, with the subscriptions of this node. Raises CallError, Moving."""
        joined = await self._join(self._inbox.wanted())
        for refused in joined.refused.values():
            self._env.log.error("a subscription is lost: %s", refused)
        self._inbox.begin(joined.born, told_all=told_all)
        self.born = joined.born
        self._listen()  # also who subscribes to nothing may be the next holder, and has to hear what that one waits for

    async def _join(self, wanted: list[Wanted]) -> Any:
        return await self._desk.join.using(timeout=self._call_s)(self._name, wanted)

    async def subscribe(self, wanted: Wanted) -> str:
        """Ask for a subscription; why it is refused, "" when it is not. Raises CallError, Moving."""
        joined = await self._join([wanted])
        if joined.born != self.born:  # the node was away too long meanwhile
            await self._begin_again()
        self._listen()
        return str(joined.refused.get(wanted.index, ""))

    # ---- what comes --------------------------------------------------------------------------------------------------
    def _listen(self) -> None:
        if not self._is_listening:
            self._is_listening = True
            self._cancel = Variables().run(self._env.tasks, self._follow(), f"events from {self.term.node_id}")

    async def _follow(self) -> None:
        failures = 0
        while not self.term.over.done():
            try:
                failures = 0 if await self._stream() else failures + 1
            except (CallError, Moving) as error:
                failures += 1
                self._env.log.debug("events from %s: %s", self.term.node_id, error)
            except Exception as error:  # noqa: BLE001 - told; without its stream this node would get no event any more
                failures += 1
                self.mishaps.met(error)
            if failures:
                await asyncio.sleep(_RETRY.delay(failures - 1, self._env.rng.random()))

    async def _stream(self) -> bool:
        """One stream from its start to its end. True: something came."""
        await self._begin_again()
        held = self._settlements.tokens(self.born)
        something = False
        async with self._desk.attach.using(timeout=STREAM_S)(self._name, self.born, held) as batches:
            async for batch in batches:
                something = True
                self._take(batch)
                self.succession = batch.succession or self.succession
                if batch.state == "moving":
                    self.told_all = True
                    await asyncio.wait({self.term.over})
        return something

    async def _begin_again(self) -> None:
        """Be known there, with everything; once again where this node was away too long."""
        joined = await self._join(self._inbox.wanted())
        if joined.born != self.born:
            self.born = joined.born
            self._inbox.begin(joined.born, told_all=False)

    def _take(self, batch: Batch) -> None:
        for each in batch.handed:
            event = self._event(each.packed)
            if event is not None:
                delivery = self._inbox.handed(each.index, each.token, each.count, event)
                self._settlements.hold(delivery)
        for run in batch.runs:
            self._inbox.told(run.index, run.first, self._events(run.events))

    def _events(self, packed: Iterable[bytes]) -> list[Event]:
        return [event for each in packed if (event := self._event(each)) is not None]

    def _event(self, packed: bytes) -> Event | None:
        try:
            return unpack(packed)
        except MalformedEnvelope as error:
            self._env.log.error("an event from %s is left out: %s", self.term.node_id, error)  # noqa: TRY400
            return None

    # ---- what goes out -----------------------------------------------------------------------------------------------
    async def publish(self, letters: list[Letter], within: float) -> Taken:
        """Hand over events. Raises CallError, Moving."""
        taken: Taken = await self._desk.publish.using(timeout=within)(letters)
        return taken

    async def settle(self, settlements: list[Settlement]) -> None:
        """Tell what became of deliveries. Raises CallError, Moving."""
        await self._desk.settle.using(timeout=self._call_s)(self._name, settlements)

    async def pause(self, index: int) -> None:
        """Nothing new for this subscription."""
        await self._desk.pause.using(timeout=self._call_s)(self._name, index)

    async def leave(self, index: int) -> None:
        """End this subscription."""
        await self._desk.leave.using(timeout=self._call_s)(self._name, index)

    async def pending(self, index: int) -> int:
        """Events that wait for the group of this subscription."""
        return int(await self._desk.pending.using(timeout=self._call_s)(self._name, index))

    async def dead(self, topic: Topic, group: str) -> list[tuple[Event, str, int]]:
        """The dead letters of a group."""
        found: list[DeadLetter] = []
        while page := await self._desk.dead.using(timeout=self._call_s)(*topic, group, len(found)):
            found += page
        return [(event, each.cause, each.count) for each in found if (event := self._event(each.packed)) is not None]

    async def groups(self, topic: Topic) -> list[tuple[str, int, int]]:
        """(group, members, events that wait) of one topic."""
        return list(await self._desk.groups.using(timeout=self._call_s)(*topic))

    async def begin(self, topic: Topic, since: str) -> Begun:
        """Where a replay begins."""
        found: Begun = await self._desk.begin.using(timeout=self._call_s)(*topic, since)
        return found

    async def past(self, topic: Topic, place: str, after: int) -> Page:
        """What follows in a replay."""
        found: Page = await self._desk.past.using(timeout=self._call_s)(*topic, place, after)
        return found

    async def lag(self, groups: frozenset[str] | None) -> list[GroupLag]:
        """How far each group is behind."""
        wanted = sorted(groups) if groups is not None else None
        return list(await self._desk.lag.using(timeout=self._call_s)(wanted))

    async def letterboxes(self) -> list[tuple[str, int, str, str, int]]:
        """(service, major, event, group, dead letters) of each group that has any."""
        return list(await self._desk.letterboxes.using(timeout=self._call_s)())

    async def discard(self, event_id: str, *, replay: bool, group: str | None) -> bool:
        """Forget a dead letter, or put it back."""
        return bool(await self._desk.discard.using(timeout=self._call_s)(event_id, replay, group))

    async def quit(self, within: float) -> None:
        """This node stops: what it did not settle goes to others at once."""
        await self._desk.quit.using(timeout=max(within, 0.01))(self._name)

    def close(self) -> None:
        """Listen no more."""
        self._cancel()
        self._cancel = nothing


Link = Here | Away
