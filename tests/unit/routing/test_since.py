"""Where a replay begins."""

import pytest

from vyked_host.routing.since import beginning


@pytest.mark.parametrize(
    ("since", "found"),
    [
        ("0", 0.0), ("1500", 1.5), ("1970-01-01T00:00:01", 1.0), ("1970-01-01T01:00:01+01:00", 1.0),
        ("1970-01-02", 86400.0), ("713ea43a1ae0d51452ad5cbb576e8f53", "713ea43a1ae0d51452ad5cbb576e8f53"), ("order-17", "order-17"),
        ("\u0661", "\u0661"),
    ],
)  # fmt: skip
def test_a_time_is_seconds_and_anything_else_an_id(since, found):
    assert beginning(since) == found
