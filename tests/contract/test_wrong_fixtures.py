"""What an author reads whose `faults` or `peek` are wrong: the fixture by its name, never a riddle of the kit's own code."""

from __future__ import annotations

import pytest

from vyked_host.builtin.embedded.provider import vyked_pubsub_backends
from vyked_host.testing import environment
from vyked_host.testing.conformance.faulted import IMPATIENT, Tried, UnderFaults, befall

PROVIDER = next(each for each in vyked_pubsub_backends() if each.name == "embedded")


@pytest.fixture
async def tried():
    options = PROVIDER.options()
    async with environment(timing=IMPATIENT) as env:
        bus = PROVIDER.build(options, env)
        yield Tried(bus, env, PROVIDER.guarantees(options))
        await bus.aclose()


class Idle:
    """`Faults` that do nothing."""

    restored = 0

    async def cut(self):
        """Nothing."""

    kill = pause = cut

    async def restore(self):
        self.restored += 1


class NotAwaited(Idle):
    def cut(self):
        """Not `async def`."""


class Breaks(Idle):
    async def cut(self):
        raise OSError("no such server")


class Lies:
    """A `Peek` that knows nothing."""

    async def waiting(self, _env, _subscription):
        return 0

    async def put(self, _env, _subscription, _junk):
        """Nothing."""


HEARS = UnderFaults.test_publishers_hear_in_time_that_the_server_is_away_and_then_all_goes_on


@pytest.mark.parametrize("fault", ["cut", "kill", "pause"])
async def test_faults_that_do_nothing_are_named(tried, fault):
    faults = Idle()
    with pytest.raises(AssertionError, match=f"accepted after `faults.{fault}`: the server can still be reached"):
        await HEARS(UnderFaults(), faults, tried, fault)
    assert faults.restored == 1


async def test_faults_that_break_are_ended_all_the_same(tried):
    faults = Breaks()
    with pytest.raises(OSError, match="no such server"):
        await HEARS(UnderFaults(), faults, tried, "cut")
    assert faults.restored == 1


@pytest.mark.parametrize("faults", [NotAwaited(), object()])
async def test_faults_that_are_none_are_named(faults):
    with pytest.raises(AssertionError, match=r"`faults` gave a \w+, whose 'cut' is no `async def`: see vyked_host"):
        await befall(faults, "cut")


async def test_a_peek_that_lies_is_named(tried):
    with pytest.raises(AssertionError, match=r"`peek.waiting` says 0 while 3 events are delivered and none is ack"):
        await UnderFaults().test_the_server_has_what_was_not_acknowledged_and_nothing_else(Lies(), tried)


async def test_a_peek_that_puts_nothing_is_named(tried, monkeypatch):
    monkeypatch.setattr("vyked_host.testing.conformance.faulted.WITHIN_S", 1.0)
    with pytest.raises(AssertionError, match=r"0 dead letters, where `peek.put` has put 3 things"):
        await UnderFaults().test_what_is_no_event_ends_nothing_and_is_kept_where_dead_letters_are(Lies(), tried)
