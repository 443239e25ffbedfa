"""The backlog of one handler: bounds, and a gap that is always the truth."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vyked_host.contracts import Verdict
from vyked_host.errors import LocalProtocolError
from vyked_host.routing.backlog import Backlog, joined
from vyked_host.testing.conformance.pubsub import ACK, Inbox, event

LOG = logging.getLogger("vyked.test")


def not_taken(each):
    LOG.exception("a consumer could not take event %s", each.id)


def backlog(deliver, *, concurrency=1, most=3):
    return Backlog(concurrency, most, deliver, lambda _backlog: None, not_taken)


@given(st.lists(st.sampled_from(["event", "settle", "missed"]), max_size=200), st.integers(1, 4), st.integers(1, 6))
def test_events_and_gaps_add_up_and_an_unknown_loss_is_never_shown_as_a_number(steps, concurrency, most):
    inbox = Inbox(lambda _delivery: None)
    under_test = backlog(inbox, concurrency=concurrency, most=most)
    history, unsettled = [], []
    for step in steps:
        if step == "event":
            history.append(event())
            under_test.accept(history[-1])
        elif step == "missed":
            history.append(None)
            under_test.missed()
        elif len(unsettled) < len(inbox.deliveries):
            inbox.deliveries[len(unsettled)].settle(ACK)
            unsettled.append(True)
        assert len(inbox.deliveries) - len(unsettled) <= concurrency
    at = 0
    for delivery in inbox.deliveries:
        found = history.index(delivery.event)
        before = history[at:found]
        assert delivery.gap == (-1 if None in before else len(before))
        at = found + 1


def test_many_bytes_are_too_many_however_few_the_events():
    inbox = Inbox(lambda _delivery: None)
    under_test = backlog(inbox, most=1000)
    for _ in range(12):
        under_test.accept(event(body=b"x" * (1 << 20)))
    inbox.deliveries[0].settle(ACK)
    assert inbox.deliveries[1].gap == under_test.dropped == 3


def test_a_delivery_is_settled_once_and_may_ask_for_time_before():
    inbox = Inbox(lambda _delivery: None)
    backlog(inbox).accept(event())
    inbox.deliveries[0].settle(Verdict(action="extend", seconds=3))
    inbox.deliveries[0].settle(Verdict(action="retry"))
    with pytest.raises(LocalProtocolError, match="settled before"):
        inbox.deliveries[0].settle(ACK)


async def test_a_subscription_is_left_once_however_often_it_is_closed():
    left = []
    under_test = Backlog(1, 3, Inbox(), left.append, not_taken)
    await under_test.aclose()
    await under_test.aclose()
    assert left == [under_test]


async def test_a_paused_one_delivers_nothing_new_and_a_closed_one_forgets():
    inbox = Inbox()
    under_test = backlog(inbox)
    under_test.pause()
    under_test.accept(event())
    assert (inbox.ids, await under_test.pending()) == ([], 1)
    await under_test.aclose()
    assert await under_test.pending() == 0


@given(st.integers(0, 9), st.integers(0, 9))
def test_an_unknown_gap_swallows_a_known_one(one, other):
    assert joined(one, other) == one + other
    assert joined(one, -1) == joined(-1, other) == joined(-1, -1) == -1
