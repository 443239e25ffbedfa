"""Who is refused first."""

from __future__ import annotations

from math import inf

import pytest

from vyked_host.routing.priority import AFTER_S, Order, Priority, lower


def test_low_ones_have_fewer_places_and_high_ones_more() -> None:
    def most(priority: str) -> int:
        return next(ran for ran in range(100) if not Order().lets_in(priority, ran, 12, 1024, 0.0))  # type: ignore[arg-type]

    assert (most("low"), most("normal"), most("high")) == (9, 12, 24)


def test_high_ones_have_an_eighth_more_at_most_than_the_configuration_allows() -> None:
    assert Order().lets_in("high", 1151, 1024, 1024, 0.0)
    assert not Order().lets_in("high", 1152, 1024, 1024, 0.0)


def test_the_smallest_limit_has_a_place_for_each() -> None:
    assert all(Order().lets_in(each, 0, 1, 1, 0.0) for each in ("low", "normal", "high"))  # type: ignore[arg-type]
    assert not Order().lets_in("normal", 1, 1, 1, 0.0)
    assert Order().lets_in("high", 1, 1, 1, 0.0)


def test_without_a_limit_nobody_is_refused() -> None:
    assert all(Order().lets_in(each, 10**6, inf, inf, 0.0) for each in ("low", "normal", "high"))  # type: ignore[arg-type]


def test_low_ones_are_refused_for_as_long_as_others_are_though_there_are_places() -> None:
    """In one turn of the loop a batch comes, and finds nothing running."""
    order, ran, begun = Order(), 0, {"low": 0, "normal": 0, "high": 0}
    for turn in range(10):
        ran = 0
        for number in range(60):
            priority = ("low", "normal", "normal", "high", "low", "normal")[number % 6]
            if order.lets_in(priority, ran, 10, 1024, turn * 0.1):  # type: ignore[arg-type]
                ran += 1
                begun[priority] += turn > 0
    assert begun["low"] == 0
    assert begun["high"] == 9 * 10  # all of them
    assert begun["normal"] > 9 * 5


def test_afterwards_low_ones_are_let_in_again() -> None:
    order = Order()
    assert not order.lets_in("normal", 10, 10, 1024, 1.0)
    assert not order.lets_in("low", 0, 10, 1024, 1.0 + AFTER_S / 2)
    assert order.lets_in("low", 0, 10, 1024, 1.0 + AFTER_S)


def test_low_ones_that_are_refused_keep_nobody_out() -> None:
    order = Order()
    assert not order.lets_in("low", 8, 10, 1024, 1.0)
    assert order.lets_in("low", 0, 10, 1024, 1.0)


@pytest.mark.parametrize(
    ("most", "asked", "found"),
    [
        ("normal", None, "normal"), ("normal", "low", "low"), ("normal", "high", "normal"), ("high", "normal", "normal"),
        ("high", "high", "high"), ("low", "normal", "low"), ("high", "urgent", "high"),
    ],
)  # fmt: skip
def test_a_caller_may_ask_for_less_and_not_for_more_than_the_method_says(
    most: Priority, asked: str | None, found: Priority
) -> None:
    assert lower(most, asked) == found
