"""Bad days of the server: killed, stopped, cut off, full. Nothing waits longer than promised, no loss is hidden."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from functools import partial

import pytest

from tests.withheld import withheld
from vyked_host.builtin.redis import line as line_module
from vyked_host.builtin.redis import wire as wire_module
from vyked_host.builtin.redis.bus import RedisBus
from vyked_host.builtin.redis.options import BusOptions
from vyked_host.contracts import TimingTable, Verdict
from vyked_host.errors import DeadlineExceeded, Overloaded, Unavailable
from vyked_host.testing import environment, eventually
from vyked_host.testing.conformance.pubsub import Inbox, event, to
from vyked_host.wire.envelope import pack

from .conftest import TIMING

FOUND_DEAD_S = TIMING.ping + TIMING.pong + TIMING.pong  # a ping, its pong, and the grain of the watchdog


def listens(bus):
    """Has the server confirmed every channel?"""
    return all(channel.confirmed.is_set() for channel in bus._feed._channels.values())


@pytest.fixture
def published(env):
    async def published(bus, within=5.0, **more):
        sent = event(**more)
        await bus.publish(sent, deadline=env.clock.now() + within)
        return sent.id

    return published


async def test_after_a_restart_of_the_server_events_come_again_and_the_gap_is_told(server, open_bus, published, caplog):
    caplog.set_level(logging.INFO)
    bus, inbox, other = open_bus(server.url), Inbox(), Inbox()
    await bus.subscribe(to(None, "m"), inbox)
    await bus.subscribe(to(None, "n"), other)
    await published(bus)
    await eventually(lambda: len(inbox.ids) == 1)
    server.kill()
    await eventually(lambda: bus._listening.line is None)
    server.start()
    await eventually(lambda: bus._listening.reconnections == 1)
    await eventually(partial(listens, bus))
    after = [await published(bus), await published(bus)]
    await eventually(lambda: len(inbox.ids) == len(other.ids) == 3)
    for each in (inbox, other):
        assert each.ids[1:] == after
        assert [delivery.gap for delivery in each.deliveries] == [0, -1, 0]
    told = [record.message for record in caplog.records if "listening" in record.message]
    assert len(told) == 2  # lost once, back once, however often it was tried
    assert "connected to" in told[1]


async def test_an_event_published_while_the_server_is_away_goes_out_when_it_is_back(server, open_bus, published):
    bus = open_bus(server.url)
    await published(bus)
    server.kill()
    await eventually(lambda: bus._publishing.line is None)
    waiting = asyncio.ensure_future(published(bus))
    await asyncio.sleep(0)
    server.start()
    assert await waiting


async def test_an_event_for_a_server_that_stays_away_fails_at_its_deadline_and_was_not_sent(
    server, open_bus, published, env
):
    bus = open_bus(server.url)
    await published(bus)
    server.kill()
    await eventually(lambda: bus._publishing.line is None)
    began, more = env.clock.now(), withheld()
    with pytest.raises(Unavailable, match=r"shop\.paid is not published: unix://") as caught:
        await published(bus, within=0.3)
    assert caught.value.executed == "not_sent"
    assert 0.3 <= env.clock.now() - began < 0.6 + more()


async def test_a_stopped_server_fails_publishers_in_time_and_is_found_again(server, open_bus, published, env):
    bus, inbox = open_bus(server.url), Inbox()
    await bus.subscribe(to(None, "m"), inbox)
    await published(bus)
    await eventually(lambda: len(inbox.ids) == 1)
    server.freeze()
    try:
        began, more = env.clock.now(), withheld()
        with pytest.raises(DeadlineExceeded) as caught:
            await published(bus, within=0.2)
        assert caught.value.executed == "unknown"
        assert env.clock.now() - began < 0.5 + more()
        with pytest.raises((Unavailable, DeadlineExceeded)):
            await published(bus, within=3.0)
        assert env.clock.now() - began < FOUND_DEAD_S + 1.0  # told by the watchdog, long before its own deadline
        await eventually(lambda: bus._listening.line is None and bus._publishing.line is None)
        await eventually(lambda: "did not answer within" in bus._listening.away)
    finally:
        server.thaw()
    thawed = env.clock.now()
    await eventually(lambda: bus._listening.reconnections == 1)
    assert env.clock.now() - thawed < TIMING.ping + TIMING.dial + 0.5
    await eventually(partial(listens, bus))
    wanted = await published(bus)
    await eventually(lambda: wanted in inbox.ids)
    assert inbox.deliveries[1].gap == -1


async def test_a_quiet_line_stays_as_long_as_the_server_answers(shared, open_bus, published, env):
    bus, inbox = open_bus(shared.url), Inbox()
    await bus.subscribe(to(None, "m"), inbox)
    await published(bus)
    until = env.clock.now() + 3 * TIMING.ping
    await eventually(lambda: env.clock.now() > until)
    assert bus._listening.reconnections == bus._publishing.reconnections == 0
    assert bus._listening.line is not None


async def test_a_listener_that_the_server_cuts_off_comes_back_and_knows_that_it_missed_something(
    server, open_bus, published
):
    bus, inbox = open_bus(server.url), Inbox()
    await bus.subscribe(to(None, "m"), inbox)
    assert server.ask("CLIENT", "KILL", "TYPE", "pubsub").startswith(b":1")
    await eventually(lambda: bus._listening.reconnections == 1)
    await eventually(partial(listens, bus))
    await published(bus)
    await eventually(lambda: inbox.deliveries)
    assert inbox.deliveries[0].gap == -1


async def test_a_listener_that_does_not_keep_up_is_cut_off_by_the_server_and_knows_of_it(
    server, open_bus, published, env
):
    bus, inbox = open_bus(server.url), Inbox()
    await bus.subscribe(to(None, "m"), inbox)
    limit = ("client-output-buffer-limit", "pubsub 65536 0 0")
    assert server.ask("CONFIG", "SET", *limit).startswith(b"+OK")
    packed = pack(event(body=b"x" * 10_000))
    for _ in range(200):  # without a turn of the loop: this host reads nothing meanwhile
        server.ask("PUBLISH", f"vyked:{env.namespace}:shop@1:paid", packed)
    await eventually(lambda: bus._listening.reconnections == 1)
    await eventually(partial(listens, bus))
    wanted = await published(bus)
    await eventually(lambda: wanted in inbox.ids)
    assert len(inbox.ids) < 200
    assert [delivery.gap for delivery in inbox.deliveries if delivery.gap] == [-1]
    assert inbox.deliveries[-1].gap == -1


async def test_a_loop_that_was_blocked_does_not_take_its_own_lateness_for_silence(shared, open_bus, published):
    bus, inbox = open_bus(shared.url), Inbox()
    await bus.subscribe(to(None, "m"), inbox)
    await published(bus)
    for _ in range(3):
        sending = asyncio.ensure_future(published(bus))
        await asyncio.sleep(0)
        time.sleep(TIMING.pong + TIMING.ping)  # noqa: ASYNC251 - a handler that blocks the loop is what is tested
        assert await sending
    assert bus._listening.reconnections == bus._publishing.reconnections == 0


async def test_an_idle_publisher_notices_a_restart_by_itself_and_its_next_event_does_not_fail(
    server, open_bus, published
):
    bus = open_bus(server.url)
    await published(bus)
    server.kill()
    server.start()
    await eventually(lambda: bus._publishing.reconnections == 1)
    assert await published(bus)


async def test_a_cancelled_publish_takes_no_answer_from_another(shared, open_bus, env):
    """Every channel has a number of listeners of its own: an answer to the wrong publish would be another number."""
    bus = open_bus(shared.url)
    outbox, answers = bus._outbox, {}
    cancelled = 0
    for at in range(1000):
        keep = bus.publish(kept := event(key=str(at)), deadline=env.clock.now() + 5)
        drop = asyncio.ensure_future(_waits(bus.publish(event(), deadline=env.clock.now() + 5)))
        for _ in range(at % 7):  # the cancellation meets every stage: not sent, on its way, answered
            await asyncio.sleep(0)
        cancelled += drop.cancel()
        answers[kept.id] = keep
    await asyncio.gather(*answers.values())
    assert cancelled > 300
    await eventually(lambda: outbox._used == 0)
    assert not outbox._waiting


async def _waits(accepted):
    await accepted


async def test_each_publisher_gets_the_answer_to_its_own_event(shared, open_bus, env):
    """What the server refuses is refused to the one who sent it, however many are cancelled around it."""
    denied = f"vyked:{env.namespace}:shop@1:secret"
    user = ("ACL", "SETUSER", "writer", "on", ">pw", "+publish", "+ping", "+client", "resetchannels")
    assert shared.ask(*user, f"&vyked:{env.namespace}:shop@1:paid").startswith(b"+OK"), denied
    bus = open_bus(shared.url.replace("unix://", "unix://writer:pw@"))
    outcomes = []
    for at in range(300):
        wanted = "secret" if at % 3 == 0 else "paid"
        task = asyncio.ensure_future(_waits(bus.publish(event(wanted), deadline=env.clock.now() + 5)))
        if at % 5 == 0:
            await asyncio.sleep(0)
            task.cancel()
        else:
            outcomes.append((wanted, task))
    done = await asyncio.gather(*(task for _, task in outcomes), return_exceptions=True)
    for (wanted, _), outcome in zip(outcomes, done, strict=True):
        assert type(outcome).__name__ == ("PermissionDenied" if wanted == "secret" else "NoneType")


async def test_what_waits_for_a_server_that_is_away_is_bounded(server, open_bus, env):
    bus = open_bus(server.url, outbox=2 << 20)
    server.kill()
    waiting = [bus.publish(event(body=b"x" * 1_000_000), deadline=env.clock.now() + 5) for _ in range(2)]
    with pytest.raises(Overloaded, match=r"\[pubsub\.redis\] outbox = 2097152") as caught:
        await bus.publish(event(body=b"x" * 1_000_000), deadline=env.clock.now() + 5)
    assert caught.value.executed == "not_sent"
    assert caught.value.retry_after
    for each in waiting:
        each.cancel()
    await eventually(lambda: bus._outbox._used == 0)
    server.start()
    await bus.publish(event(body=b"x" * 1_000_000), deadline=env.clock.now() + 5)


async def test_closing_beside_a_stopped_server_ends_in_time_and_leaves_no_socket(server, open_bus, env):
    bus = open_bus(server.url)
    await bus.subscribe(to(None, "m"), Inbox())
    await bus.publish(event(), deadline=env.clock.now() + 5)
    server.freeze()
    try:
        stuck = [bus.publish(event(body=b"x" * 900_000), deadline=env.clock.now() + 9) for _ in range(8)]
        await asyncio.sleep(0)
        began = env.clock.now()
        await bus.aclose()
        assert env.clock.now() - began < TIMING.pong + 0.5
        for outcome in await asyncio.gather(*stuck, return_exceptions=True):
            assert isinstance(outcome, Unavailable)
        assert not any(each._waiting for each in (env.clock._deeds, env.clock._ends))  # no timer of it is left either
    finally:
        server.thaw()


async def test_closing_sends_what_was_published_before(shared, open_bus, env):
    listener, bus, inbox = open_bus(shared.url), open_bus(shared.url), Inbox()
    await listener.subscribe(to(None, "m"), inbox)
    sent = [event() for _ in range(100)]
    accepted = [bus.publish(each, deadline=env.clock.now() + 5) for each in sent]
    await asyncio.sleep(0)
    await eventually(lambda: bus._publishing.line is not None)
    await bus.aclose()
    await asyncio.gather(*accepted)
    await eventually(lambda: inbox.ids == [each.id for each in sent])


class Writes:
    """What the line that publishes writes, of every connection of redis-py that is taken over from now on: how many events in each."""

    def __init__(self, monkeypatch):
        self.events = []

        def taken_over(wire, protocol):
            self._transport = wire_module.taken_over(wire, protocol)
            return self

        monkeypatch.setattr(line_module, "taken_over", taken_over)

    def __getattr__(self, name):
        return getattr(self._transport, name)

    def write(self, data):
        if count := data.count(b"PUBLISH\r\n"):
            self.events.append(count)
        self._transport.write(data)


async def test_an_event_that_is_alone_is_written_before_its_turn_ends_and_company_shares_a_write(shared, monkeypatch):
    quiet, writes = TimingTable(ping=60.0, pong=10.0), Writes(monkeypatch)  # a ping that is under way is company
    async with environment(timing=quiet) as env, contextlib.aclosing(RedisBus(BusOptions(url=shared.url), env)) as bus:
        await _alone_and_together(bus, env.clock, writes)


async def _alone_and_together(bus, clock, writes):
    async def published(count):
        writes.events.clear()
        waiting = [bus.publish(event(), deadline=clock.now() + 5) for _ in range(count)]
        at_once = list(writes.events)
        await asyncio.gather(*waiting)
        return at_once, writes.events

    await published(1)
    assert await published(1) == ([1], [1])
    assert await published(50) == ([1], [1, 49])  # the first can't know
    assert await published(50) == ([], [50])
    assert await published(1) == ([], [1])  # nor can the first who is alone again
    assert await published(1) == ([1], [1])


async def test_messages_that_are_no_events_are_counted_logged_once_and_end_nothing(
    shared, open_bus, published, env, caplog
):
    bus, inbox = open_bus(shared.url), Inbox()
    await bus.subscribe(to(None, "m"), inbox)
    channel = f"vyked:{env.namespace}:shop@1:paid"
    for _ in range(3):
        for garbage in (b"hello", b"\x91\x02", b"\x91\x01", b"", b"\x91" * 2000):
            shared.ask("PUBLISH", channel, garbage)
    shared.ask("PUBLISH", channel, b"x" * (2 << 20))
    wanted = await published(bus)
    await eventually(lambda: inbox.ids == [wanted])
    assert bus._feed.malformed == {"not an envelope": 9, "another version": 3, "wrong fields": 3, "too large": 1}
    refused = [record for record in caplog.records if "is refused" in record.message]
    assert len(refused) == 4
    assert inbox.deliveries[0].gap == 0


async def test_an_event_on_the_channel_of_another_topic_is_refused(shared, open_bus, published, env):
    bus, inbox = open_bus(shared.url), Inbox()
    await bus.subscribe(to(None, "m"), inbox)
    shared.ask("PUBLISH", f"vyked:{env.namespace}:shop@1:paid", pack(event("refunded")))
    wanted = await published(bus)
    await eventually(lambda: inbox.ids == [wanted])
    assert bus._feed.malformed == {"of another topic": 1}


async def test_a_consumer_that_raises_loses_that_event_and_no_other(shared, open_bus, published, caplog):
    bus, seen = open_bus(shared.url), []

    def deliver(delivery):
        if not seen and delivery.gap == 0:
            seen.append("raised")
            raise KeyError("consumer")
        seen.append(delivery)
        delivery.settle(Verdict(action="ack"))

    await bus.subscribe(to(None, "m"), deliver)
    await published(bus)
    second = await published(bus)
    await eventually(partial(_longer_than, seen, 1))
    assert (seen[1].event.id, seen[1].gap) == (second, 1)
    assert "could not take event" in caplog.text


def _longer_than(found, length):
    return len(found) > length
