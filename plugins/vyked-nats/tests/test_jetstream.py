"""JetStream on bad days: the server is killed, hangs, is absent, full, retires; consumers are killed; what is kept, given again,
taken out and replayed."""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import nats
import pytest
from server import JETSTREAM, NatsServer, says_it_is
from vyked_nats.jetstream.bus import JetStreamBus
from vyked_nats.jetstream.durability import doubts
from vyked_nats.jetstream.since import beginning
from vyked_nats.options import JetStreamOptions
from vyked_nats.plugin import _verify_jetstream

from vyked_host import CallError, NotSupported, Overloaded, PermissionDenied, StartError, Unavailable
from vyked_host.contracts import Verdict, pack
from vyked_host.testing import eventually
from vyked_host.testing.conformance.pubsub import ACK, Inbox, event, to
from vyked_host.testing.waiting import comes_to

AW = 0.4
MIB = 1 << 20


@pytest.fixture
async def open_bus(env):
    made = []

    def open_bus(url, **options):
        made.append(JetStreamBus(JetStreamOptions(url=url, **{"ack_wait": AW, "max_bytes": 64 * MIB, **options}), env))
        return made[-1]

    yield open_bus
    for bus in made:
        await bus.aclose()


@pytest.fixture
def published(env):
    async def published(bus, within=5.0, **more):
        sent = event(**more)
        await bus.publish(sent, deadline=env.clock.now() + within)
        return sent.id

    return published


async def died(bus):
    """Its connections end as those of a process that was killed: it says nothing any more."""
    for keeper in (bus._publishing, bus._listening):
        await keeper.aclose()


def begun(command):
    return subprocess.Popen(command)


async def stream(bus):
    return (await bus.api.ask(f"STREAM.INFO.{bus.names.events}"))["state"]


# ---- the server dies -----------------------------------------------------------------------------------------------------
async def test_what_was_accepted_outlives_kill_9_of_the_server_and_a_repetition_says_so(server, open_bus, env):
    bus, inbox, accepted = open_bus(server.url), Inbox(), []
    await bus.subscribe(to("g", "m", concurrency=64), inbox)

    async def publish(count):
        for _ in range(count):
            sent = event()
            await bus.publish(sent, deadline=env.clock.now() + 20)  # what was not answered goes out again by itself
            accepted.append(sent.id)

    publishing = asyncio.gather(*(publish(50) for _ in range(20)))
    for at in (200, 600):
        await eventually(lambda at=at: len(accepted) > at, 20)
        server.kill()
        await eventually(lambda: bus._listening.line is None and bus._publishing.line is None)
        server.start()
    await publishing
    await eventually(lambda: set(accepted) <= set(inbox.ids), 20)
    first = Counter(each.event.id for each in inbox.deliveries if each.count == 1)
    assert max(first.values()) == 1


async def test_ten_thousand_events_survive_kill_9_of_consumers_and_of_the_server(server, open_bus, env, tmp_path):
    path, total = tmp_path / "handled", 10_000
    bus = open_bus(server.url, ack_wait=1.0, max_bytes=256 * MIB)
    await (await bus.subscribe(to("g", "first"), Inbox())).aclose()  # the group exists from here on
    command = [sys.executable, Path(__file__).with_name("worker.py"), server.url, env.namespace, str(path), "1.0"]
    workers = [begun(command) for _ in range(2)]
    accepted = []

    async def publish(count):
        for _ in range(count):
            sent = event()
            await bus.publish(sent, deadline=env.clock.now() + 30)
            accepted.append(sent.id)

    def handled():
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    try:
        publishing = asyncio.gather(*(publish(total // 64 + 1) for _ in range(64)))
        for at in range(1, 6):
            await eventually(lambda at=at: len(accepted) > at * total // 7 and len(handled()) > at * total // 10, 30)
            if at in (2, 4):
                server.kill()
                await eventually(lambda: bus._publishing.line is None)
                server.start()
            else:
                workers[at % 2].kill()
                workers[at % 2].wait()
                workers[at % 2] = begun(command)
        await publishing
        await eventually(lambda: set(accepted) <= {each for each, _ in handled()}, 30)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    runs = handled()
    assert len(accepted) >= total
    unflagged = Counter(each for each, count in runs if count == "1")
    assert max(unflagged.values()) == 1


async def test_a_server_that_hangs_costs_no_more_than_the_deadline_and_what_is_settled_is_told_later(
    server, open_bus, published, env
):
    bus, inbox = open_bus(server.url, ack_wait=30.0), Inbox(lambda _delivery: None)
    await bus.subscribe(to("g", "m"), inbox)
    await published(bus)
    await eventually(lambda: inbox.ids)
    server.freeze()
    began = env.clock.now()
    with pytest.raises(CallError) as found:
        await published(bus, within=0.3)
    assert found.value.executed == "unknown"
    assert env.clock.now() - began < 1.0  # the deadline, and a shared sweep of 50 ms
    settling = inbox.deliveries[0].settle(ACK)
    await eventually(lambda: bus._listening.line is None)
    server.thaw()
    await asyncio.wait_for(settling, 5)
    await eventually(lambda: bus._open is not None)
    groups = await bus.groups("shop", 1, "paid")
    assert groups[0][2] <= 1  # the event of the test above may have arrived after all


async def test_while_the_server_is_away_every_publication_waits_or_is_refused(server, open_bus, env, published):
    bus = open_bus(server.url, outbox=2 << 20)
    await published(bus)
    server.kill()
    await eventually(lambda: bus._publishing.line is None)
    deadline = env.clock.now() + 0.5
    outcomes = await asyncio.gather(
        *(bus.publish(event(body=b"x" * 1000), deadline=deadline) for _ in range(10_000)), return_exceptions=True
    )
    assert {type(each) for each in outcomes} == {Unavailable, Overloaded}
    assert {each.executed for each in outcomes} == {"not_sent"}
    assert bus._outbox._used == 0


async def test_a_server_that_retires_loses_nothing(open_bus, published):
    server = NatsServer(JETSTREAM, 'lame_duck_duration: "30s"', 'lame_duck_grace_period: "10ms"').start()
    try:
        bus, inbox, every = open_bus(server.url), Inbox(), Inbox()
        await bus.subscribe(to("g", "m"), inbox)
        await bus.subscribe(to(None, "m"), every)
        sent = [await published(bus) for _ in range(20)]
        server.retire()
        await eventually(lambda: not server.is_running, 15)
        server.start()
        sent += [await published(bus) for _ in range(20)]
        await eventually(lambda: set(sent) <= set(inbox.ids) and every.ids == sent)
        assert {each.gap for each in every.deliveries} == {0}
    finally:
        await bus.aclose()
        server.close()


# ---- fan-out -------------------------------------------------------------------------------------------------------------
async def test_fan_out_goes_on_where_it_was(server, open_bus, published):
    bus, inbox = open_bus(server.url), Inbox()
    await bus.subscribe(to(None, "m"), inbox)
    sent = [await published(bus)]
    await eventually(lambda: inbox.ids == sent)
    server.kill()
    await eventually(lambda: bus._listening.line is None)
    server.start()
    sent += [await published(bus), await published(bus)]
    await eventually(lambda: inbox.ids == sent)
    assert {each.gap for each in inbox.deliveries} == {0}


async def test_who_was_away_for_longer_than_events_are_kept_is_told(server, open_bus, published, env):
    bus, inbox = open_bus(server.url, keep=0.2), Inbox()
    await bus.subscribe(to(None, "m"), inbox)
    await published(bus)
    await eventually(lambda: len(inbox.ids) == 1)
    server.freeze()
    await eventually(lambda: bus._listening.line is None)
    server.thaw()
    other = await nats.connect(server.url)
    subject = f"vyked.{env.namespace}.kept.shop.1.paid"
    # before this host is back: one more comes, and is taken out
    await other.jetstream().publish(subject, pack(event()))
    await other.jetstream().purge_stream(bus.names.events)
    await other.close()
    last = await published(bus)
    await eventually(lambda: last in inbox.ids)
    assert inbox.deliveries[-1].gap in {0, -1}  # 0: it was back before the purge, and got it


async def test_who_follows_a_stream_that_was_made_anew_is_told(server, open_bus, published):
    bus, inbox = open_bus(server.url), Inbox()
    await bus.subscribe(to(None, "m"), inbox)
    await published(bus)
    await eventually(lambda: len(inbox.ids) == 1)
    await bus.api.ask(f"STREAM.DELETE.{bus.names.events}")
    last = await published(bus)
    await eventually(lambda: last in inbox.ids)
    assert inbox.deliveries[-1].gap == -1


async def test_a_replay_begins_at_a_time_an_event_or_the_beginning(shared, open_bus, published):
    bus = open_bus(shared.url)
    before = await published(bus)
    await asyncio.sleep(0.002)
    now = int(time.time() * 1000)
    await asyncio.sleep(0.002)
    after = await published(bus)
    for since, expected in (("0", [before, after]), (str(now), [after]), ("seq:2", [after])):
        inbox = Inbox()
        await bus.subscribe(to(None, "m", since=since), inbox)
        await eventually(lambda inbox=inbox, expected=expected: inbox.ids == expected)
    grouped = Inbox()
    await bus.subscribe(to("late", "m", since="0"), grouped)
    await eventually(lambda: grouped.ids == [before, after])


async def test_a_replay_waits_for_a_slow_handler_and_drops_nothing(shared, open_bus, published):
    bus, slow = open_bus(shared.url, queue=16), Inbox(lambda _delivery: None)
    sent = [await published(bus) for _ in range(200)]
    await bus.subscribe(to(None, "m", since="0", concurrency=1), slow)
    for at in range(200):
        await eventually(lambda at=at: len(slow.ids) > at)
        await slow.deliveries[at].settle(ACK)
    assert slow.ids == sent
    assert {each.gap for each in slow.deliveries} == {0}


@pytest.mark.parametrize(
    ("since", "found"),
    [
        (None, {"deliver_policy": "new"}),
        ("0", {"deliver_policy": "all"}),
        ("seq:7", {"deliver_policy": "by_start_sequence", "opt_start_seq": 7}),
        ("1970-01-01T00:00:01", {"deliver_policy": "by_start_time", "opt_start_time": "1970-01-01T00:00:01Z"}),
        ("1500", {"deliver_policy": "by_start_time", "opt_start_time": "1970-01-01T00:00:01.500000Z"}),
    ],
)
def test_where_a_replay_begins(since, found):
    assert beginning(since) == found


@pytest.mark.parametrize("since", ["yesterday", "seq:0", "seq:x", "9" * 40])
def test_what_is_no_place_may_be_the_id_of_an_event(since):
    assert beginning(since) is None


async def test_a_replay_from_an_event_that_is_gone_is_refused(shared, open_bus, published):
    bus = open_bus(shared.url)
    with pytest.raises(NotSupported, match="ISO 8601"):
        await bus.subscribe(to(None, "m", since="gone"), Inbox())
    await published(bus)
    with pytest.raises(NotSupported, match="ISO 8601"):
        await bus.subscribe(to("g", "m", since="gone"), Inbox())


# ---- groups --------------------------------------------------------------------------------------------------------------
async def test_who_dies_with_events_in_hand_leaves_them_to_the_others_after_the_ack_wait(shared, open_bus, published):
    dying, living = open_bus(shared.url), open_bus(shared.url)
    lost, inbox = Inbox(lambda _delivery: None), Inbox()
    await dying.subscribe(to("g", "first"), lost)
    sent = [await published(dying) for _ in range(10)]
    await eventually(lambda: len(lost.ids) == 10)
    await died(dying)
    await living.subscribe(to("g", "second"), inbox)
    await eventually(lambda: sorted(inbox.ids) == sorted(sent))
    assert {each.count for each in inbox.deliveries} == {2}


async def test_an_ack_that_comes_late_takes_back_a_dead_letter(shared, open_bus, published):
    bus, slow = open_bus(shared.url), Inbox(lambda _delivery: None)
    await bus.subscribe(to("g", "slow", concurrency=1), slow)
    await published(bus)
    await eventually(lambda: slow.ids)
    other = Inbox(lambda _delivery: Verdict(action="reject", cause="poison"))
    await bus.subscribe(to("g", "other"), other)
    await eventually(lambda: other.ids)

    async def count():
        return len([each async for each in bus.dead(to("g", "m"))])

    await comes_to(1, count)
    await slow.deliveries[0].settle(ACK)
    assert await count() == 0


async def test_a_verdict_that_comes_too_late_changes_nothing(shared, open_bus, published):
    bus, slow, other = open_bus(shared.url), Inbox(lambda _delivery: None), Inbox(lambda _delivery: None)
    await bus.subscribe(to("g", "slow", concurrency=1), slow)
    await published(bus)
    await eventually(lambda: slow.ids)
    await bus.subscribe(to("g", "other", concurrency=1), other)
    await eventually(lambda: other.ids)
    await slow.deliveries[0].settle(Verdict(action="reject", cause="too late"))
    assert [each async for each in bus.dead(to("g", "m"))] == []
    await other.deliveries[0].settle(ACK)
    assert await bus.groups("shop", 1, "paid") == [("g", 2, 0)]


async def test_what_is_no_event_is_a_dead_letter_and_the_rest_goes_on(shared, open_bus, published, env):
    bus, inbox = open_bus(shared.url), Inbox()
    await bus.subscribe(to("g", "m"), inbox)
    stranger = await nats.connect(shared.url)
    await stranger.jetstream().publish(f"vyked.{env.namespace}.kept.shop.1.paid", b"\xff junk")
    await stranger.close()
    sent = await published(bus)
    await eventually(lambda: inbox.ids == [sent])
    await comes_to([(to("g", ""), 1)], bus.letterboxes)
    assert [each async for each in bus.dead(to("g", "m"))] == []  # what has no event in it is nobody's to handle


async def test_a_group_that_was_removed_is_made_anew(shared, open_bus, published, caplog):
    bus, inbox = open_bus(shared.url), Inbox()
    member = await bus.subscribe(to("g", "m"), inbox)
    early = await published(bus)
    await eventually(lambda: len(inbox.ids) == 1)
    await bus.api.ask(f"CONSUMER.DELETE.{bus.names.events}.{member.consumer}")
    late = await published(bus)
    await eventually(lambda: late in inbox.ids)
    assert "is made anew" in caplog.text
    assert [each.count for each in inbox.deliveries if each.event.id == early] == [
        1,
        2,
    ]  # it says that it may have been there


async def test_when_dead_letters_are_full_what_is_given_up_comes_again(shared, open_bus, published, monkeypatch):
    monkeypatch.setattr("vyked_nats.jetstream.store.MOST_LETTERS", 1)
    monkeypatch.setattr("vyked_nats.jetstream.member.FULL_S", 0.05)
    bus = open_bus(shared.url)
    inbox = Inbox(lambda _delivery: Verdict(action="reject", cause="poison"))
    await bus.subscribe(to("g", "m"), inbox)
    one, other = await published(bus), await published(bus)
    await eventually(lambda: Counter(inbox.ids)[one] + Counter(inbox.ids)[other] > 3)
    (kept,) = [found.id async for found, _, _ in bus.dead(to("g", "m"))]
    await bus.discard(kept, replay=False)
    waiting = other if kept == one else one

    async def dead():
        return [found.id async for found, _, _ in bus.dead(to("g", "m"))]

    await comes_to([waiting], dead)


async def test_how_far_groups_are_behind_is_told(shared, open_bus, published):
    bus, slow = open_bus(shared.url, ack_wait=60.0), Inbox(lambda _delivery: None)
    await bus.subscribe(to("slow@1", "m", concurrency=3), slow)
    await bus.subscribe(to("quick@1/again", "m"), Inbox())
    for _ in range(10):
        await published(bus)
    await eventually(lambda: len(slow.ids) == 3)
    await slow.deliveries[0].settle(Verdict(action="reject", cause="poison"))
    await eventually(lambda: len(slow.ids) == 4)

    async def behind():
        return {each.group: each for each in await bus.lag()}

    async def quick():
        found = (await behind())["quick@1/again"]
        return found.waiting + found.in_flight

    async def slowly():
        found = (await behind())["slow@1"]
        return found.topic, found.members, found.waiting, found.in_flight, found.dead

    await comes_to(0, quick)
    await comes_to(("shop.paid@1", 1, 6, 3, 1), slowly)
    found = (await behind())["slow@1"]
    assert 0 < found.oldest_s < 60
    assert [each.group for each in await bus.lag(frozenset({"slow@1"}))] == ["slow@1"]


async def test_a_group_nobody_comes_back_to_is_told_of(server, open_bus, published, caplog, monkeypatch):
    monkeypatch.setattr("vyked_nats.jetstream.lookout.ABANDONED_S", 0.05)
    monkeypatch.setattr("vyked_nats.jetstream.lookout.LOOK_S", 0.05)
    bus = open_bus(server.url)
    await bus.subscribe(to("there", "m"), Inbox(lambda _delivery: None))
    killed = open_bus(server.url)
    in_hand = Inbox(lambda _delivery: None)
    await killed.subscribe(to("gone", "m"), in_hand)
    await published(bus)
    await eventually(lambda: in_hand.ids)
    await died(killed)
    await eventually(lambda: "nobody of group gone has been there" in caplog.text, 30)
    assert "1 events of shop.paid@1 wait for it" in caplog.text
    assert "vyked-host dlq end --topic shop.paid@1 --group gone" in caplog.text
    assert "group there" not in caplog.text
    assert await bus.end_group("shop", 1, "paid", "gone") == 1


async def test_strategies_that_jetstream_does_not_know_are_refused(shared, open_bus):
    with pytest.raises(NotSupported, match="'leader'"):
        await open_bus(shared.url).subscribe(to("g", "m", strategy="leader"), Inbox())


# ---- what is kept --------------------------------------------------------------------------------------------------------
async def test_what_is_handled_and_old_is_taken_out_and_nothing_else(shared, open_bus, published):
    bus, quick, slow = open_bus(shared.url, ack_wait=60.0, keep=0.1), Inbox(), Inbox(lambda _delivery: None)
    await bus.subscribe(to("quick", "m"), quick)
    await bus.subscribe(to("slow", "m", concurrency=3), slow)
    for _ in range(40):
        await published(bus)
    await published(bus, name="unheard")
    await eventually(lambda: len(quick.ids) == 40 and len(slow.ids) == 3)
    await slow.deliveries[0].settle(ACK)

    async def left():
        await bus._trimmer.trim()
        return (await stream(bus))["messages"]

    await comes_to(39, left)  # of its topic one is handled by both, and of the other nobody wants any
    for at in range(1, 40):
        await eventually(lambda at=at: len(slow.ids) > at)
        await slow.deliveries[at].settle(ACK)
    await comes_to(0, left)


async def test_a_full_stream_refuses_publishers_at_once_and_takes_events_again_when_there_is_room(
    shared, open_bus, published
):
    bus, inbox = open_bus(shared.url, max_bytes=MIB, keep=0.1, ack_wait=60.0), Inbox(lambda _delivery: None)
    await bus.subscribe(to("g", "m", concurrency=100), inbox)

    async def too_much():
        for _ in range(40):
            await published(bus, body=b"x" * 100_000)

    with pytest.raises(Overloaded, match="maximum bytes") as found:
        await too_much()
    assert found.value.executed == "not_executed"
    for delivery in inbox.deliveries:
        await delivery.settle(ACK)

    async def left():
        await bus._trimmer.trim()
        return (await stream(bus))["messages"]

    await comes_to(0, left)
    await published(bus, body=b"x" * 100_000)


async def test_a_stream_that_was_deleted_is_made_anew(shared, open_bus, published, caplog):
    bus, inbox = open_bus(shared.url), Inbox()
    await bus.subscribe(to("g", "m"), inbox)
    await published(bus)
    await eventually(lambda: len(inbox.ids) == 1)
    await bus.api.ask(f"STREAM.DELETE.{bus.names.events}")
    late = await published(bus)
    await eventually(lambda: late in inbox.ids)
    assert "is made anew" in caplog.text


async def test_an_event_that_is_published_again_under_its_id_goes_out_once(shared, open_bus, env):
    bus, inbox = open_bus(shared.url), Inbox()
    await bus.subscribe(to("g", "m"), inbox)
    once = event()
    for _ in range(3):
        await bus.publish(once, deadline=env.clock.now() + 5)
    assert (await stream(bus))["messages"] == 1


# ---- what is refused at start --------------------------------------------------------------------------------------------
async def test_a_server_without_jetstream_is_refused_at_start_with_the_remedy(open_bus, published):
    server = NatsServer().start()
    try:
        bus = open_bus(server.url)
        with pytest.raises(StartError, match="nats-server -js"):
            await _verify_jetstream(bus)
        with pytest.raises(Unavailable, match="JetStream") as found:
            await published(bus, within=0.3)
        assert found.value.executed == "not_sent"
    finally:
        await bus.aclose()
        server.close()


@pytest.mark.parametrize("version", ["2.9.25", "2.2.0", "1.4.1"])
async def test_a_server_that_is_too_old_is_refused_at_start_with_both_versions(shared, open_bus, version):
    async with says_it_is(shared, version) as url:
        bus = open_bus(url)
        with pytest.raises(StartError, match=rf"nats-server {version}, and .* needs 2\.10\.0 or later"):
            await _verify_jetstream(bus)
        await bus.aclose()


@pytest.mark.parametrize(
    ("version", "warns"),
    [("2.10.0", 1), ("2.10.24", 1), ("2.10.25", 0), ("2.12.8", 0), ("2.15.1", 0), ("3.0.0-dev", 0), ("x", 0)],
)
async def test_a_server_that_may_not_move_groups_back_is_warned_of_at_start(shared, open_bus, caplog, version, warns):
    async with says_it_is(shared, version) as url:
        bus = open_bus(url)
        await _verify_jetstream(bus)
        told = [each.getMessage() for each in caplog.records if "beyond the end of one" in each.getMessage()]
        assert len(told) == warns
        assert all(f"nats-server {version} may" in each and "2.10.25 and later" in each for each in told)
        await bus.aclose()


async def test_what_the_bus_gives_is_what_its_stream_gives(shared, open_bus):
    given = await _verify_jetstream(open_bus(shared.url, dedupe=7.0))
    assert (given.dedupe_s, given.durability) == (7.0, "process")
    assert (await _verify_jetstream(open_bus(shared.url, dedupe=9.0))).dedupe_s == 7.0  # who made it has decided


async def test_a_stream_that_throws_events_away_is_refused_at_start(shared, open_bus):
    bus = open_bus(shared.url)
    client = await nats.connect(shared.url)
    subjects = [bus.names.all_kept, bus.names.all_again, bus.names.all_later]
    await client.jetstream().add_stream(name=bus.names.events, subjects=subjects)  # discard: old
    await client.close()
    with pytest.raises(StartError, match="discard 'old', which throws events away"):
        await _verify_jetstream(bus)


@pytest.mark.parametrize(
    ("made", "wanted", "told"),
    [
        ({"storage": "memory"}, 1, "keeps events in memory: they are lost with the process of its server"),
        ({"storage": "file", "persist_mode": "async"}, 1, "confirmed before they are written"),
        ({"storage": "file"}, 3, "kept by 1 of the servers, and replicas = 3, which counts only when it is made"),
        ({"storage": "file"}, 1, ""),
    ],
)
async def test_a_stream_that_is_less_safe_than_it_may_seem_is_warned_of_at_start(
    shared, open_bus, caplog, made, wanted, told
):
    bus = open_bus(shared.url, replicas=wanted)
    client = await nats.connect(shared.url)
    for config in (bus.store._events(), bus.store._letters()):
        body = json.dumps({**config, **made, "num_replicas": 1}).encode()
        answer = await client.request(f"$JS.API.STREAM.CREATE.{config['name']}", body)
        assert "error" not in json.loads(answer.data), answer.data
    await client.close()
    await _verify_jetstream(bus)
    warned = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(warned) == 2 * bool(told), warned  # of the events and of the letters
    assert all(told in each and f"stream {bus.names.events[:-6]}" in each for each in warned)


def test_one_replica_is_warned_of_where_there_are_servers_for_more():
    (told,) = doubts("events", {"storage": "file", "num_replicas": 1}, 1, is_cluster=True)
    assert "nats stream edit events --replicas 3" in told
    assert not list(doubts("events", {"storage": "file", "num_replicas": 1}, 1, is_cluster=False))
    assert not list(doubts("events", {"storage": "file", "num_replicas": 3}, 1, is_cluster=True))


async def test_a_user_who_may_not_is_told_what_to_allow(open_bus, published):
    users = '{user: a, password: s3cret, permissions: {publish: ["_INBOX.>"], subscribe: ["_INBOX.>"]}}'
    server = NatsServer(JETSTREAM, f"authorization {{ users: [{users}] }}").start()
    try:
        bus = open_bus(server.url.replace("//", "//a:s3cret@"))
        with pytest.raises(StartError, match=r"allow this user to publish to \$JS.API.STREAM.INFO"):
            await _verify_jetstream(bus)
        with pytest.raises(PermissionDenied, match="allow this user to publish to"):
            await bus.subscribe(to("g", "m"), Inbox())
    finally:
        await bus.aclose()
        server.close()


# ---- the end of a group --------------------------------------------------------------------------------------------------
SHOP = ("shop", 1, "paid")


async def ended(bus, group, where=SHOP):
    """It is ended as soon as its last member is gone; how many events it had."""
    found = []

    async def asked():
        try:
            found.append(await bus.end_group(*where, group))
        except NotSupported:
            return False
        return True

    await comes_to(True, asked)
    return found[0]


async def test_a_group_that_was_ended_leaves_nothing_and_others_keep_theirs(server, open_bus, published):
    bus = open_bus(server.url)
    poison, stays = Inbox(lambda _delivery: Verdict(action="reject", cause="poison")), Inbox(lambda _delivery: None)
    gone = await bus.subscribe(to("g@1/x", "m"), poison)
    await bus.subscribe(to("h", "m"), stays)
    first = await published(bus)
    await comes_to([(to("g@1/x", ""), 1)], bus.letterboxes)
    with pytest.raises(NotSupported, match="stop those first"):
        await bus.end_group(*SHOP, "g@1/x")
    await gone.aclose()
    await bus.discard(first, replay=True)  # waits for the group
    await published(bus)
    assert await ended(bus, "g@1/x") == 2
    with pytest.raises(KeyError):
        await bus.end_group(*SHOP, "g@1/x")
    assert [group for group, _, _ in await bus.groups(*SHOP)] == ["h"]

    async def messages():
        return (await stream(bus))["messages"]

    await comes_to(2, messages)
    await bus.subscribe(to("g@1/x", "m"), late := Inbox())
    last = await published(bus)
    await eventually(lambda: late.ids == [last])


async def test_who_was_killed_with_events_in_hand_is_no_member_any_more(server, open_bus, published):
    dead, bus, inbox = open_bus(server.url, ack_wait=60.0), open_bus(server.url), Inbox(lambda _delivery: None)
    await dead.subscribe(to("g", "m"), inbox)
    await published(dead)
    await eventually(lambda: len(inbox.ids) == 1)
    await died(dead)
    assert await ended(bus, "g") == 1


async def test_a_bus_that_closes_takes_nothing_more_from_the_first_step_on(shared, open_bus, published):
    bus, other, inbox, others = open_bus(shared.url), open_bus(shared.url), Inbox(), Inbox()
    reader, came = (await bus.subscribe(to("g", "m"), inbox)).reader, []
    heard = bus._listening.line.client.heard
    (number,) = (each for each, take in heard.items() if take == reader._heard)
    heard[number] = came.append
    sent = await published(other)
    await eventually(lambda: came)
    closing = asyncio.ensure_future(bus.aclose())
    asyncio.get_running_loop().call_soon(
        heard, came.pop()
    )  # it was in the socket, and is read in the turn in which closing begins
    await closing
    assert not inbox.ids
    assert reader._paused
    await other.subscribe(to("g", "n"), others)
    await eventually(lambda: others.ids == [sent])


async def test_who_stands_still_and_does_not_answer_is_a_member(server, open_bus):
    bus = open_bus(server.url)
    with pytest.raises(KeyError):
        await bus.end_group(*SHOP, "g")  # there is no group, and nothing was there before: not even the streams
    await (await bus.subscribe(to("g", "m"), Inbox())).aclose()
    stopped, asked = await nats.connect(server.url), []

    async def hear(message):
        asked.append(message)

    await stopped.subscribe("vyked.*.member.shop.1.paid.g", cb=hear)
    await stopped.flush()
    with pytest.raises(NotSupported, match="stop those first"):
        await bus.end_group(*SHOP, "g")
    assert asked
    await stopped.close()
    assert await ended(bus, "g") == 0


async def there(bus):
    return [members for _, members, _ in await bus.groups(*SHOP)] == [1]


async def test_what_is_left_of_a_group_whose_consumer_somebody_removed_can_be_ended(server, open_bus, published):
    bus = open_bus(server.url)
    member = await bus.subscribe(to("g", "m"), Inbox(lambda _delivery: Verdict(action="reject", cause="poison")))
    await published(bus)
    await comes_to([(to("g", ""), 1)], bus.letterboxes)
    await member.aclose()
    await bus.api.ask(f"CONSUMER.DELETE.{bus.names.events}.{member.consumer}")
    assert await ended(bus, "g") == 1
    assert await bus.letterboxes() == []


async def test_a_member_is_known_again_after_the_server_began_anew(server, open_bus):
    bus = open_bus(server.url)
    await bus.subscribe(to("g", "m"), Inbox())
    server.kill()
    server.start()
    await comes_to(True, lambda: there(bus))
    with pytest.raises(NotSupported):
        await bus.end_group(*SHOP, "g")
