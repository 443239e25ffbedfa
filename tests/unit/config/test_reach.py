"""A bus that reaches less far than the registry is told of, in `check` and at each start, unless the file says that it is meant."""

import logging

import pytest

from vyked_host import Service, api, publish
from vyked_host.assembly.exposure import warn_of_reach
from vyked_host.assembly.prepare import prepare

HERE = "tests.unit.config.test_reach"
TELLING = f'[services.telling]\nuse = "{HERE}:Telling"\n'
QUIET = f'[services.quiet]\nuse = "{HERE}:Quiet"\n'
REDIS = '[registry]\nuse = "redis"\n'


class Telling(Service, name="telling", version="1.0.0"):
    @publish
    def told(self, word: str) -> str:
        return word


class Quiet(Service, name="quiet", version="1.0.0"):
    @api
    async def say(self) -> str:
        return ""


def warnings(text):
    loaded = prepare(None, text=text, environ={}).loaded
    assert loaded.errors == ()
    return [(each.line, each.column, each.message, each.remedy) for each in loaded.problems]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (REDIS + TELLING, (2, 7)),
        (f'{REDIS}[pubsub]\nuse = "embedded"\n{TELLING}', (4, 7)),
        (f'[registry]\nuse = "nats"\n[pubsub.embedded]\npath = "events.db"\n{TELLING}', (2, 7)),
    ],
)
def test_events_that_stay_on_this_machine_where_calls_do_not_are_told_at_their_place(text, place):
    ((line, column, message, remedy),) = warnings(text)
    assert (line, column) == place
    assert "reach only those on this one" in message
    assert 'use = "redis-streams"' in remedy
    assert "[pubsub.embedded] address" in remedy


@pytest.mark.parametrize(
    "text",
    [
        REDIS + QUIET,
        f'{REDIS}[pubsub]\nuse = "redis"\n{TELLING}',
        f'{REDIS}[pubsub.embedded]\naddress = "127.0.0.1:4500"\n{TELLING}',
        f'{REDIS}[pubsub.embedded]\naddress = "none"\n{TELLING}',
        TELLING,
    ],
    ids=["no events", "a bus at the server", "said where", "said nowhere", "embedded both"],
)
def test_nothing_is_told_where_it_is_meant_or_makes_no_difference(text):
    assert warnings(text) == []


def test_it_is_told_once_at_a_start(caplog):
    loaded = prepare(None, text=REDIS + TELLING, environ={}).loaded
    warn_of_reach(loaded.settings, (each.description for each in loaded.services), logging.getLogger("vyked"))
    assert [each.levelname for each in caplog.records] == ["WARNING"]
