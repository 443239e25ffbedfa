"""What a node tells of the time of a call: the lag of its loop while that ran, and no other."""

import pytest

from vyked_host.runtime.clock import LoopClock
from vyked_host.runtime.failures import FailureLog
from vyked_host.runtime.moments import Moments


class Wall(LoopClock):
    """A clock on the wall that is set by hand."""

    def __init__(self) -> None:
        self.now_unix = 1000.0

    def unix(self) -> float:
        return self.now_unix


@pytest.mark.parametrize(
    ("noted_at", "lag_s", "told_s"),
    [
        (999.5, 3.0, 0.0),  # over before the call came
        (1000.4, 3.0, 0.4),  # began before it, and held it up for what was left
        (1003.0, 2.0, 2.0),  # within it
        (1006.0, 2.0, 2.0),  # its end, told with the next tick
        (1012.0, 2.0, 0.0),  # long after
    ],
)
def test_a_lag_counts_for_as_long_as_it_lay_within_the_call(noted_at: float, lag_s: float, told_s: float) -> None:
    """The call ran from 1000 to 1005."""
    clock = Wall()
    moments = Moments(clock, "n0", FailureLog(clock, "n0"))
    clock.now_unix = noted_at
    moments.note(lag_s, 1)
    assert moments.at(1005.0, 5.0).lag_s == pytest.approx(told_s)
