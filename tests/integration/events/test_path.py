"""With a path events outlive whoever held the hub: what was accepted is handled, pending or dead, and counts are kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from vyked_host.builtin.embedded.events.queue_file import QueueFile
from vyked_host.contracts import Verdict
from vyked_host.errors import StartError, Unavailable
from vyked_host.testing.conformance.pubsub import ACK, Inbox, event, to
from vyked_host.testing.conformance.queues import JOB, taker
from vyked_host.testing.waiting import eventually

from .party import Party

Parties = Callable[..., Party]


def kept(inbox: Inbox) -> dict[str, int]:
    """id -> highest count."""
    return {each.event.id: each.count for each in inbox.deliveries}


@pytest.fixture
def party(parties: Parties) -> Party:
    return parties(path="events.db", ack_wait=20.0)


async def test_a_survivor_goes_on_with_the_file_of_a_dead_holder(party: Party) -> None:
    holder, second, third = [await party.member() for _ in range(3)]
    handled, mute = Inbox(), Inbox(lambda _delivery: None if len(mute.deliveries) <= 3 else ACK)
    dead = Inbox(lambda _delivery: Verdict(action="reject", cause="poison"))
    await second.bus.subscribe(to("handled", "s"), handled)
    await second.bus.subscribe(to("mute", "s", concurrency=3), mute)
    await second.bus.subscribe(to("dead", "s"), dead)
    await (await second.bus.subscribe(to("waits", "s"), Inbox())).aclose()
    sent = [(await third.publish()).id for _ in range(20)]
    await eventually(lambda: len(handled.ids) == 20 and len(mute.ids) == 3 and len(dead.ids) == 20)
    await asyncio.gather(*[each.settle(ACK) for each in mute.deliveries[:1]])
    assert await consumed(holder)  # an ack that is not written yet would bring its event again, flagged
    await holder.crash()
    after = (await third.publish(within=20)).id
    late = Inbox()
    await third.bus.subscribe(to("waits", "t"), late)
    await eventually(lambda: sorted(late.ids) == sorted([*sent, after]))
    assert late.ids[:20] == sent
    await mute.deliveries[1].settle(ACK)  # given out by the dead holder, known to this one
    await eventually(lambda: set(handled.ids) >= {*sent, after})
    assert handled.ids[:20] == sent
    assert all(each.count > 1 for each in handled.deliveries[20:] if each.event.id in sent)  # flagged, if at all

    async def letters() -> list[tuple[Any, str, int]]:
        return [each async for each in second.bus.dead(to("dead", "s"))]

    async with asyncio.timeout(5):
        while len(await letters()) < 21:  # noqa: ASYNC110 - nobody says when
            await asyncio.sleep(0.01)
    assert [(each.id, cause, count) for each, cause, count in (await letters())[:20]] == [
        (each, "poison", 1) for each in sent
    ]
    # one was acked, one more late; the third comes again, and says so
    await eventually(lambda: mute.ids.count(mute.ids[2]) == 2, 10)
    assert kept(mute)[mute.ids[2]] == 2
    assert mute.ids.count(mute.ids[0]) == mute.ids.count(mute.ids[1]) == 1


async def test_a_host_that_comes_back_alone_has_everything(parties: Parties) -> None:
    party = parties(path="deep/events.db", ack_wait=0.3)
    first = await party.member()
    await (await first.bus.subscribe(to("g", "m"), Inbox())).aclose()
    sent = [(await first.publish()).id for _ in range(50)]
    await first.crash()
    again = await parties(path="deep/events.db").member()
    inbox = Inbox()
    await again.bus.subscribe(to("g", "m", concurrency=100), inbox)
    await eventually(lambda: inbox.ids == sent)
    assert {each.count for each in inbox.deliveries} == {1}


async def test_an_id_accepted_by_a_dead_holder_is_known_to_the_next(party: Party) -> None:
    holder, second = [await party.member() for _ in range(2)]
    inbox = Inbox()
    await second.bus.subscribe(to("g", "m"), inbox)
    once = await second.publish()
    await eventually(lambda: inbox.ids == [once.id])
    await eventually(lambda: not second.bus._settlements._waiting)
    assert await consumed(holder)
    await holder.crash()
    await second.publish(once, within=20)  # its answer might have been lost
    last = await second.publish(within=20)
    await eventually(lambda: last.id in inbox.ids)
    assert inbox.ids == [once.id, last.id]


async def consumed(holder: Any) -> bool:
    """The file says so too."""
    async with asyncio.timeout(5):
        while not holder.desk.store._idle.is_set():  # noqa: ASYNC110 - nobody says when
            await asyncio.sleep(0.005)
    return True


async def test_a_second_holder_of_the_file_is_refused_by_its_name(parties: Parties) -> None:
    await parties(path="events.db").member()
    with pytest.raises(StartError, match=r"events\.db, is in use by another host"):
        await parties(path="events.db").member()


async def test_a_file_that_a_hung_holder_keeps_is_waited_for_while_the_hub_opens(
    party: Party, caplog: pytest.LogCaptureFixture
) -> None:
    holder, second = [await party.member() for _ in range(2)]
    await (await second.bus.subscribe(to("g", "m"), Inbox())).aclose()
    sent = [(await second.publish()).id for _ in range(5)]
    await holder.crash()
    hung = QueueFile(str(party.folder / "events.db"))
    hung.open()
    publishing = asyncio.ensure_future(second.publish(last := event(), within=20))
    await eventually(lambda: second.holds and "events wait until it can be used" in caplog.text)
    assert not publishing.done()
    hung.close()
    await publishing
    inbox = Inbox()
    await second.bus.subscribe(to("g", "m"), inbox)
    await eventually(lambda: inbox.ids == [*sent, last.id])


async def test_a_graceful_stop_leaves_the_file_to_the_next_holder(party: Party) -> None:
    holder, second = [await party.member() for _ in range(2)]
    await (await second.bus.subscribe(to("g", "m"), Inbox())).aclose()
    sent = [(await holder.publish()).id for _ in range(10)]
    await holder.leave()
    inbox = Inbox()
    await second.bus.subscribe(to("g", "m"), inbox)
    await eventually(lambda: inbox.ids == sent)


@pytest.mark.parametrize(("mine", "theirs"), [("one.db", None), (None, "two.db"), ("one.db", "two.db")])
async def test_a_graceful_stop_moves_events_between_file_and_memory(
    parties: Parties, mine: str | None, theirs: str | None
) -> None:
    party = parties(ack_wait=300.0, scale=1.0)  # how long a holder looks for its heir isn't what this is about
    holder, second = await party.member(path=mine), await party.member(path=theirs)
    mute = Inbox(lambda _delivery: None)
    await second.bus.subscribe(to("g", "m", concurrency=1), mute)
    sent = [(await holder.publish()).id for _ in range(10)]
    await eventually(lambda: mute.ids == sent[:1])
    await holder.leave()
    await mute.deliveries[0].settle(ACK)
    await eventually(lambda: mute.ids == sent[:2])
    for each in range(1, 10):
        await mute.deliveries[each].settle(ACK)
        await eventually(lambda each=each: len(mute.ids) > each + 1 or each == 9)
    assert mute.ids == sent
    if mine is not None:
        again = await parties(path=mine).member()
        await again.bus.subscribe(to("g", "m"), inbox := Inbox())
        await again.publish(last := event())
        await eventually(lambda: inbox.ids == [last.id])  # nothing comes twice


async def test_a_disk_that_takes_nothing_refuses_publishers_and_recovers(
    party: Party, caplog: pytest.LogCaptureFixture
) -> None:
    holder, second = [await party.member() for _ in range(2)]
    inbox = Inbox(lambda _delivery: None)
    await second.bus.subscribe(to("g", "m"), inbox)
    await second.publish(first := event())
    await eventually(lambda: inbox.ids == [first.id])
    file: Any = holder.desk.store._file  # type: ignore[attr-defined]
    write = file.write

    def full(_writes: object) -> None:
        raise OSError(28, "No space left on device")

    file.write = full
    with caplog.at_level(logging.ERROR), pytest.raises(Unavailable, match="No space left on device"):
        await second.publish(within=0.3)
    await inbox.deliveries[0].settle(ACK)
    file.write = write
    await second.publish(last := event(), within=10)
    await eventually(lambda: inbox.ids[-1] == last.id)
    assert first.id not in inbox.ids[1:]
    assert caplog.text.count("nothing can be written") == 1


async def test_jobs_and_when_they_are_due_outlive_a_dead_holder(party: Party) -> None:
    holder, second = [await party.member() for _ in range(2)]
    due = second.env.clock.unix() + 1.5
    at_once = await second.publish(event(JOB))
    later = await second.publish(event(JOB, not_before_unix_s=due))
    await holder.crash()
    came: dict[str, float] = {}
    inbox = Inbox(lambda delivery: came.setdefault(delivery.event.id, second.env.clock.unix()) and ACK)
    await second.bus.subscribe(taker("m"), inbox)
    await eventually(lambda: len(inbox.ids) == 2, 10)
    assert inbox.ids == [at_once.id, later.id]
    assert came[later.id] >= due
