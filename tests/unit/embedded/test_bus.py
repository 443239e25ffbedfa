"""What the embedded bus promises beyond the kit: bounds, order of service, late acks, redelivery of the dead."""

import logging

import msgspec
import pytest

from vyked_host.builtin.embedded.events.bus import EmbeddedBus
from vyked_host.builtin.embedded.options import MIB, BusOptions
from vyked_host.contracts import Verdict
from vyked_host.errors import LocalProtocolError, NotSupported, Overloaded, Unavailable
from vyked_host.testing import environment, eventually
from vyked_host.testing.conformance.pubsub import ACK, Inbox, event, to

BIG = b"x" * MIB


@pytest.fixture
async def env():
    async with environment() as env:
        yield env


@pytest.fixture
async def bus(env):
    bus = EmbeddedBus(BusOptions(memory=8 * MIB, queue=10, ack_wait=0.2), env)
    yield bus
    await bus.aclose()


async def fill(bus, env):
    """Seven events of one MiB, and nobody to take them; an eighth has no room."""
    await (await bus.subscribe(to("g", "m"), Inbox())).aclose()
    for _ in range(7):
        await bus.publish(event(body=BIG), deadline=env.clock.now() + 1)


async def test_a_full_bus_makes_publishers_wait_until_their_deadline(bus, env):
    await fill(bus, env)
    began = env.clock.now()
    with pytest.raises(Overloaded, match="memory = 8388608"):
        await bus.publish(event(body=BIG), deadline=began + 0.1)
    assert env.clock.now() - began >= 0.1


async def test_who_waits_for_room_gets_it_in_order_of_arrival(bus, env):
    await fill(bus, env)
    first = bus.publish(event(body=BIG), deadline=env.clock.now() + 5)
    second = bus.publish(small := event(), deadline=env.clock.now() + 5)
    assert not second.done()  # it would fit, but must not overtake
    inbox = Inbox()
    await bus.subscribe(to("g", "m"), inbox)
    await first
    await second
    await eventually(lambda: len(inbox.ids) == 9)
    assert inbox.ids[-1] == small.id


async def test_publishers_that_wait_are_bounded_too(bus, env):
    await fill(bus, env)
    waiting = bus.publish(event(body=BIG), deadline=env.clock.now() + 5)
    with pytest.raises(Overloaded):
        await bus.publish(event(body=BIG), deadline=env.clock.now() + 5)
    await bus.aclose()
    with pytest.raises(Unavailable):
        await waiting


async def test_fan_out_needs_no_room(bus, env):
    await fill(bus, env)
    inbox = Inbox()
    await bus.subscribe(msgspec.structs.replace(to(None, "m"), service="other"), inbox)
    await bus.publish(event(service="other", body=BIG), deadline=env.clock.now() + 1)
    await eventually(lambda: inbox.ids)


async def test_dead_letters_count_and_discarding_them_makes_room(bus, env):
    await bus.subscribe(to("g", "m"), Inbox(lambda _delivery: Verdict(action="reject", cause="poison")))
    for _ in range(7):
        await bus.publish(last := event(body=BIG), deadline=env.clock.now() + 1)
    with pytest.raises(Overloaded, match="7 of this topic are dead letters"):
        await bus.publish(event(body=BIG), deadline=env.clock.now() + 0.1)
    await bus.discard(last.id, replay=False)
    await bus.publish(event(body=BIG), deadline=env.clock.now() + 1)


async def test_a_late_ack_ends_the_redelivery(bus, env):
    inbox = Inbox(lambda _delivery: None)
    consumer = await bus.subscribe(to("g", "m", concurrency=1), inbox)
    await bus.publish(event(), deadline=env.clock.now() + 1)
    await eventually(lambda: len(inbox.ids) == 2)
    await inbox.deliveries[0].settle(ACK)
    await inbox.deliveries[1].settle(Verdict(action="retry", seconds=0.0))
    await bus.publish(other := event(), deadline=env.clock.now() + 1)
    await eventually(lambda: inbox.ids[-1] == other.id)
    assert len(inbox.ids) == 3
    assert await consumer.pending() == 0


async def test_a_verdict_is_given_once(bus, env):
    inbox = Inbox(lambda _delivery: None)
    await bus.subscribe(to("g", "m"), inbox)
    await bus.subscribe(to(None, "m"), inbox)
    await bus.publish(event(), deadline=env.clock.now() + 1)
    await eventually(lambda: len(inbox.ids) == 2)
    for delivery in inbox.deliveries:
        await delivery.settle(ACK)
        with pytest.raises(LocalProtocolError):
            await delivery.settle(ACK)


async def test_the_gap_says_exactly_how_many_were_lost(bus, env):
    inbox = Inbox(lambda _delivery: None)
    consumer = await bus.subscribe(to(None, "m", concurrency=1), inbox)
    for _ in range(50):
        await bus.publish(event(), deadline=env.clock.now() + 1)
    await eventually(lambda: inbox.ids)
    await inbox.deliveries[0].settle(ACK)
    await eventually(lambda: len(inbox.ids) == 2)
    assert sum(each.gap + 1 for each in inbox.deliveries) + await consumer.pending() == 50


async def test_a_consumer_that_raises_harms_nobody_else(bus, env, caplog):
    def broken(_delivery):
        raise RuntimeError("no")

    inbox = Inbox()
    await bus.subscribe(to(None, "broken"), broken)
    await bus.subscribe(to(None, "m"), inbox)
    with caplog.at_level(logging.ERROR):
        await bus.publish(event(), deadline=env.clock.now() + 1)
        await eventually(lambda: inbox.ids)
    assert "could not take event" in caplog.text


async def test_a_group_has_one_strategy(bus):
    await bus.subscribe(to("g", "a", strategy="leader"), Inbox())
    with pytest.raises(NotSupported, match="'leader', not 'any'"):
        await bus.subscribe(to("g", "b"), Inbox())
