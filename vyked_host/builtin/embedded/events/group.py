"""One consumer group and its queue: each event goes to one member and is kept until that one says what became of it.

An event is in exactly one place: in a lane (waiting; a lane is for anybody or for its owner), with a member, delayed until
its next try, or dead. What a member does not settle within the ack wait, or leaves behind, goes back; an ack that comes
late still counts. Events go back to the end of the lane: one that fails again and again does not hold up the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

from ....contracts import Verdict
from ....model.description import Strategy
from ....routing.delivery import Group
from .entry import Entry, Given, Means, Past, Receiver, State, nothing
from .member import Member
from .parcel import Parcel, Topic

OLDER = -(1 << 60)
"""Orders of what was there before this broker begin here: before everything that it accepts itself."""


class GroupQueue:
    """The queue of one group."""

    def __init__(self, topic: Topic, name: str, strategy: Strategy, means: Means) -> None:
        self.topic, self.name, self.strategy = topic, name, strategy
        self._clock, self._store, self._means = means.clock, means.store, means
        self._group = Group(strategy, means.chance)
        self._members: dict[str, Member] = {}
        self._lanes: dict[str | None, deque[Entry]] = {}
        self._delayed: dict[Entry, Callable[[], None]] = {}
        self._joined, self._accepted, self._older = 0, 0, OLDER
        self.number = means.store.group(topic, name, strategy)
        self.entries: dict[str, Entry] = {}
        self.dead: dict[str, Entry] = {}
        self.bytes = 0

    @property
    def waiting(self) -> int:
        """Events in lanes and those that are delayed."""
        return sum(not entry.done for lane in self._lanes.values() for entry in lane) + len(self._delayed)

    @property
    def given(self) -> set[Entry]:
        """Those that members have."""
        return {each.entry for member in self._members.values() for each in member.unsettled.values()}

    @property
    def members(self) -> int:
        """How many are there to take events."""
        return len(self._members)

    @property
    def has_members(self) -> bool:
        """Is anybody there to take events?"""
        return bool(self._members)

    # ---- members ---------------------------------------------------------------------------------------------------
    def join(self, name: str, concurrency: int, receiver: Receiver, index: int) -> Member:
        """One more member; one of a name that is taken gets another."""
        self._joined += 1
        name = f"{name}#{self._joined}" if name in self._members else name
        member = self._members[name] = Member(self, name, concurrency, receiver, index)
        self._group.join(name)
        self._sort_anew()
        return member

    def leave(self, member: Member) -> None:
        """`member` gets nothing new."""
        if self._members.get(member.name) is member:
            del self._members[member.name]
            self._group.leave(member.name)
            self._sort_anew()

    def change(self, strategy: Strategy) -> None:
        """Another strategy, while nobody is a member."""
        self.strategy, self._group = strategy, Group(strategy, self._means.chance)
        self._store.group(self.topic, self.name, strategy)
        self._sort_anew()

    def wake(self) -> None:
        """Somebody may have room again."""
        self._means.wake(self)

    def _sort_anew(self) -> None:
        """Who owns what has changed."""
        entries = sorted((entry for lane in self._lanes.values() for entry in lane), key=lambda entry: entry.order)
        self._lanes = {}
        for entry in entries:
            self._line_up(entry)

    # ---- events in and out -------------------------------------------------------------------------------------------
    def enter(self, parcel: Parcel, number: int) -> Entry | None:
        """One more event, for which there is room; it waits for `accept`. None: it is here already."""
        if parcel.event.id in self.entries:
            return None
        self._accepted += 1
        entry = self.entries[parcel.event.id] = Entry(self, parcel, self._accepted, number)
        self.bytes += parcel.cost
        return entry

    def accept(self, entry: Entry) -> None:
        """It may be delivered."""
        if not entry.done:
            self._line_up(entry)

    def take_over(self, parcel: Parcel, number: int, past: Past) -> Entry | None:
        """An event from before, in front of all others; None: it is here already."""
        if parcel.event.id in self.entries:
            return None
        self._older += 1
        entry = self.entries[parcel.event.id] = Entry(self, parcel, self._older, number)
        entry.count, entry.cause = past.deliveries, past.cause
        self.bytes += parcel.cost
        if past.state == "dead":
            self.dead[entry.id] = entry
        elif past.state == "waiting":
            self._line_up(entry)
        else:
            entry.held = past.state == "given"
            self._delay(entry, past.seconds)
        return entry

    def settle_order(self) -> None:
        """All from before are here: put them in their order."""
        self._sort_anew()

    def past(self) -> Iterator[tuple[Entry, State, float]]:
        """Every entry that is not done, in order: (entry, state, seconds until it is due)."""
        now = self._clock.now()
        given = self.given
        for entry in sorted(self.entries.values(), key=lambda entry: entry.order):
            if entry.id in self.dead:
                yield entry, "dead", 0.0
            elif entry in given or entry.held:
                yield entry, "given", self._means.ack_wait_s
            elif entry in self._delayed:
                yield entry, "delayed", max(0.0, entry.due - now)
            else:
                yield entry, "waiting", 0.0

    def pump(self) -> None:
        """Hand over what can be handed over now."""
        for owner in list(self._lanes):
            self._empty(owner)

    def _line_up(self, entry: Entry) -> None:
        due = entry.parcel.event.not_before_unix_s
        if due is not None and (seconds := due - self._clock.unix()) > 0:
            self._delay(entry, seconds)
            return
        self._lanes.setdefault(self._group.owner(entry.parcel.event.key), deque()).append(entry)
        self._means.wake(self)

    def _empty(self, owner: str | None) -> None:
        lane = self._lanes.get(owner, ())
        while lane:
            member = self._taker(owner)
            if member is None:
                return
            entry = lane.popleft()
            if not entry.done:
                self._hand_over(entry, member)

    def _taker(self, owner: str | None) -> Member | None:
        if owner is not None:
            member = self._members.get(owner)
            return member if member is not None and member.has_room else None
        free = [name for name, member in self._members.items() if member.has_room]
        return self._members[self._group.pick(free)] if free else None

    def _hand_over(self, entry: Entry, member: Member) -> None:
        entry.count += 1
        given = Given(self._means.token(), entry, member)
        member.unsettled[given.token] = given
        # told only once the store knows the count: an event that comes again after a crash says so
        self._store.mark(entry, "given", self._means.ack_wait_s, partial(self._marked, given))

    def _marked(self, given: Given) -> None:
        """Now it goes out, and only now the ack wait begins: a store that can't write holds events up and wears none out."""
        if not given.over:
            given.is_out = True
            self._wait(given, self._means.ack_wait_s)
            given.member.receiver.give(given)

    def _wait(self, given: Given, seconds: float) -> None:
        given.cancel_wait()
        given.cancel_wait = self._clock.expire(self._clock.now() + seconds, partial(self.give_back, given))

    # ---- what became of them -----------------------------------------------------------------------------------------
    def settle(self, given: Given, verdict: Verdict) -> None:
        """Carry out a verdict on a delivery that is not over."""
        if verdict.action == "extend":
            self._wait(given, verdict.seconds or self._means.ack_wait_s)
            return
        self._let_go(given)
        self._judge(given.entry, verdict)

    def settle_late(self, event_id: str, verdict: Verdict) -> bool:
        """A verdict on a delivery that is over, or of an earlier term: then it counts, else only an ack does. False: the
        event is not known here."""
        entry = self.entries.get(event_id)
        if entry is None:
            return False
        if entry.held and verdict.action == "extend":
            self._delay(entry, verdict.seconds or self._means.ack_wait_s)
        elif entry.held:
            entry.held = False
            self._delayed.pop(entry, nothing)()
            self._judge(entry, verdict)
        elif verdict.action == "ack":
            self._finish(entry)
        return True

    def _judge(self, entry: Entry, verdict: Verdict) -> None:
        if entry.done:  # an earlier delivery's ack came in between
            return
        entry.cause = verdict.cause
        if verdict.action == "ack":
            self._finish(entry)
        elif verdict.action == "reject":
            self.dead[entry.id] = entry
            self._store.mark(entry, "dead", 0.0, nothing)
        elif verdict.seconds > 0:
            self._store.mark(entry, "delayed", verdict.seconds, nothing)
            self._delay(entry, verdict.seconds)
        else:
            self._line_up(entry)

    def give_back(self, given: Given) -> None:
        """The event was not settled: somebody else gets it."""
        if given.over:
            return
        self._let_go(given)
        if not given.is_out:
            given.entry.count -= 1  # nobody saw it
        if not given.entry.done:
            self._line_up(given.entry)

    def _let_go(self, given: Given) -> None:
        given.over = True
        given.cancel_wait()
        given.member.unsettled.pop(given.token, None)
        self._means.wake(self)

    def _delay(self, entry: Entry, seconds: float) -> None:
        self._delayed.pop(entry, nothing)()
        entry.due = self._clock.now() + seconds
        self._delayed[entry] = self._clock.at(entry.due, partial(self._try_again, entry))

    def _try_again(self, entry: Entry) -> None:
        self._delayed.pop(entry, nothing)
        entry.held = False
        self._line_up(entry)

    def _finish(self, entry: Entry) -> None:
        if not entry.done:
            self.drop(entry)
            self._store.forget(entry)

    def drop(self, entry: Entry) -> None:
        """It is not here any more, whatever the store says."""
        if entry.done:
            return
        entry.done = True
        self.entries.pop(entry.id, None)
        self.dead.pop(entry.id, None)
        self._delayed.pop(entry, nothing)()
        self.bytes -= entry.parcel.cost
        self._means.released(entry.parcel.cost)

    # ---- dead letters ------------------------------------------------------------------------------------------------
    def discard(self, event_id: str, *, replay: bool) -> bool:
        """Forget the dead letter of this id, or put it back with its count at 0; False: there is none."""
        entry = self.dead.get(event_id)
        if entry is None:
            return False
        if not replay:
            self._finish(entry)
            return True
        del self.dead[event_id]
        entry.count, entry.cause = 0, ""
        self._store.mark(entry, "waiting", 0.0, nothing)
        self._line_up(entry)
        return True

    def close(self) -> None:
        """Cancel every timer."""
        for cancel in self._delayed.values():
            cancel()
        for member in self._members.values():
            for given in member.unsettled.values():
                given.cancel_wait()
        self._members.clear()
