"""Credit by size: many small items or few large ones, and never a sender that waits for what its reader has taken."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vyked_host.contracts import INITIAL_CREDIT
from vyked_host.wire.pieces import PIECE_BYTES
from vyked_host.wire.window import Window, cost

MIB = 1 << 20


@pytest.mark.parametrize(("size", "units"), [(0, 1), (100, 1), (PIECE_BYTES + 5, 1), (2 * PIECE_BYTES, 2), (MIB, 16)])
def test_an_item_costs_its_size_in_whole_pieces(size, units):
    assert cost(size) == units


def test_small_items_are_granted_by_half_a_window():
    window = Window()
    for _ in range(INITIAL_CREDIT - 1):
        assert window.arrived(10) == 0
    assert [window.taken(1) for _ in range(16)] == [0] * 15 + [16]


def test_a_sender_that_has_no_credit_left_hears_of_each_item_that_is_taken():
    window = Window()
    window.arrived(MIB)
    window.arrived(MIB)
    assert window.left == 0
    assert window.taken(1) == 16


def test_a_grant_beyond_what_came_counts_items():
    window = Window()
    assert window.taken(50) == 50
    assert window.left == INITIAL_CREDIT + 50


@given(st.lists(st.integers(0, 4 * MIB), max_size=60), st.integers(1, 16))
def test_whatever_the_sizes_all_items_get_through_and_what_waits_is_bounded(sizes, batch):
    window, sender, unread, left, taken = Window(), INITIAL_CREDIT, deque[int](), deque(sizes), 0
    while left or unread:
        if sender > 0 and left:
            unread.append(left.popleft())
            sender -= cost(unread[-1])
            sender += window.arrived(unread[-1])
            assert sum(unread) <= INITIAL_CREDIT * 2 * PIECE_BYTES + 4 * MIB
            continue
        assert unread, "the sender waits, and nothing is left to be taken"
        unread.popleft()
        taken += 1
        if taken >= batch or not unread:
            sender += window.taken(taken)
            taken = 0
