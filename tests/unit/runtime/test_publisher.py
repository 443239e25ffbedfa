"""What `publish` gives: an outcome for whoever waits, and a word in the log for those nobody waits for."""

import asyncio
import gc
import logging
from collections.abc import Awaitable
from typing import Any

import pytest

from vyked_host.builtin.serializers.codecs import Json
from vyked_host.contracts import Event
from vyked_host.errors import Unavailable
from vyked_host.model.message import Guarantees
from vyked_host.model.settings import LimitsTable
from vyked_host.runtime.clock import LoopClock
from vyked_host.runtime.codecs import Codecs
from vyked_host.runtime.failures import FailureLog
from vyked_host.runtime.publisher import Publisher
from vyked_host.runtime.trail import WAITING, EventTrail

SENT = Event(id="e1", service="s", version="1.0.0", name="n", source="here", body=b"1", content_type="text/plain")
LOG = logging.getLogger("vyked.test")


class Bus:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.answers: list[asyncio.Future[None]] = []

    def publish(self, _event: Event, *, deadline: float) -> Awaitable[None]:
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]


class SlowBus(Bus):
    """Answers out of a coroutine."""

    async def publish(self, event: Event, *, deadline: float) -> None:
        await super().publish(event, deadline=deadline)


def publisher_to(bus: Any) -> Publisher:
    clock = LoopClock(asyncio.get_running_loop())
    return Publisher(
        pubsub=bus, guarantees=Guarantees(durability="process"), codecs=Codecs({"json": Json(LimitsTable())}, "json"), serializer="json", content_type="x",
        clock=clock, node_id="here", log=LOG, trail=EventTrail(clock, "here", FailureLog(clock, "here")),
    )  # fmt: skip


@pytest.fixture(params=[Bus, SlowBus])
def bus(request: pytest.FixtureRequest) -> Bus:
    made: Bus = request.param()
    return made


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def outcomes(publisher: Publisher) -> list[str]:
    return [each.outcome for each in publisher.trail.published]


async def test_awaiting_says_that_the_bus_has_it_and_how_durable_it_is(bus: Bus) -> None:
    publisher = publisher_to(bus)
    waiting = asyncio.ensure_future(publisher.relay(SENT))
    await turns()
    assert not waiting.done()
    assert outcomes(publisher) == [WAITING]
    bus.answers[0].set_result(None)
    assert (await waiting).id == "e1"
    assert (await waiting).durability == "process"
    assert (publisher.published, publisher.failed, outcomes(publisher)) == (1, 0, [""])


async def test_who_awaits_goes_on_in_the_turn_in_which_the_bus_is_heard() -> None:
    bus = Bus()
    publisher = publisher_to(bus)
    said: list[str] = []

    async def wait() -> None:
        said.append((await publisher.relay(SENT)).id)

    waiting = asyncio.ensure_future(wait())
    await turns()
    bus.answers[0].set_result(None)
    await turns(1)
    assert said == ["e1"]
    assert (publisher.published, outcomes(publisher)) == (1, [""])
    await waiting


@pytest.mark.parametrize("error", [None, Unavailable("away")])
async def test_who_awaits_what_the_bus_has_said_in_this_very_turn_hears_it(error: Unavailable | None) -> None:
    bus = Bus()
    receipt = publisher_to(bus).relay(SENT)
    if error is None:
        bus.answers[0].set_result(None)
        assert (await receipt).id == "e1"
    else:
        bus.answers[0].set_exception(error)
        with pytest.raises(Unavailable, match="away"):
            await receipt


async def test_several_can_wait_for_one_event_in_every_way_asyncio_has(bus: Bus) -> None:
    publisher = publisher_to(bus)
    receipt = publisher.relay(SENT)
    both = asyncio.gather(receipt, asyncio.wait_for(asyncio.shield(receipt), 5))
    waited = asyncio.ensure_future(asyncio.wait({asyncio.ensure_future(receipt)}))
    await turns()
    bus.answers[0].set_result(None)
    assert [each.id for each in await both] == ["e1", "e1"]
    done, _ = await waited
    assert done.pop().result().id == "e1"


async def test_a_failure_goes_to_who_waits_and_into_the_log(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    publisher = publisher_to(bus)
    waiting = asyncio.ensure_future(publisher.relay(SENT))
    await turns()
    bus.answers[0].set_exception(Unavailable("away"))
    with pytest.raises(Unavailable, match="away"):
        await waiting
    assert (publisher.published, publisher.failed, outcomes(publisher)) == (0, 1, ["away"])
    assert caplog.text.count("event s.n e1: it is not known to be published: away") == 1


async def test_a_failure_nobody_waits_for_is_logged_once_and_nowhere_else(
    bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = publisher_to(bus)
    publisher.relay(SENT)
    await turns()
    bus.answers.pop().set_exception(Unavailable("away"))
    await publisher.flush()
    await turns()
    gc.collect()
    assert [each.getMessage() for each in caplog.records] == [
        "event s.n e1: it is not known to be published: away"
    ]  # and no "exception was never retrieved"


async def test_who_gives_up_waiting_takes_the_event_back_before_the_loop_turns() -> None:
    bus = Bus()
    publisher = publisher_to(bus)

    async def wait() -> None:
        await publisher.relay(SENT)

    waiting = asyncio.ensure_future(wait())
    await turns()
    waiting.cancel()
    assert bus.answers[0].cancelled()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await publisher.flush()
    assert (publisher.failed, outcomes(publisher)) == (1, ["nobody waited for the bus to accept it"])


async def test_an_event_that_was_accepted_before_its_publisher_gave_up_counts_as_published() -> None:
    bus = Bus()
    publisher = publisher_to(bus)
    receipt = asyncio.ensure_future(publisher.relay(SENT))
    bus.answers[0].set_result(None)
    receipt.cancel()
    await publisher.flush()
    assert receipt.cancelled()
    assert (publisher.published, publisher.failed, outcomes(publisher)) == (1, 0, [""])


async def test_flushing_waits_for_events_whose_publishers_have_gone() -> None:
    bus = Bus()

    class Stubborn(Bus):
        async def publish(self, event: Event, *, deadline: float) -> None:
            answer = asyncio.ensure_future(bus.publish(event, deadline=deadline))
            while not answer.done():
                try:
                    await asyncio.shield(answer)
                except asyncio.CancelledError:
                    continue

    publisher = publisher_to(Stubborn())
    receipt = asyncio.ensure_future(publisher.relay(SENT))
    await turns()
    receipt.cancel()
    flushed = asyncio.ensure_future(publisher.flush())
    await turns()
    assert receipt.cancelled()
    assert not flushed.done()
    bus.answers[0].set_result(None)
    await asyncio.wait_for(flushed, 5)
    assert publisher.published == 1
