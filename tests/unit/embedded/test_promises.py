"""What RELIABILITY section B6 asks of the event layer, at the broker, in virtual time."""

import asyncio
import random
from collections import Counter

import msgspec
import pytest

from vyked_host.builtin.embedded.events.bus import EmbeddedBus
from vyked_host.builtin.embedded.options import MIB, BusOptions
from vyked_host.builtin.embedded.provider import guarantees
from vyked_host.contracts import Verdict
from vyked_host.errors import CallError, Overloaded
from vyked_host.routing.backoff import Backoff
from vyked_host.testing import environment, eventually
from vyked_host.testing.conformance.pubsub import ACK, Inbox, event, to
from vyked_host.testing.virtual_time import virtual_time

AW = 30.0


@pytest.fixture
async def env():
    with virtual_time():
        async with environment(rng=random.Random(1)) as env:
            yield env


@pytest.fixture
async def bus(env):
    bus = EmbeddedBus(BusOptions(memory=8 * MIB), env)
    yield bus
    await bus.aclose()


async def publish(bus, env, count=1, **more):
    sent = [event(**more) for _ in range(count)]
    for each in sent:
        await bus.publish(each, deadline=env.clock.now() + 1)
    return [each.id for each in sent]


async def test_e1_what_a_consumer_keeps_comes_again_within_a_quarter_of_the_ack_wait(bus, env):
    inbox, times = Inbox(lambda delivery: ACK if delivery.count > 1 else None), []
    await bus.subscribe(to("g", "m"), lambda delivery: (times.append(env.clock.now()), inbox(delivery)))
    sent = await publish(bus, env)
    await eventually(lambda: len(inbox.ids) == 2, 100)
    assert inbox.ids == sent * 2
    assert [each.count for each in inbox.deliveries] == [1, 2]
    assert AW <= times[1] - times[0] <= AW * 1.25


async def test_e3_a_handler_that_hangs_overlaps_and_its_ack_counts(bus, env):
    inbox = Inbox(lambda _delivery: None)
    consumer = await bus.subscribe(to("g", "m"), inbox)
    await publish(bus, env)
    await eventually(lambda: len(inbox.ids) == 2, 100)
    await inbox.deliveries[0].settle(ACK)
    until = env.clock.now() + 3 * AW
    await eventually(lambda: env.clock.now() > until, 200)
    assert len(inbox.ids) == 2
    assert await consumer.pending() == 0


async def test_e3_in_progress_prevents_a_second_delivery(bus, env):
    inbox = Inbox(lambda _delivery: None)
    await bus.subscribe(to("g", "m"), inbox)
    await publish(bus, env)
    await eventually(lambda: inbox.ids)
    for _ in range(10):
        until = env.clock.now() + AW * 0.9
        await eventually(lambda until=until: env.clock.now() > until, 100)
        await inbox.deliveries[0].settle(Verdict(action="extend"))
    await inbox.deliveries[0].settle(ACK)
    assert len(inbox.ids) == 1


async def test_e4_poison_is_dead_after_five_and_holds_up_nobody(bus, env):
    backoff, sick = Backoff(first=1.0, most=120.0, factor=5.0), event()

    def verdict(delivery):
        if delivery.event.id != sick.id:
            return ACK
        if delivery.count >= 5:
            return Verdict(action="reject", cause="given up")
        return Verdict(action="retry", seconds=backoff.delay(delivery.count - 1, 0.5), cause="boom")

    inbox, subscription = Inbox(verdict), to("g", "m")
    await bus.subscribe(subscription, inbox)
    await bus.publish(sick, deadline=env.clock.now() + 1)
    began = env.clock.now()
    healthy = await publish(bus, env, 100)
    await eventually(lambda: len(inbox.ids) == 101)
    assert env.clock.now() - began < 1  # nobody waited for the poison's turn
    await eventually(lambda: inbox.ids.count(sick.id) == 5, 500)
    assert [each async for each in bus.dead(subscription)] == [(sick, "given up", 5)]
    assert Counter(inbox.ids) == Counter({sick.id: 5} | dict.fromkeys(healthy, 1))


async def test_e5_without_a_group_nothing_is_kept_and_with_one_everything(bus, env):
    await publish(bus, env)
    inbox = Inbox()
    await (await bus.subscribe(to("g", "m"), inbox)).aclose()
    kept = await publish(bus, env, 3)
    await bus.subscribe(to("g", "m"), inbox)
    await eventually(lambda: inbox.ids == kept)


async def test_e6_each_goes_to_one_and_all_get_their_share(bus, env):
    inboxes = [Inbox() for _ in range(4)]
    for at, inbox in enumerate(inboxes):
        await bus.subscribe(to("g", f"m{at}"), inbox)
    sent = await publish(bus, env, 4000)
    await eventually(lambda: sum(len(inbox.ids) for inbox in inboxes) == 4000)
    assert Counter(each for inbox in inboxes for each in inbox.ids) == dict.fromkeys(sent, 1)
    assert all(800 <= len(inbox.ids) <= 1200 for inbox in inboxes)


async def test_e7_what_a_slow_subscriber_lost_is_exactly_what_it_is_told(bus, env):
    slow, quick = Inbox(lambda _delivery: None), Inbox()
    await bus.subscribe(to(None, "slow", concurrency=1), slow)
    await bus.subscribe(to(None, "quick"), quick)
    for _ in range(50):
        await publish(bus, env, 100)
        await asyncio.sleep(0)
    await eventually(lambda: len(quick.ids) == 5000)
    at = 0
    while sum(1 + each.gap for each in slow.deliveries) < 5000:
        await slow.deliveries[at].settle(ACK)
        at += 1
        await asyncio.sleep(0)
    assert len(slow.deliveries) == 1 + 1024
    assert [each.gap for each in slow.deliveries if each.gap] == [5000 - 1025]


async def test_e8_a_full_bus_blocks_until_the_deadline_and_then_says_busy(bus, env):
    await (await bus.subscribe(to("g", "m"), Inbox())).aclose()
    await publish(bus, env, 7, body=b"x" * MIB)
    began = env.clock.now()
    with pytest.raises(Overloaded, match="memory = 8388608"):
        await bus.publish(event(body=b"x" * MIB), deadline=began + 10)
    assert 10 <= env.clock.now() - began <= 10.1


async def test_e9_every_publish_of_a_shutdown_is_accepted_or_refused(env):
    bus = EmbeddedBus(BusOptions(memory=8 * MIB), env)
    await (await bus.subscribe(to("g", "m"), Inbox())).aclose()
    outcomes = [bus.publish(event(body=b"x" * MIB), deadline=env.clock.now() + 60) for _ in range(9)]
    closing = asyncio.ensure_future(bus.aclose())
    outcomes += [bus.publish(event(), deadline=env.clock.now() + 60) for _ in range(3)]
    await closing
    outcomes += [bus.publish(event(), deadline=env.clock.now() + 60)]
    told = []
    for each in outcomes:
        try:
            told.append(await each)
        except CallError as error:
            told.append(error.executed)
    assert told[:7] == [None] * 7
    assert set(told[7:]) == {"not_executed"}


async def test_e10_in_memory_is_said_and_with_a_path_more_is():
    assert guarantees(BusOptions()).durability == "memory"
    assert guarantees(BusOptions(path="events.db", ack_wait=7)).durability == "process"
    assert guarantees(BusOptions(ack_wait=7)).ack_wait_s == 7


async def test_e10_what_is_lost_when_nobody_takes_over_is_counted(env, caplog):
    bus = EmbeddedBus(BusOptions(), env)
    await (await bus.subscribe(to("g", "m"), Inbox())).aclose()
    await publish(bus, env, 3)
    await bus.aclose()
    await env.hub(None).aclose()
    assert "3 events that waited for their consumers are lost: nobody took the hub over" in caplog.text


@pytest.mark.parametrize("scale", [0.1, 2.0])
async def test_the_scale_of_timing_holds_for_the_ack_wait(scale):
    with virtual_time():
        async with environment() as env:
            env = msgspec.structs.replace(env, timing=msgspec.structs.replace(env.timing, scale=scale))
            bus = EmbeddedBus(BusOptions(), env)
            times = []
            await bus.subscribe(to("g", "m"), lambda delivery: times.append(env.clock.now()))
            await publish(bus, env)
            await eventually(lambda: len(times) == 2, 100)
            assert AW * scale <= times[1] - times[0] <= AW * scale * 1.25
            await bus.aclose()
