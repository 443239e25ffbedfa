"""Streams on bad days: the server is killed, loses its data, is full; what is kept, given again, trimmed and replayed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from tests.faults.load import comes
from tests.valkey import Valkey
from vyked_host.builtin.redis.options import StreamOptions
from vyked_host.builtin.redis.provider import STREAMS
from vyked_host.builtin.redis.streams.bus import StreamsBus
from vyked_host.builtin.redis.streams.keys import of_group, of_topic
from vyked_host.builtin.redis.streams.scripts import TRIM
from vyked_host.builtin.redis.streams.verify import durability
from vyked_host.contracts import Environment, Verdict
from vyked_host.errors import NotSupported, Overloaded, StartError, Unavailable
from vyked_host.testing import eventually
from vyked_host.testing.conformance.pubsub import ACK, Inbox, event, to

AW = 0.4


@pytest.fixture
async def open_streams(env: Environment) -> AsyncIterator[Callable[..., StreamsBus]]:
    """Opens a bus; all are closed at the end, and nothing of them may be left."""
    made: list[StreamsBus] = []

    def open_streams(url: str, **options: float) -> StreamsBus:
        made.append(StreamsBus(StreamOptions(url=url, **{"ack_wait": AW, **options}), env))
        return made[-1]

    yield open_streams
    for bus in made:
        await bus.aclose()


@pytest.fixture
def published(env):
    async def published(bus, within=5.0, **more):
        sent = event(**more)
        await bus.publish(sent, deadline=env.clock.now() + within)
        return sent.id

    return published


@pytest.fixture
def durable():
    server = Valkey("appendonly yes", "appendfsync always").start()
    yield server
    server.close()


def stream(env):
    return of_topic("vyked", env.namespace, "shop", 1, "paid")


def length(server, key):
    return int(server.ask("XLEN", key)[1:].split(b"\r\n")[0])


# ---- the server dies -------------------------------------------------------------------------------------------------------
async def test_what_was_accepted_outlives_kill_9_of_a_server_that_logs(durable, open_streams, env, published):
    bus, inbox = open_streams(durable.url), Inbox()
    await bus.subscribe(to("g", "m", concurrency=4), inbox)
    accepted: list[str] = []

    async def publish() -> None:
        while len(accepted) < 300:
            try:
                accepted.append(await published(bus, within=2.0))
            except Unavailable as error:
                assert error.executed in {"unknown", "not_sent"}  # noqa: PT017 - each refusal is looked at

    publishing = asyncio.ensure_future(publish())
    for at in (60, 180):
        await eventually(lambda at=at: len(accepted) > at)
        durable.kill()
        await eventually(lambda: bus._publishing.line is None)
        durable.start()
    await publishing
    await eventually(lambda: set(accepted) <= set(inbox.ids))
    again = [each for each in inbox.deliveries if each.count == 1]
    assert max(Counter(each.event.id for each in again).values()) == 1  # a repetition says so


LOADED = 10_000
"""Commands in its log, each of which takes 0.1 ms: it answers for a second that it is loading."""


async def test_D8_what_is_published_while_the_server_loads_waits_for_it(open_streams, published):
    loading = Valkey("appendonly yes").start()
    try:
        bus = open_streams(loading.url)
        await published(bus)
        for _ in range(10):
            loading.ask("EVAL", "for i = 1, ARGV[1] do redis.call('RPUSH', 'load', i) end", "0", str(LOADED // 10))
        loading.kill()
        await eventually(lambda: bus._publishing.line is None)
        loading.add("key-load-delay 100")
        starting = threading.Thread(target=loading.start)
        starting.start()
        sent = [published(bus) for _ in range(20)]
        assert len(await asyncio.gather(*sent)) == 20
        starting.join()
    finally:
        loading.close()


async def test_a_group_that_is_gone_with_its_server_s_data_is_made_anew(server, open_streams, published, caplog):
    bus, inbox = open_streams(server.url), Inbox()
    await bus.subscribe(to("g", "m"), inbox)
    await published(bus)
    await eventually(lambda: len(inbox.ids) == 1)
    server.kill()
    await eventually(lambda: bus._publishing.line is None)
    server.start()
    late = await published(bus)
    await eventually(lambda: late in inbox.ids)
    assert "is made anew" in caplog.text


async def test_a_server_that_hangs_is_left_and_what_is_settled_meanwhile_is_told_later(server, open_streams, published):
    bus, inbox = open_streams(server.url, ack_wait=30.0), Inbox(lambda _delivery: None)
    await bus.subscribe(to("g", "m"), inbox)
    await published(bus)
    await eventually(lambda: inbox.ids)
    server.freeze()
    settling = inbox.deliveries[0].settle(ACK)
    await eventually(lambda: bus._settling.line is None)
    server.thaw()
    await asyncio.wait_for(settling, 5)
    groups = await bus.groups("shop", 1, "paid")
    assert groups == [("g", 1, 0)]


async def test_scripts_that_the_server_forgot_are_sent_again(server, open_streams, published):
    bus, inbox = (
        open_streams(server.url),
        Inbox(lambda delivery: Verdict(action="retry") if delivery.count < 3 else ACK),
    )
    await bus.subscribe(to("g", "m"), inbox)
    server.ask("SCRIPT", "FLUSH")
    await published(bus)
    await eventually(lambda: len(inbox.ids) == 3)
    assert [each.count for each in inbox.deliveries] == [1, 2, 3]


# ---- fan-out ---------------------------------------------------------------------------------------------------------------
async def test_events_of_while_the_connection_was_gone_are_read_afterwards(durable, open_streams, published):
    bus, inbox = open_streams(durable.url), Inbox()
    await bus.subscribe(to(None, "m"), inbox)
    sent = [await published(bus)]
    await eventually(lambda: inbox.ids == sent)
    durable.kill()
    await eventually(lambda: bus._publishing.line is None)
    durable.start()
    sent += [await published(bus), await published(bus)]
    await eventually(lambda: inbox.ids == sent)
    assert {each.gap for each in inbox.deliveries} == {0}


async def test_whoever_was_away_for_longer_than_events_are_kept_is_told(durable, open_streams, published, env):
    bus, other, inbox = open_streams(durable.url), open_streams(durable.url), Inbox()
    await bus.subscribe(to(None, "m"), inbox)
    await published(other)
    await eventually(lambda: len(inbox.ids) == 1)
    line = bus._follower._reader._keeper.line
    durable.freeze()
    await eventually(lambda: line is not bus._follower._reader._keeper.line)
    durable.thaw()
    durable.ask("DEL", stream(env))
    last = await published(other)
    await eventually(lambda: last in inbox.ids)
    assert inbox.deliveries[-1].gap in {0, -1}  # told, unless it was back before the stream went


async def test_a_replay_begins_at_a_time_an_entry_or_the_beginning(shared, open_streams, published):
    bus = open_streams(shared.url)
    before = await published(bus)
    await asyncio.sleep(0.002)  # ids of entries are milliseconds
    now = int(time.time() * 1000)
    after = await published(bus)
    for since, expected in (
        ("0", [before, after]),
        (str(now), [after]),
        (f"{now - 1}-0", [after]),
    ):  # an entry itself is not repeated
        inbox = Inbox()
        await bus.subscribe(to(None, "m", since=since), inbox)
        await eventually(lambda inbox=inbox, expected=expected: inbox.ids == expected)
    grouped = Inbox()
    await bus.subscribe(to("late", "m", since="0"), grouped)
    await eventually(lambda: grouped.ids == [before, after])


# ---- groups ----------------------------------------------------------------------------------------------------------------
async def test_who_dies_with_events_in_hand_leaves_them_to_the_others_after_the_ack_wait(
    shared, open_streams, published
):
    dying, living = open_streams(shared.url), open_streams(shared.url)
    lost, inbox = Inbox(lambda _delivery: None), Inbox()
    await dying.subscribe(to("g", "first"), lost)
    sent = [await published(dying) for _ in range(10)]
    await eventually(lambda: len(lost.ids) == 10)
    for keeper in (dying._publishing, dying._settling, dying._members[0].reader._keeper):
        await keeper.aclose()  # as a process that was killed: it says nothing any more
    await living.subscribe(to("g", "second"), inbox)
    await eventually(lambda: sorted(inbox.ids) == sorted(sent))
    assert {each.count for each in inbox.deliveries} == {2}


async def test_D11_more_than_a_thousand_in_the_hands_of_the_dead_go_to_the_others(shared, open_streams, published):
    dying, living = open_streams(shared.url, ack_wait=2.0), open_streams(shared.url, ack_wait=2.0)
    lost, inbox = Inbox(lambda _delivery: None), Inbox()
    assert await comes(lambda: _subscribed(dying, to("g", "first", concurrency=4000), lost), 30.0)
    sent = await asyncio.gather(*(published(dying, within=30.0) for _ in range(2000)))
    await eventually(lambda: len(set(lost.ids)) > 1500, 30)
    for keeper in (dying._publishing, dying._settling, dying._members[0].reader._keeper):
        await keeper.aclose()
    held = set(lost.ids)
    assert await comes(lambda: _subscribed(living, to("g", "second", concurrency=64), inbox), 30.0)
    await eventually(lambda: set(inbox.ids) == set(sent), 30)
    assert min(each.count for each in inbox.deliveries if each.event.id in held) >= 2


async def _subscribed(bus, whom, inbox) -> bool:
    try:
        await bus.subscribe(whom, inbox)
    except Unavailable:  # no answer within half a second, on a busy machine
        return False
    return True


async def test_D12_what_is_held_comes_in_time_where_the_clock_of_the_server_was_set_back(shared, open_streams, env):
    bus, inbox = open_streams(shared.url), Inbox(lambda _delivery: None)
    await bus.subscribe(to("g", "m", concurrency=8), inbox)
    for _ in range(2):
        await bus.publish(event(), deadline=env.clock.now() + 5)
    await eventually(lambda: len(inbox.ids) == 2)
    await inbox.deliveries[0].settle(Verdict(action="retry", seconds=3600.2))  # said when the clock was an hour ahead
    its = of_group(stream(env), "g")
    shared.ask("HSET", its.clock, "ms", str(int((time.time() + 3600) * 1000)))
    await eventually(lambda: all(inbox.ids.count(each) >= 2 for each in inbox.ids[:2]), 10)
    assert min(each.count for each in inbox.deliveries[2:]) == 2


async def test_an_ack_that_comes_late_takes_back_a_dead_letter(shared, open_streams, published, env):
    bus, slow = open_streams(shared.url), Inbox(lambda _delivery: None)
    await bus.subscribe(to("g", "slow", concurrency=1), slow)
    await published(bus)
    await eventually(lambda: slow.ids)
    other = Inbox(lambda _delivery: Verdict(action="reject", cause="poison"))
    await bus.subscribe(to("g", "other"), other)
    await eventually(lambda: other.ids)
    wanted = to("g", "m")

    async def dead():
        return [each async for each in bus.dead(wanted)]

    keys = of_group(stream(env), "g")
    await eventually(lambda: shared.ask("HLEN", keys.dead) == b":1\r\n")
    assert len(await dead()) == 1
    await slow.deliveries[0].settle(ACK)
    await eventually(lambda: shared.ask("HLEN", keys.dead) == b":0\r\n")
    assert await dead() == []


async def test_a_verdict_that_comes_too_late_changes_nothing(shared, open_streams, published):
    bus, slow, other = open_streams(shared.url), Inbox(lambda _delivery: None), Inbox(lambda _delivery: None)
    await bus.subscribe(to("g", "slow", concurrency=1), slow)
    await published(bus)
    await eventually(lambda: slow.ids)
    await bus.subscribe(to("g", "other", concurrency=1), other)
    await eventually(lambda: other.ids)
    await slow.deliveries[0].settle(Verdict(action="reject", cause="too late"))
    assert [each async for each in bus.dead(to("g", "m"))] == []
    await other.deliveries[0].settle(ACK)
    assert await bus.groups("shop", 1, "paid") == [("g", 2, 0)]


async def test_what_is_no_event_is_buried_and_the_rest_goes_on(shared, open_streams, published, env):
    bus, inbox = open_streams(shared.url), Inbox()
    await bus.subscribe(to("g", "m"), inbox)
    shared.ask("XADD", stream(env), "*", "e", b"\xff junk")
    sent = await published(bus)
    await eventually(lambda: inbox.ids == [sent])
    keys = of_group(stream(env), "g")
    await eventually(lambda: shared.ask("HLEN", keys.dead) == b":1\r\n")
    assert [each async for each in bus.dead(to("g", "m"))] == []


async def test_a_strategy_that_streams_do_not_know_is_refused(shared, open_streams):
    with pytest.raises(NotSupported, match="'leader'"):
        await open_streams(shared.url).subscribe(to("g", "m", strategy="leader"), Inbox())


# ---- what is kept ----------------------------------------------------------------------------------------------------------
async def test_trimming_takes_what_is_handled_and_never_what_is_not(shared, open_streams, published, env):
    bus, quick, slow = open_streams(shared.url, ack_wait=60.0), Inbox(), Inbox(lambda _delivery: None)
    await bus.subscribe(to("quick", "m"), quick)
    await bus.subscribe(to("slow", "m", concurrency=3), slow)
    for _ in range(40):
        await published(bus)
    await eventually(lambda: len(quick.ids) == 40 and len(slow.ids) == 3)
    key = stream(env)
    await slow.deliveries[0].settle(ACK)
    await bus._errands.run(TRIM, (key,), "0", "3600000")
    assert length(shared, key) == 39  # the first is handled by both; the second is in hand
    while len(slow.ids) < 40 or any(not each.settled for each in slow.deliveries):
        for each in [each for each in slow.deliveries if not each.settled]:
            await each.settle(ACK)
        await asyncio.sleep(0)
    await asyncio.sleep(0.002)  # "older than now" is a matter of milliseconds
    await bus._errands.run(TRIM, (key,), "0", "3600000")
    assert length(shared, key) <= 1


async def test_D5_a_full_server_refuses_publishers_in_words_and_takes_events_again_when_they_are_handled(
    open_streams, published, monkeypatch
):
    monkeypatch.setattr("vyked_host.builtin.redis.streams.upkeep.TRIM_S", 0.05)
    server = Valkey("maxmemory 4mb", "maxmemory-policy noeviction").start()
    try:
        bus, slow = open_streams(server.url, keep=0.05, ack_wait=60.0), Inbox(lambda _delivery: None)
        assert await comes(lambda: _subscribed(bus, to("slow", "m", concurrency=100), slow), 30.0)
        sent = []

        async def too_much() -> None:
            for _ in range(100):
                sent.append(await published(bus, body=b"x" * 100_000))

        with pytest.raises(Overloaded, match="memory"):
            await too_much()
        await eventually(lambda: slow.ids == sent)  # consumers go on
        for each in slow.deliveries:
            await each.settle(ACK)
        assert await comes(lambda: _taken(published, bus), 30.0)
    finally:
        await bus.aclose()
        server.close()


async def _taken(published, bus) -> bool:
    try:
        return bool(await published(bus, body=b"x" * 100_000))
    except Overloaded:
        return False


async def test_what_is_kept_is_as_durable_as_the_server_is_set_to(shared, durable, open_streams, env):
    assert await durability(open_streams(shared.url).server, env) == "process"
    assert await durability(open_streams(durable.url).server, env) == "disk"
    assert STREAMS.durability == "process"


async def test_a_server_that_throws_events_away_is_refused_at_start(open_streams, env):
    server = Valkey("maxmemory 100mb", "maxmemory-policy allkeys-lru").start()
    try:
        with pytest.raises(StartError, match=r"allkeys-lru.*noeviction"):
            await durability(open_streams(server.url).server, env)
    finally:
        server.close()


# ---- what piles up -----------------------------------------------------------------------------------------------------
async def test_with_so_many_dead_letters_publishing_that_event_is_refused_until_some_are_decided_on(
    server, open_streams, published, caplog
):
    bus = open_streams(server.url, dead_letters=2)
    inbox = Inbox(lambda _delivery: Verdict(action="reject", cause="poison"))
    await bus.subscribe(to("g", "m"), inbox)
    sent = [await published(bus) for _ in range(2)]
    await eventually(lambda: len(inbox.ids) == 2)
    await eventually_counted(bus, 2)
    await bus._upkeep.count()
    with pytest.raises(
        Overloaded, match=r"shop.paid@1 has 2 dead letters, \[pubsub.redis-streams\] dead_letters = 2: .vyked-host"
    ) as caught:
        await published(bus)
    assert caught.value.executed == "not_sent"
    assert caplog.text.count("publishing is refused") == 1
    await published(bus, name="other")
    await bus.discard(sent[0], replay=False)
    await bus._upkeep.count()
    await published(bus)


async def counted(bus, count):
    return [each for _, each in await bus.letterboxes()] == [count]


async def eventually_counted(bus, count):
    assert await comes(lambda: counted(bus, count), 5.0)


async def there_is_nobody(bus):
    return [there for _, there, _ in await bus.groups("shop", 1, "paid")] == [0]


async def test_a_group_that_was_ended_leaves_nothing_at_the_server(server, open_streams, published, env):
    bus = open_streams(server.url)
    inbox = Inbox(lambda _delivery: Verdict(action="reject", cause="poison"))
    gone = await bus.subscribe(to("g", "m"), inbox)
    await published(bus)
    await eventually_counted(bus, 1)
    with pytest.raises(NotSupported, match="stop those first"):
        await bus.end_group("shop", 1, "paid", "g")
    await gone.aclose()
    assert await comes(lambda: there_is_nobody(bus), 30.0)
    assert await bus.end_group("shop", 1, "paid", "g") == 1
    assert await bus.letterboxes() == []
    assert b":paid:g" not in server.ask("KEYS", "*")
    assert await bus.groups("shop", 1, "paid") == []


async def test_a_group_nobody_comes_back_to_is_told_of(server, open_streams, published, caplog, monkeypatch):
    monkeypatch.setattr("vyked_host.builtin.redis.streams.upkeep.ABANDONED_S", 0.0)
    monkeypatch.setattr("vyked_host.builtin.redis.streams.upkeep.TRIM_S", 0.05)
    bus = open_streams(server.url, keep=0.05)
    await (await bus.subscribe(to("g", "m"), Inbox(lambda _delivery: None))).aclose()
    await published(bus)
    await eventually(lambda: "nobody of group g has been there" in caplog.text, 30)
    assert "vyked-host dlq end --topic shop.paid@1 --group g" in caplog.text


@pytest.mark.parametrize(
    "verdict",
    [
        ACK, Verdict(action="retry", seconds=0.1), Verdict(action="reject", cause="poison"),
        Verdict(action="extend", seconds=1.0),
    ],
    ids=lambda each: each.action,
)  # fmt: skip
async def test_what_is_said_of_an_event_ends_within_the_ack_wait_though_the_server_stays_away(
    durable, open_streams, published, env, verdict
):  # fmt: skip
    bus, inbox = open_streams(durable.url), Inbox(lambda _delivery: None)
    await bus.subscribe(to("g", "m"), inbox)
    await published(bus)
    await eventually(lambda: inbox.deliveries)
    durable.kill()
    await eventually(lambda: bus._settling.line is None)
    began = env.clock.now()
    with pytest.raises(Unavailable, match="ack_wait") as found:
        await asyncio.wait_for(inbox.deliveries[0].settle(verdict), 10)
    assert found.value.executed == "unknown"
    assert env.clock.now() - began < AW + 2.0
    durable.start()
    await eventually(lambda: bus._settling.line is not None)  # what is asked before waits for an ack wait only
    if verdict is ACK:  # said it is all the same
        assert await comes(lambda: counted_as_done(bus), 10.0)
    else:  # so is this, where nobody has the event by then: it comes again, or is a dead letter

        async def goes_on():
            return len(inbox.deliveries) > 1 or await counted(bus, 1)

        assert await comes(goes_on, 10.0)


async def counted_as_done(bus):
    return await bus.groups("shop", 1, "paid") == [("g", 1, 0)]


async def test_a_question_about_groups_ends_within_the_ack_wait_though_the_server_stays_away(
    durable, open_streams, published, env
):  # fmt: skip
    bus = open_streams(durable.url)
    member = await bus.subscribe(to("g", "m"), Inbox())
    durable.kill()
    await eventually(lambda: bus._settling.line is None)
    began = env.clock.now()
    questions = (
        member.pending(), bus.lag(), bus.groups("shop", 1, "paid"), bus.letterboxes(), bus.discard("x", replay=False),
        bus.end_group("shop", 1, "paid", "g"), anext(bus.dead(to("g", "m"))),
    )  # fmt: skip
    found = await asyncio.wait_for(asyncio.gather(*questions, return_exceptions=True), 10)
    assert {type(each) for each in found} == {Unavailable}
    assert env.clock.now() - began < AW + 2.0
