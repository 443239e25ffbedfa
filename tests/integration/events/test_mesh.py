"""Events between the nodes of a mesh: to every one, to one of a group, through the death of any."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial

import pytest

from vyked_host.contracts import Verdict
from vyked_host.errors import NotSupported, Overloaded
from vyked_host.testing.conformance.pubsub import ACK, Inbox, event, to
from vyked_host.testing.waiting import eventually

from .party import Party

MIB = 1 << 20


async def test_every_node_gets_every_event_in_order(party: Party) -> None:
    members = [await party.member() for _ in range(3)]
    inboxes = [Inbox() for _ in members]
    for member, inbox in zip(members, inboxes, strict=True):
        await member.bus.subscribe(to(None, member.env.node_id), inbox)
    for member in members:
        sent = [(await member.publish()).id for _ in range(20)]
        for inbox in inboxes:
            await eventually(lambda inbox=inbox, sent=sent: inbox.ids[-20:] == sent)
    assert all(each.gap == 0 for inbox in inboxes for each in inbox.deliveries)


async def test_publishes_of_one_turn_are_one_batch_and_keep_their_order(party: Party) -> None:
    holder, publisher = [await party.member() for _ in range(2)]
    inbox = Inbox()
    await holder.bus.subscribe(to(None, "h", concurrency=4096), inbox)
    sent = [event() for _ in range(900)]
    deadline = publisher.env.clock.now() + 5
    await asyncio.gather(*[publisher.bus.publish(each, deadline=deadline) for each in sent])
    await eventually(lambda: inbox.ids == [each.id for each in sent])


async def test_one_of_a_group_gets_each_event_wherever_it_runs(party: Party) -> None:
    members = [await party.member() for _ in range(3)]
    inboxes = [Inbox() for _ in members]
    for member, inbox in zip(members, inboxes, strict=True):
        await member.bus.subscribe(to("g", member.env.node_id), inbox)
    sent = {(await members[n % 3].publish()).id for n in range(120)}
    await eventually(lambda: sum(len(inbox.ids) for inbox in inboxes) >= 120)
    counts = Counter(each for inbox in inboxes for each in inbox.ids)
    assert set(counts) == sent
    assert set(counts.values()) == {1}
    assert all(inbox.ids for inbox in inboxes)


async def test_retry_reject_and_dead_letters_work_across_nodes(party: Party) -> None:
    _, away = [await party.member() for _ in range(2)]

    def verdict(delivery):  # type: ignore[no-untyped-def]
        return Verdict(action="retry") if delivery.count < 3 else Verdict(action="reject", cause="poison")

    inbox = Inbox(verdict)
    subscription = to("g", "away")
    consumer = await away.bus.subscribe(subscription, inbox)
    sent = await away.publish()
    await eventually(lambda: [each.count for each in inbox.deliveries] == [1, 2, 3])

    async def dead() -> list[object]:
        return [each async for each in away.bus.dead(subscription)]

    async with asyncio.timeout(5):
        while not await dead():  # noqa: ASYNC110 - nobody says when
            await asyncio.sleep(0.01)
    assert await dead() == [(sent, "poison", 3)]
    assert await consumer.pending() == 0
    await away.bus.discard(sent.id, replay=False)
    assert await dead() == []


async def test_a_dead_consumers_events_go_to_another_with_their_count(party: Party) -> None:
    holder, dies, lives = [await party.member(ack_wait=300.0) for _ in range(3)]
    mute, inbox = Inbox(lambda _delivery: None), Inbox()
    await dies.bus.subscribe(to("g", "dies"), mute)
    sent = [await holder.publish() for _ in range(5)]
    await eventually(lambda: len(mute.ids) == 5)
    await lives.bus.subscribe(to("g", "lives"), inbox)
    await dies.crash()
    await eventually(lambda: sorted(inbox.ids) == sorted(each.id for each in sent))
    assert {each.count for each in inbox.deliveries} == {2}


async def test_a_node_that_leaves_gives_back_at_once(party: Party) -> None:
    holder, leaves = [await party.member(ack_wait=300.0) for _ in range(2)]
    mute, inbox = Inbox(lambda _delivery: None), Inbox()
    await leaves.bus.subscribe(to("g", "leaves"), mute)
    sent = await holder.publish()
    await eventually(lambda: mute.ids)
    await holder.bus.subscribe(to("g", "stays"), inbox)
    await leaves.leave()
    await eventually(lambda: inbox.ids == [sent.id])


async def test_a_second_strategy_is_refused_across_nodes(party: Party) -> None:
    holder, away = [await party.member() for _ in range(2)]
    await holder.bus.subscribe(to("g", "a", strategy="leader"), Inbox())
    with pytest.raises(NotSupported, match="'leader', not 'any'"):
        await away.bus.subscribe(to("g", "b"), Inbox())


@pytest.mark.parametrize("strategy", ["leader", "keyed", "random"])
async def test_strategies_hold_over_nodes(party: Party, strategy: str) -> None:
    members = [await party.member() for _ in range(3)]
    inboxes = [Inbox() for _ in members]
    for member, inbox in zip(members, inboxes, strict=True):
        await member.bus.subscribe(to("g", member.env.node_id, strategy=strategy), inbox)
    for n in range(200):
        await members[n % 3].publish(event(key=f"user-{n % 20}"))
    await eventually(lambda: sum(len(inbox.ids) for inbox in inboxes) == 200)
    owners = [{each.event.key for each in inbox.deliveries} for inbox in inboxes]
    if strategy == "leader":
        assert sorted(len(inbox.ids) for inbox in inboxes) == [0, 0, 200]
    elif strategy == "keyed":
        assert sum(len(keys) for keys in owners) == 20
    else:
        assert all(len(inbox.ids) > 30 for inbox in inboxes)


async def test_an_event_of_a_mebibyte_travels(party: Party) -> None:
    holder, away = [await party.member() for _ in range(2)]
    inboxes = [Inbox(), Inbox()]
    await holder.bus.subscribe(to("g", "h"), inboxes[0])
    await away.bus.subscribe(to(None, "a"), inboxes[1])
    sent = await away.publish(event(body=b"x" * MIB))
    await eventually(lambda: all(inbox.ids == [sent.id] for inbox in inboxes))
    assert inboxes[1].deliveries[0].event == sent


async def test_a_publisher_elsewhere_waits_for_room_in_order_and_then_hears_that_there_is_none(party: Party) -> None:
    holder, away = [await party.member(memory=8 * MIB) for _ in range(2)]
    consumer = await holder.bus.subscribe(to("g", "m"), Inbox())
    await consumer.aclose()
    for _ in range(7):
        await away.publish(event(body=b"x" * MIB))
    with pytest.raises(Overloaded, match="nobody consumes now"):
        await away.publish(event(body=b"x" * MIB), within=0.3)
    deadline = away.env.clock.now() + 10
    big, small = event(body=b"x" * MIB), event()
    waiting = [away.bus.publish(each, deadline=deadline) for each in (big, small)]
    other = await away.publish(event("refunded"))  # another topic is not held up
    assert other
    inbox = Inbox()
    await holder.bus.subscribe(to("g", "m"), inbox)
    await asyncio.gather(*waiting)
    await eventually(lambda: len(inbox.ids) == 9)
    assert inbox.ids.index(big.id) < inbox.ids.index(small.id)


# ---- the holder goes -------------------------------------------------------------------------------------------------
async def test_a_graceful_stop_of_the_holder_loses_nothing(party: Party) -> None:
    holder, second, third = [await party.member(ack_wait=300.0) for _ in range(3)]
    fans = [Inbox(), Inbox()]
    mute, dead = Inbox(lambda _delivery: None), Inbox(lambda _delivery: Verdict(action="reject", cause="no"))
    await second.bus.subscribe(to(None, "s"), fans[0])
    await third.bus.subscribe(to(None, "t"), fans[1])
    await third.bus.subscribe(to("held", "t"), mute)
    await third.bus.subscribe(to("dead", "t"), dead)
    await (await second.bus.subscribe(to("waits", "s"), Inbox())).aclose()
    before = [await second.publish() for _ in range(30)]
    await eventually(lambda: len(mute.ids) == 16 and len(dead.ids) == 30)
    leaving = asyncio.ensure_future(holder.leave())
    after = [await second.publish() for _ in range(30)]
    await leaving
    everything = [each.id for each in before + after]
    for fan in fans:
        await eventually(partial(_has, fan, 60))
        assert fan.ids == everything
        assert all(each.gap == 0 for each in fan.deliveries)
    await eventually(lambda: len(dead.ids) == 60)
    for delivery in mute.deliveries[:16]:
        await delivery.settle(ACK)  # begun in the old term, known in the new one
    await eventually(lambda: len(mute.ids) == 32)
    assert set(mute.ids[:16]).isdisjoint(mute.ids[16:])
    late = Inbox()
    await second.bus.subscribe(to("waits", "s"), late)
    await eventually(lambda: sorted(late.ids) == sorted(everything))
    assert late.ids[:30] == everything[:30]


async def test_events_outlive_the_death_of_the_holder_where_a_retry_can_help(party: Party) -> None:
    holder, second, third = [await party.member() for _ in range(3)]
    inbox, fan = Inbox(), Inbox()
    await second.bus.subscribe(to("g", "s"), inbox)
    await second.bus.subscribe(to(None, "s"), fan)
    first = await third.publish()
    await eventually(lambda: inbox.ids == [first.id] and fan.ids == [first.id])
    await holder.crash()
    sent = [await third.publish(within=20)]
    while not fan.ids[1:]:  # until the subscriber is at the new holder: what was published before is a gap for it
        sent.append(await third.publish(within=20))
        await asyncio.sleep(0.05)
    sent += [await third.publish(within=20) for _ in range(10)]
    await eventually(lambda: inbox.ids[1:] == [each.id for each in sent])
    await eventually(lambda: fan.ids[-1] == sent[-1].id)
    assert fan.ids[1:] == [each.id for each in sent[-len(fan.ids[1:]) :]]
    assert len(fan.ids[1:]) > 10
    assert fan.deliveries[1].gap == -1  # what the dead holder had for this node nobody knows
    assert all(each.gap == 0 for each in fan.deliveries[2:])


async def test_an_event_published_again_under_its_id_goes_nowhere(party: Party) -> None:
    holder, away = [await party.member() for _ in range(2)]
    inbox, fan = Inbox(), Inbox()
    await holder.bus.subscribe(to("g", "m"), inbox)
    await away.bus.subscribe(to(None, "m"), fan)
    once = await away.publish()
    await away.publish(once)
    await holder.publish(once)
    last = await away.publish()
    await eventually(lambda: fan.ids == [once.id, last.id] and inbox.ids == [once.id, last.id])


def _has(inbox: Inbox, count: int) -> bool:
    return len(inbox.ids) >= count
