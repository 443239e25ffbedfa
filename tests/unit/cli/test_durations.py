"""Moments as people say them."""

import time

import pytest

from vyked_host.cli.durations import moment, span

NOW = time.mktime((2026, 11, 29, 12, 0, 0, 0, 0, -1))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", -600), ("1.5h", -5400), ("11:59", -60), ("11:59:30.5", -29.5), ("12:01", 60 - 86400),
        ("2026-11-29T12:00:01", 1), ("2026-11-28", -129600),
    ],
)  # fmt: skip
def test_a_span_or_a_time_is_a_moment_before_now(text, seconds):
    assert int(moment(text, NOW)) == int((NOW + seconds) * 1000)


@pytest.mark.parametrize("text", ["0", "1795953600000", "713ea43a1ae0d51452ad5cbb576e8f53", "order-17", "5-3"])
def test_milliseconds_and_ids_stay_as_they_are(text):
    assert moment(text, NOW) == text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 us"),
        (0.0000041, "4 us"),
        (0.0004, "0.4 ms"),
        (0.25, "250.0 ms"),
        (1.25, "1.25 s"),
        (180, "3m"),
        (7200, "2h"),
    ],
)
def test_a_span_is_said_in_the_unit_in_which_it_is_something(seconds, said):
    assert span(seconds) == said
