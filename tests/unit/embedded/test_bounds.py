"""How much a bus lets pile up: dead letters of one topic, and groups that nobody comes back to."""

from __future__ import annotations

import asyncio
import logging
import random

import pytest

from tests.withheld import withheld
from vyked_host.builtin.embedded.events.bus import EmbeddedBus
from vyked_host.builtin.embedded.options import BusOptions
from vyked_host.contracts import Verdict
from vyked_host.errors import NotSupported, Overloaded
from vyked_host.testing import environment, eventually
from vyked_host.testing.conformance.pubsub import ACK, Inbox, event, to
from vyked_host.testing.virtual_time import virtual_time

HOUR = 3600.0


@pytest.fixture
async def env():
    with virtual_time():
        async with environment(rng=random.Random(1)) as env:
            yield env


@pytest.fixture
async def bus(env):
    bus = EmbeddedBus(BusOptions(dead_letters=3), env)
    yield bus
    await bus.aclose()


async def publish(bus, env, one=None, within=1.0):
    one = one or event()
    await bus.publish(one, deadline=env.clock.now() + within)
    return one.id


async def rejected(bus, env, groups=("g",), count=3):
    inbox = Inbox(lambda _delivery: Verdict(action="reject", cause="poison"))
    for group in groups:
        await bus.subscribe(to(group, "m"), inbox)
    sent = [await publish(bus, env) for _ in range(count)]
    await eventually(lambda: len(inbox.ids) == count * len(groups))
    return sent


async def test_with_so_many_dead_letters_publishing_that_event_is_refused_at_once_and_says_what_to_do(bus, env, caplog):
    with caplog.at_level(logging.ERROR):
        sent = await rejected(bus, env)
        began, more = env.clock.now(), withheld()
        for _ in range(3):
            with pytest.raises(
                Overloaded, match=r"3 dead letters, \[pubsub.embedded\] dead_letters = 3: .vyked-host dlq"
            ) as caught:
                await publish(bus, env)
            assert (caught.value.executed, caught.value.retry_after) == ("not_executed", 1.0)
    assert env.clock.now() - began < 0.5 + more()  # nobody waits for what only a person can decide
    assert caplog.text.count("publishing is refused") == 1
    await publish(bus, env, event(name="other"))  # of another topic
    await bus.discard(sent[0], replay=False)
    await publish(bus, env)


async def test_dead_letters_of_all_groups_count_together(bus, env):
    await rejected(bus, env, groups=("g", "h", "i"), count=1)
    with pytest.raises(Overloaded):
        await publish(bus, env)


async def test_who_waited_for_room_is_refused_too_when_its_turn_comes(env):
    bus = EmbeddedBus(BusOptions(dead_letters=1, memory=8 << 20), env)
    verdicts = iter([Verdict(action="reject", cause="poison")])
    inbox = Inbox(lambda _delivery: next(verdicts, None))
    await bus.subscribe(to("g", "m", concurrency=1), inbox)
    waiting = [asyncio.ensure_future(publish(bus, env, event(body=b"x" * (1 << 20)), 5.0)) for _ in range(9)]
    await eventually(lambda: inbox.ids and all(each.done() for each in waiting), 10)
    refused = [each.exception() for each in waiting if each.exception()]
    assert refused
    assert all(isinstance(each, Overloaded) for each in refused)
    await bus.aclose()


async def test_a_group_nobody_comes_back_to_is_told_of_and_can_be_ended(bus, env, caplog):
    kept = await bus.subscribe(to("g", "m"), Inbox())
    gone = await bus.subscribe(to("h", "m"), Inbox(lambda _delivery: None))
    await publish(bus, env)
    await gone.aclose()
    with caplog.at_level(logging.WARNING):
        await asyncio.sleep(4.5 * HOUR)  # of virtual time
    told = [each.message for each in caplog.records if "nobody of group" in each.message]
    assert len(told) == 3  # after one hour, two and four
    assert "nobody of group h " in told[0]
    assert "1 events of shop.paid@1 wait for it" in told[0]
    assert "vyked-host dlq end --topic shop.paid@1 --group h" in told[0]
    assert await bus.end_group("shop", 1, "paid", "h") == 1
    assert [each[0] for each in await bus.groups("shop", 1, "paid")] == ["g"]
    with pytest.raises(KeyError):
        await bus.end_group("shop", 1, "paid", "h")
    with pytest.raises(NotSupported, match="has 1 members: stop those first"):
        await bus.end_group("shop", 1, "paid", "g")
    await kept.aclose()


async def test_who_subscribes_after_the_end_begins_anew(bus, env):
    inbox = Inbox(lambda _delivery: ACK)
    gone = await bus.subscribe(to("g", "m"), Inbox(lambda _delivery: None))
    await publish(bus, env)
    await gone.aclose()
    assert await bus.end_group("shop", 1, "paid", "g") == 1
    await bus.subscribe(to("g", "m"), inbox)
    sent = await publish(bus, env)
    await eventually(lambda: inbox.ids == [sent])


async def test_a_group_that_was_ended_stays_ended_in_the_file(tmp_path):
    path = str(tmp_path / "events.db")
    async with environment() as env:
        first = EmbeddedBus(BusOptions(path=path), env)
        for group in ("g", "h"):
            await (await first.subscribe(to(group, "m"), Inbox(lambda _delivery: None))).aclose()
        await publish(first, env)
        assert await first.end_group("shop", 1, "paid", "h") == 1
        await first.aclose()
    async with environment() as env:
        again = EmbeddedBus(BusOptions(path=path), env)
        assert await again.groups("shop", 1, "paid") == [("g", 0, 1)]
        await again.aclose()
