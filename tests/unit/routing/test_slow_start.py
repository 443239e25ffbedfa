"""How an instance's share grows."""

import pytest

from vyked_host.routing.slow_start import LEAST, share


@pytest.mark.parametrize(
    ("elapsed", "window", "expected"),
    [(0.0, 10.0, LEAST), (0.5, 10.0, LEAST), (2.5, 10.0, 0.25), (10.0, 10.0, 1.0), (99.0, 10.0, 1.0), (0.0, 0.0, 1.0)],
)
def test_the_share_grows_in_a_straight_line_from_a_tenth_to_all(elapsed: float, window: float, expected: float) -> None:
    assert share(elapsed, window) == expected
