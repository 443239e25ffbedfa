"""What the bounds of the scenarios grow by."""

from __future__ import annotations

import signal
import time

import pytest

from tests.stalls import LEAST_S, Watch


@pytest.fixture
def watch():
    made = Watch()
    yield made
    made.close()


def test_a_stall_is_measured_before_and_after_the_process_that_looks_for_it_runs_again(watch):
    before, began = watch.so_far(), time.monotonic()
    watch.process.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    at_once = watch.so_far()
    watch.process.send_signal(signal.SIGCONT)
    time.sleep(2 * LEAST_S)
    after = watch.so_far()
    for found in (at_once, after):
        assert 0.4 <= found.seconds - before.seconds <= found.ended - began + 0.1
    assert after.ended <= time.monotonic()


def test_where_nothing_stalls_nothing_is_measured(watch):
    before, began = watch.so_far(), time.monotonic()
    time.sleep(2 * LEAST_S)
    after = watch.so_far()
    assert after.seconds - before.seconds <= max(0.0, time.monotonic() - began - 2 * LEAST_S) + 0.1
