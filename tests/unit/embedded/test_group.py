"""The queue of one group over a store that can't write for a while: nothing is handed out, and nothing wears out meanwhile."""

import itertools

import pytest

from vyked_host.builtin.embedded.events.entry import Means
from vyked_host.builtin.embedded.events.group import GroupQueue
from vyked_host.builtin.embedded.events.parcel import Parcel, Topic
from vyked_host.builtin.embedded.events.session import Session
from vyked_host.testing.conformance.pubsub import event

AW = 30.0


class Time:
    """A clock that goes on when it is told to."""

    def __init__(self):
        self.at_now, self.timers, self._numbers = 0.0, {}, itertools.count()

    def now(self):
        return self.at_now

    def at(self, when, do):
        number = next(self._numbers)
        self.timers[number] = (when, do)
        return lambda: self.timers.pop(number, None)

    expire = at

    def pass_by(self, seconds):
        self.at_now += seconds
        for number, (when, do) in sorted(self.timers.items()):
            if when <= self.at_now and self.timers.pop(number, None):
                do()


class StuckStore:
    """Says of nothing that it is written until `write`."""

    durable = True

    def __init__(self):
        self.marks = []

    def group(self, topic, name, strategy):
        return 1

    def mark(self, entry, state, due_s, marked):
        self.marks.append((entry, state, marked))

    def forget(self, entry):
        """Nothing is there."""

    def write(self):
        marks, self.marks = self.marks, []
        for _entry, _state, marked in marks:
            marked()


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def store():
    return StuckStore()


@pytest.fixture
def group(time, store):
    means = Means(
        clock=time, chance=lambda: 0.5, ack_wait_s=AW, store=store, released=lambda _size: None,
        wake=lambda _group: None, token=itertools.count(1).__next__,
    )  # fmt: skip
    return GroupQueue(Topic("shop", 1, "paid"), "g", "any", means)


@pytest.fixture
def session():
    session = Session("node", 1, 10)
    session.attach(lambda: None)
    return session


def one_event(group):
    entry = group.enter(Parcel(event()), 1)
    group.accept(entry)
    group.pump()
    return entry


def test_while_nothing_can_be_written_deliveries_are_not_counted_and_no_writes_pile_up(group, session, store, time):
    session.members[1] = group.join("m", 10, session, 1)
    entry = one_event(group)
    for _ in range(20):
        time.pass_by(AW + 1)
        group.pump()
    assert entry.count == 1
    assert len(store.marks) == 1
    store.write()
    (given,) = session.take(1 << 20)[1]
    assert given.count == 1


def test_the_ack_wait_begins_when_the_delivery_is_out(group, session, store, time):
    session.members[1] = group.join("m", 10, session, 1)
    entry = one_event(group)
    time.pass_by(AW - 1)
    store.write()
    time.pass_by(AW - 1)
    group.pump()
    assert entry.count == 1
    time.pass_by(2)
    group.pump()
    assert entry.count == 2


def test_a_stream_that_begins_anew_gets_no_delivery_before_its_count_is_written_and_then_one(group, session, store):
    session.members[1] = group.join("m", 10, session, 1)
    one_event(group)
    session.give_again(frozenset())
    assert session.take(1 << 20)[1] == []
    store.write()
    assert len(session.take(1 << 20)[1]) == 1


def test_a_member_that_leaves_before_it_got_an_event_does_not_count(group, session, store):
    member = session.members[1] = group.join("m", 10, session, 1)
    entry = one_event(group)
    del session.members[1]
    member.close()
    session.members[2] = group.join("m", 10, session, 2)
    group.pump()
    store.write()
    assert [given.count for given in session.take(1 << 20)[1]] == [1]
    assert entry.count == 1
