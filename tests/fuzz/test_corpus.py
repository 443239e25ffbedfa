"""Whatever a fuzzer found worth keeping, replayed: `make fuzz` looks for more."""

from __future__ import annotations

import math

import pytest

from vyked_host.contracts import Event
from vyked_host.wire.envelope import MalformedEnvelope, pack, unpack

from .targets import FOLDER, TARGETS, corpus


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_before_does_no_harm(name):
    assert corpus(name), "a target without a corpus replays nothing"
    for each in corpus(name):
        TARGETS[name](each)


def test_each_corpus_has_its_target():
    assert {each.stem for each in FOLDER.iterdir()} == set(TARGETS)


@pytest.mark.parametrize("times", [(math.nan, 1.0), (math.inf, None), (1.0, math.nan), (1.0, -math.inf)])
def test_an_event_with_a_time_that_is_none_is_no_event(times):
    """Found by the fuzzer: it would never be over."""
    published, expires = times
    event = Event(
        id="1", service="a", version="1.0.0", name="b", source="n", body=b"", content_type="x",
        published_unix_s=published, expires_unix_s=expires,
    )  # fmt: skip
    with pytest.raises(MalformedEnvelope, match="a time of an event is"):
        unpack(pack(event))
