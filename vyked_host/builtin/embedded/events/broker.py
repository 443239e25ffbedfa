"""The broker of one term: topics, the sessions of the nodes, groups, and what is accepted into them.

What is published in one turn of the loop is handed over in the next, as one batch. All that waits for groups, dead letters
included, shares one budget in bytes (full: publishing waits for room until its deadline, then Overloaded).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from functools import partial

from ....contracts import Environment, Subscription, Verdict
from ....errors import NotSupported, Overloaded, Unavailable
from ....model.description import Strategy
from ....model.queues import group_of, is_queue
from ..options import BusOptions
from .admission import Admission
from .done import DONE
from .entry import Entry, Means, Past, Store, nothing
from .group import GroupQueue
from .groups import DeadLetterLimit, crowded
from .parcel import Parcel, Topic
from .seen import Seen
from .session import Feed, Session

RECONNECT_S = 3.0
"""A node whose stream broke keeps what it has for so long ([timing] scale applies)."""
NODE_QUEUES = 16
"""How many handlers' queues of fan-out events wait for one node."""


class Broker:
    """Everything that has to be in one place. `opens_at`: nothing is accepted before, in monotonic seconds, or
    before all sessions in `expected` are back."""

    def __init__(
        self, options: BusOptions, env: Environment, store: Store, opens_at: float, expected: Collection[str]
    ) -> None:
        self._options, self._clock, self._log, self.store = options, env.clock, env.log, store
        self._born, self._reconnect_s = env.rng.getrandbits, RECONNECT_S * env.timing.scale
        self.admission = Admission(options.memory, env.clock, opens_at, self.offer, self._crowded)
        self._means = Means(
            clock=env.clock, chance=env.rng.random, ack_wait_s=options.ack_wait * env.timing.scale, store=store,
            released=self.admission.released, wake=self._wake, token=itertools.count(1).__next__,
        )  # fmt: skip
        self.ack_wait_s = self._means.ack_wait_s
        self.seen, self._dead_letters = Seen(), DeadLetterLimit(options.dead_letters, env)
        self._feeds: dict[Topic, list[Feed]] = {}
        self.groups: dict[Topic, dict[str, GroupQueue]] = {}
        self.revision = 0  # of the set of groups; `regrouped` is called when there is a new one
        self.regrouped: Callable[[], None] = nothing
        self.sessions: dict[str, Session] = {}
        self._numbers = itertools.count(1)
        self._awake: dict[GroupQueue, None] = {}
        self._inherited: set[str] = set()
        self._rests, self._expected = False, set(expected)

    # ---- publishing --------------------------------------------------------------------------------------------------
    def publish(self, parcel: Parcel, deadline: float) -> Awaitable[None]:
        """Accept `parcel`, as soon as there is room. Raises Overloaded, Unavailable."""
        found = self.offer(parcel)
        return self.admission.wait(parcel, deadline) if found is None else found

    def offer(self, parcel: Parcel) -> Awaitable[None] | None:
        """Accept `parcel` where there is room now; None: there is not."""
        now = self._clock.now()
        if self.seen.knows(parcel.identity, now):
            return self._known(parcel)
        groups = self.groups.get(parcel.topic) or self._queue(parcel.topic)
        if groups and (full := self._dead_letters.refusal(parcel.topic, groups)):
            return _failed(full)
        if not self.admission.has_room(len(groups) if groups else 0, parcel):
            return None
        self.seen.add(parcel.identity, now)
        if groups or self.store.keeps_past:
            return self._accept(parcel, groups or {})
        self._tell(parcel)
        return DONE

    def _queue(self, topic: Topic) -> dict[str, GroupQueue] | None:
        """The one group of a queue, which is there from the first job on."""
        if not is_queue(topic.name):
            return None
        self.group(topic, group_of(topic.service, topic.major), "any")
        return self.groups[topic]

    def _accept(self, parcel: Parcel, groups: dict[str, GroupQueue]) -> Awaitable[None]:
        entries = [entry for group in groups.values() if (entry := group.enter(parcel, next(self._numbers)))]
        self.admission.used += len(entries) * parcel.cost
        if not self.store.durable:
            self._line_up(parcel, entries)
            return DONE
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.store.keep(entries, partial(self._kept, parcel, entries, accepted), parcel)
        return accepted

    def _line_up(self, parcel: Parcel, entries: Sequence[Entry]) -> None:
        self._tell(parcel)
        for entry in entries:
            entry.group.accept(entry)

    def _kept(self, parcel: Parcel, entries: Sequence[Entry], accepted: asyncio.Future[None], why_not: str) -> None:
        if not why_not:
            self._line_up(parcel, entries)
            if not accepted.done():
                accepted.set_result(None)
            return
        self.seen.forget(parcel.identity)
        for entry in entries:
            entry.group.drop(entry)
        if not accepted.done():
            text = f"event {parcel.event.id} of {parcel.topic} could not be kept: {why_not}"
            accepted.set_exception(Unavailable(text, executed="not_executed"))

    def _known(self, parcel: Parcel) -> Awaitable[None]:
        """It was accepted before: again at once, or once that is sure."""
        if not self.store.durable:
            return DONE
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.store.keep((), partial(self._still_known, parcel, accepted))
        return accepted

    def _still_known(self, parcel: Parcel, accepted: asyncio.Future[None], _why_not: str) -> None:
        if accepted.done():
            return
        if self.seen.knows(parcel.identity, self._clock.now()):
            accepted.set_result(None)
        else:
            accepted.set_exception(Unavailable(f"event {parcel.event.id} could not be kept", executed="not_executed"))

    def _tell(self, parcel: Parcel) -> None:
        for feed in self._feeds.get(parcel.topic, ()):
            feed.session.tell(feed, parcel)

    def _crowded(self, topic: Topic) -> str:
        return crowded(self, topic, self._options.memory)

    # ---- sessions ----------------------------------------------------------------------------------------------------
    def session(self, name: str) -> Session:
        """The session of a node; a new one waits for its stream a moment."""
        found = self.sessions.get(name)
        if found is None:
            most = self._options.queue * NODE_QUEUES
            found = self.sessions[name] = Session(name, self._born(53), most)
            self._end_later(found)
        return found

    def attach(self, session: Session, ready: Callable[[], None]) -> int:
        """A node takes what it is due: `ready` tells it when there is something. The number of its stream."""
        stream = session.attach(ready)
        if session.name in self._expected:
            self._expected.discard(session.name)
            if not self._expected:
                self.admission.open()
        return stream

    def roster(self) -> list[str]:
        """The sessions that subscribe to something."""
        return [name for name, each in self.sessions.items() if each.feeds or each.members]

    def detach(self, session: Session, stream: int) -> None:
        """The stream of this number is over."""
        if session.detach(stream) and not self._rests:  # what it has goes to the next holder as it is
            self._end_later(session)

    def _end_later(self, session: Session) -> None:
        session.cancel_end()
        session.cancel_end = self._clock.expire(self._clock.now() + self._reconnect_s, partial(self.end, session))

    def end(self, session: Session) -> None:
        """The node is gone."""
        if self.sessions.get(session.name) is session:
            del self.sessions[session.name]
            for index in list(session.feeds):
                self.leave(session, index)
            session.close()

    def subscribe(self, session: Session, index: int, wanted: Subscription) -> None:
        """One more subscription of a node. Idempotent. Raises NotSupported for a second strategy in one group."""
        if index in session.feeds or index in session.members:
            return
        topic = Topic(wanted.service, wanted.major, wanted.name)
        if wanted.group is None:
            feed = session.feeds[index] = Feed(session, index, topic)
            self._feeds.setdefault(topic, []).append(feed)
        else:
            group = self.group(topic, wanted.group, wanted.strategy)
            session.groups[index] = group
            session.members[index] = group.join(wanted.member, wanted.concurrency, session, index)

    def group(self, topic: Topic, name: str, strategy: Strategy) -> GroupQueue:
        """A group, which keeps events from now on. Raises NotSupported when it has another strategy."""
        groups = self.groups.setdefault(topic, {})
        found = groups.get(name)
        if found is None:
            found = groups[name] = GroupQueue(topic, name, strategy, self._means)
            self.revision += 1
            self.regrouped()
        elif found.strategy != strategy and not found.has_members:
            found.change(strategy)  # its members of now decide
        elif found.strategy != strategy:
            text = f"group {name} of {topic} has strategy {found.strategy!r}, not {strategy!r}"
            raise NotSupported(f"{text}: all members of a group have the same")
        return found

    def pause(self, session: Session, index: int) -> None:
        """Nothing new for this subscription; what it has may still be settled."""
        member = session.members.get(index)
        if member is not None:
            member.group.leave(member)

    def leave(self, session: Session, index: int) -> None:
        """End a subscription; what was not settled goes back. Idempotent."""
        feed = session.feeds.pop(index, None)
        if feed is not None:
            self._feeds[feed.topic].remove(feed)
            if not self._feeds[feed.topic]:
                del self._feeds[feed.topic]
        member = session.members.pop(index, None)
        if member is not None:
            member.close()

    def settle(self, session: Session, token: int, index: int, event_id: str, verdict: Verdict) -> None:
        """What became of a delivery. One that this broker does not know is ignored."""
        member, group = session.members.get(index), session.groups.get(index)
        given = member.unsettled.get(token) if member is not None else None
        if given is not None:
            given.entry.group.settle(given, verdict)
        elif group is None or not group.settle_late(event_id, verdict):
            self._log.debug("%s of event %s by %s: it is not here any more", verdict.action, event_id, session.name)

    def written(self) -> Awaitable[None]:
        """Once all that was settled so far is written, where it is written at all; what can't be written now is owed."""
        if not self.store.durable:
            return DONE
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.store.keep((), lambda _why_not: None if done.done() else done.set_result(None))
        return done

    def _wake(self, group: GroupQueue) -> None:
        if not self._awake:
            asyncio.get_running_loop().call_soon(self._pump)
        self._awake[group] = None

    def _pump(self) -> None:
        if self._rests:
            return
        awake, self._awake = self._awake, {}
        for group in awake:
            group.pump()

    # ---- what is left ------------------------------------------------------------------------------------------------
    def take_over(self, group: GroupQueue, parcel: Parcel, past: Past, number: int = 0) -> Entry | None:
        """An event from before this term, whatever the budget says; None: it is, or was, here already. `number` 0: it is not in
        the store yet."""
        if parcel.identity not in self._inherited and self.seen.knows(parcel.identity, self._clock.now()):
            return None  # published again in this term: its group has had it
        self._inherited.add(parcel.identity)
        entry = group.take_over(parcel, number or next(self._numbers), past)
        if entry is not None:
            self.admission.used += parcel.cost
            self.seen.add(parcel.identity, self._clock.now())
        return entry

    def count_from(self, number: int) -> None:
        """Numbers up to this one are taken."""
        self._numbers = itertools.count(number + 1)

    def all_groups(self) -> Iterator[GroupQueue]:
        """Every group of every topic."""
        for by_name in self.groups.values():
            yield from by_name.values()

    def discard(self, event_id: str, *, replay: bool, group: str | None = None) -> bool:
        """Forget a dead letter in every group that has it, or in that one, or put it back; False: there is none."""
        having = [each for each in self.all_groups() if group in (None, each.name)]
        found = [each.discard(event_id, replay=replay) for each in having]  # in each, not in the first only
        return any(found)

    def rest(self) -> None:
        """Publishers that wait are refused, and groups give out nothing more."""
        self._rests = True
        for session in self.sessions.values():
            session.cancel_end()
        self.admission.close()

    def close(self) -> None:
        """Timers are cancelled; nothing is given back or forgotten. Idempotent."""
        self.rest()
        for group in self.all_groups():
            group.close()


def _failed(error: Overloaded) -> Awaitable[None]:
    failed = asyncio.get_running_loop().create_future()
    failed.set_exception(error)
    return failed
