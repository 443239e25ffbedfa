"""What a bus gives that keeps no future: the outcome for whoever waits, an account of many at once, and back again where nobody waits."""

import asyncio
import gc
import logging
from collections.abc import Awaitable

import pytest

from vyked_host.contracts import Event, Receipt, accepted
from vyked_host.errors import Overloaded, Unavailable
from vyked_host.runtime.publisher import Publisher

from .test_publisher import SENT, outcomes, publisher_to, turns


class Bus:
    """Answers when it is told to."""

    def __init__(self, full: bool = False) -> None:
        self.given: list[Given] = []
        self.withdrawn: list[Receipt] = []
        self._full = full

    def publish(self, _event: Event, *, deadline: float) -> Awaitable[None]:
        given = Given(self)
        self.given.append(given)
        if self._full:
            given.fail(Overloaded("full", executed="not_sent"))
        return given


class Given(Receipt, eq=False):
    """One event."""

    bus: Bus

    def withdrawn(self) -> None:
        self.bus.withdrawn.append(self)


@pytest.fixture
def bus() -> Bus:
    return Bus()


def counts(publisher: Publisher) -> tuple[int, int, int]:
    return publisher.published, publisher.failed, publisher.outstanding


async def test_events_that_are_accepted_together_are_accounted_for_at_once(bus: Bus) -> None:
    publisher = publisher_to(bus)
    waiting = [asyncio.ensure_future(publisher.relay(SENT)) for _ in range(2)]
    publisher.relay(SENT)  # nobody waits for this one
    await turns()
    assert counts(publisher) == (0, 0, 3)
    accepted(bus.given)
    assert (counts(publisher), outcomes(publisher)) == ((3, 0, 0), [""] * 3)
    assert [(each.id, each.durability) for each in await asyncio.gather(*waiting)] == [("e1", "process")] * 2
    assert not bus.withdrawn


async def test_who_awaits_goes_on_in_the_turn_in_which_the_bus_is_heard(bus: Bus) -> None:
    publisher = publisher_to(bus)
    waiting = asyncio.ensure_future(publisher.relay(SENT))
    await turns()
    accepted(bus.given)
    await turns(1)
    assert waiting.done()


async def test_what_is_accepted_before_somebody_awaits_is_there(bus: Bus) -> None:
    receipt = publisher_to(bus).relay(SENT)
    accepted(bus.given)
    assert (await receipt).id == "e1"
    assert (await receipt).id == "e1"


async def test_several_can_wait_for_one_event_in_every_way_asyncio_has(bus: Bus) -> None:
    receipt = publisher_to(bus).relay(SENT)
    both = asyncio.gather(receipt, asyncio.wait_for(asyncio.shield(receipt), 5))
    waited = asyncio.ensure_future(asyncio.wait({asyncio.ensure_future(receipt)}))
    await turns()
    accepted(bus.given)
    assert [each.id for each in await both] == ["e1", "e1"]
    done, _ = await waited
    assert done.pop().result().id == "e1"


async def test_a_failure_goes_to_who_waits_and_once_into_the_log(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    publisher = publisher_to(bus)
    waiting = asyncio.ensure_future(publisher.relay(SENT))
    await turns()
    bus.given[0].fail(Unavailable("away"))
    bus.given[0].fail(Unavailable("again"))
    accepted(bus.given)  # it came late
    with pytest.raises(Unavailable, match="away"):
        await waiting
    assert (counts(publisher), outcomes(publisher)) == ((0, 1, 0), ["away"])
    assert bus.withdrawn == bus.given
    assert [each.getMessage() for each in caplog.records] == ["event s.n e1: it is not known to be published: away"]


async def test_a_failure_leaves_nothing_for_the_collector(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)  # what is logged is kept
    publisher = publisher_to(bus)

    async def wait() -> None:
        with pytest.raises(Unavailable, match="away"):
            await publisher.relay(SENT)

    waiting = asyncio.ensure_future(wait())
    await turns()
    bus.given.pop().fail(Unavailable("away"))
    bus.withdrawn.clear()
    gc.collect()
    gc.disable()
    try:
        await waiting
        del waiting
        assert not [each for each in gc.get_objects() if type(each) is Given]
    finally:
        gc.enable()


async def test_a_bus_that_refuses_at_once_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    publisher = publisher_to(Bus(full=True))
    with pytest.raises(Overloaded, match="full"):
        await publisher.relay(SENT)
    assert (counts(publisher), outcomes(publisher)) == ((0, 1, 0), ["full"])
    assert "it is not known to be published: full" in caplog.text


async def test_who_gives_up_takes_the_event_back(bus: Bus) -> None:
    publisher = publisher_to(bus)
    waiting = asyncio.ensure_future(publisher.relay(SENT))
    await turns()
    assert bus.given[0].is_wanted
    waiting.cancel()
    assert not bus.given[0].is_wanted  # in this very turn: it does not go out in between
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert bus.withdrawn == bus.given
    assert (counts(publisher), outcomes(publisher)) == ((0, 1, 0), ["nobody waited for the bus to accept it"])
    accepted(bus.given)
    assert counts(publisher) == (0, 1, 0)
    with pytest.raises(asyncio.CancelledError):
        await bus.given[0]


async def test_an_event_that_was_accepted_before_its_publisher_gave_up_counts_as_published(bus: Bus) -> None:
    publisher = publisher_to(bus)
    waiting = asyncio.ensure_future(publisher.relay(SENT))
    await turns()
    accepted(bus.given)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (counts(publisher), outcomes(publisher), bus.withdrawn) == ((1, 0, 0), [""], [])


async def test_flushing_waits_for_what_nobody_awaits(bus: Bus) -> None:
    publisher = publisher_to(bus)
    publisher.relay(SENT)
    publisher.relay(SENT)
    flushed = asyncio.ensure_future(publisher.flush())
    await turns()
    accepted(bus.given[:1])
    await turns()
    assert not flushed.done()
    bus.given[1].fail(Unavailable("away"))
    await asyncio.wait_for(flushed, 5)
    assert counts(publisher) == (1, 1, 0)


async def test_two_ledgers_are_told_of_their_own(bus: Bus) -> None:
    one, other = publisher_to(bus), publisher_to(bus)
    one.relay(SENT)
    other.relay(SENT)
    own = bus.publish(SENT, deadline=0.0)  # past both
    accepted(bus.given)
    assert await own is None
    assert (counts(one), counts(other)) == ((1, 0, 0), (1, 0, 0))
