"""The history checker catches each kind of breach, and says nothing of a history that keeps the rules."""

from __future__ import annotations

import pytest

from .history import (
    Call,
    Execution,
    Handling,
    Heard,
    Publication,
    Removal,
    Sight,
    breaches_of_calls,
    breaches_of_calm,
    breaches_of_delivery,
    breaches_of_emptiness,
    breaches_of_flags,
    breaches_of_leases,
    breaches_of_order,
    breaches_of_views,
    breaches_of_watching,
    duplicates,
)


def call(outcome, idempotent=False):
    return Call("c", outcome, idempotent, 0.0, 1.0)


def ran(times, id="c"):
    return [Execution(id, f"n{each}", 0.5) for each in range(times)]


def handling(id, count=1, at=0.0, ended=1.0, group="g"):
    return Handling(id, group, "n", count, at, ended)


def published(*ids, acked=True):
    return [Publication(each, acked, 0.0) for each in ids]


def delivery(events, handled, dead=(), pending=0):
    return breaches_of_delivery(events, handled, ["g"], {"g": dead}, {"g": pending})


@pytest.mark.parametrize(
    ("outcome", "idempotent", "times"),
    [
        ("ok", False, 1), ("ok", True, 1), ("ok", True, 2), ("executed", False, 1), ("not_sent", False, 0),
        ("not_executed", False, 0), ("unknown", False, 0), ("unknown", False, 1), ("unknown", True, 3),
    ],
)  # fmt: skip
def test_calls_that_ran_as_their_outcome_says_are_fine(outcome, idempotent, times):
    assert breaches_of_calls([call(outcome, idempotent)], ran(times)) == []


@pytest.mark.parametrize(
    ("outcome", "idempotent", "times", "said"),
    [
        ("ok", False, 0, "succeeded and never ran"),
        ("ok", True, 0, "succeeded and never ran"),
        ("executed", False, 0, "executed and never ran"),
        ("ok", False, 2, "more than once"),
        ("unknown", False, 2, "more than once"),
        ("executed", False, 2, "more than once"),
        ("not_sent", False, 1, "can't have run"),
        ("not_executed", True, 1, "can't have run"),
    ],
)
def test_calls_that_did_not_are_caught(outcome, idempotent, times, said):
    (sentence,) = breaches_of_calls([call(outcome, idempotent)], ran(times))
    assert said in sentence


def test_an_execution_that_nobody_asked_for_is_caught():
    assert "nobody made" in breaches_of_calls([], ran(1))[0]


def test_acked_events_that_are_handled_or_wait_or_are_dead_are_fine():
    assert delivery(published("a", "b", "c"), [handling("a")], dead=["b"], pending=1) == []


def test_events_of_unknown_fate_may_be_handled_or_not():
    assert delivery(published("a", "b", acked=False), [handling("a")]) == []


def test_a_lost_event_is_caught():
    assert "1 lost to group g" in delivery(published("a", "b"), [handling("a")])[0]


def test_an_event_whose_handler_never_returned_is_lost_unless_it_waits():
    assert "lost" in delivery(published("a"), [handling("a", ended=None)])[0]
    assert delivery(published("a"), [handling("a", ended=None)], pending=1) == []


def test_an_event_lost_to_one_group_only_is_caught():
    found = breaches_of_delivery(published("a"), [handling("a")], ["g", "h"], {}, {})
    assert found == ["1 lost to group h (0 wait): a"]


def test_an_invented_event_is_caught():
    assert "published by nobody" in delivery(published("a"), [handling("a"), handling("b")])[0]


def test_a_flagged_duplicate_is_fine_and_counted():
    handled = [handling("a"), handling("a", count=2, at=1.0), handling("a", count=1, group="h")]
    assert breaches_of_flags(handled) == []
    assert duplicates(handled) == 1


def test_an_unflagged_duplicate_is_caught():
    assert "without being told" in breaches_of_flags([handling("a"), handling("a", at=1.0)])[0]


def test_who_was_frozen_may_come_after_the_one_that_was_told():
    assert breaches_of_flags([handling("a", count=2, at=0.0), handling("a", count=1, at=1.0)]) == []


def test_one_flag_among_three_is_not_enough():
    handled = [handling("a"), handling("a", count=2, at=1.0), handling("a", at=2.0)]
    assert "1 delivered again" in breaches_of_flags(handled)[0]


def test_a_calm_run_has_one_run_per_event_and_group():
    assert breaches_of_calm(published("a"), [handling("a"), handling("a", group="h")], ["g", "h"]) == []
    assert breaches_of_calm(published("a"), [handling("a")], ["g", "h"])
    assert breaches_of_calm(published("a"), [handling("a"), handling("a", count=2)], ["g"])


def test_order_is_per_publisher_and_topic():
    heard = [Heard("n", "p", "t", 1), Heard("n", "q", "t", 1), Heard("n", "p", "t", 2), Heard("m", "p", "t", 1)]
    assert breaches_of_order(heard) == []


@pytest.mark.parametrize("second", [1, 2])
def test_an_event_out_of_order_or_told_twice_is_caught(second):
    assert "out of order" in breaches_of_order([Heard("n", "p", "t", 2), Heard("n", "p", "t", second)])[0]


def test_losses_have_to_be_told():
    assert breaches_of_order([Heard("n", "p", "t", 1), Heard("n", "p", "t", 4, gap=2)]) == []
    assert breaches_of_order([Heard("n", "p", "t", 1), Heard("n", "p", "t", 4, gap=-1)]) == []
    assert "n: 2 missed, 1 told" in breaches_of_order([Heard("n", "p", "t", 1), Heard("n", "p", "t", 4, gap=1)])[0]


def sights(*told):
    return [Sight("w", epoch, revision, snapshot) for epoch, revision, snapshot in told]


def test_a_watch_that_goes_forward_is_fine():
    told = sights((7, 3, True), (7, 4, False), (7, 4, True), (7, 9, True), (3, 1, True), (3, 2, False))
    assert breaches_of_watching(told) == []


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ([(7, 3, True), (7, 2, False)], "went back"),
        ([(7, 3, True), (7, 3, False)], "went back"),
        ([(7, 3, True), (7, 2, True)], "went back"),
        ([(7, 3, True), (3, 1, True), (7, 4, True)], "epoch that was over"),
        ([(7, 3, True), (3, 1, False)], "without a snapshot"),
        ([(7, 3, False)], "without a snapshot"),
    ],
)
def test_a_watch_that_goes_back_is_caught(told, said):
    assert said in breaches_of_watching(sights(*told))[0]


def test_each_watcher_counts_for_itself():
    assert breaches_of_watching([Sight("v", 7, 3, True), Sight("w", 7, 2, True)]) == []


@pytest.mark.parametrize(
    ("silent", "said"), [(0.59, "last sign"), (0.60, ""), (0.64, ""), (0.73, ""), (0.75, "only after")]
)
def test_a_lease_ends_neither_early_nor_late(silent, said):
    found = breaches_of_leases([Removal("n", 0.0, silent)], lease=0.6, sweep=0.04, slack=0.1)
    assert (said in found[0]) if said else not found


def test_a_service_that_seemed_to_vanish_is_caught():
    assert breaches_of_emptiness([(0.0, 0), (1.0, 3), (2.0, 1)]) == []
    assert "at 2.000" in breaches_of_emptiness([(1.0, 3), (2.0, 0), (3.0, 3)])[0]
    assert breaches_of_emptiness([(1.0, 3), (2.0, 2)], least=3)


def test_views_that_differ_are_caught():
    assert breaches_of_views({"v": {"a": 1}, "w": {"a": 1}}) == []
    assert "v" in breaches_of_views({"v": {"a": 1}, "w": {"a": 2}})[0]
