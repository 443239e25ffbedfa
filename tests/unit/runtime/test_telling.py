"""What a bus is told of deliveries: a drain waits for it, and what it could not be told is logged."""

import asyncio
import logging

import pytest

from vyked_host import Unavailable
from vyked_host.contracts import Settlement, Verdict
from vyked_host.runtime.tasks import TaskScope
from vyked_host.runtime.telling import Telling

ACK = Verdict(action="ack")
LOG = logging.getLogger("vyked.test")


class Under:
    """What is under test."""

    def __init__(self) -> None:
        self.tasks = TaskScope(LOG)
        self.telling = Telling(self.tasks, "event sink.note", "sink.note", LOG)

    def followed(self, count: int) -> list[Settlement]:
        """So many that are open."""
        made = [Settlement() for _ in range(count)]
        for at, each in enumerate(made):
            self.telling.follow(each, f"e{at}", ACK)
        return made


async def test_a_drain_waits_for_the_last() -> None:
    under = Under()
    first, second, third = under.followed(3)
    assert under.tasks.names() == ["event sink.note"]
    idle = asyncio.ensure_future(under.tasks.idle())
    for each in (first, second):
        each.confirm()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not idle.done()
        assert under.tasks.names() == ["event sink.note"]
    third.confirm()
    await asyncio.wait_for(idle, 5)
    assert under.tasks.names() == []


async def test_a_drain_waits_for_those_that_come_meanwhile() -> None:
    under = Under()
    (first,) = under.followed(1)
    idle = asyncio.ensure_future(under.tasks.idle())
    await asyncio.sleep(0)
    (second,) = under.followed(1)
    first.confirm()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not idle.done()
    second.fail(Unavailable("away"))
    await asyncio.wait_for(idle, 5)


async def test_a_scope_that_is_cancelled_waits_for_none() -> None:
    under = Under()
    settlements = under.followed(3)
    assert await under.tasks.cancel(5) == []
    assert not any(each.is_over for each in settlements)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_the_bus_could_not_be_told_is_logged_once_with_the_event(
    caplog: pytest.LogCaptureFixture, when: str
) -> None:
    under, settlement = Under(), Settlement()
    if when == "before":
        settlement.fail(Unavailable("gone"))
    under.telling.follow(settlement, "e1", ACK)
    settlement.fail(Unavailable("gone"))
    (record,) = [each.getMessage() for each in caplog.records if "could not be told" in each.getMessage()]
    assert record.startswith("sink.note: the bus could not be told ack of event e1, which may come again")
    await asyncio.wait_for(under.tasks.idle(), 5)
    assert under.tasks.names() == []
