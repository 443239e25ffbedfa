"""Events on bad days: rows E1 to E10. The ack wait is 30 s times the scale: 1.2 s."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter

import pytest

from vyked_host.contracts import Subscription
from vyked_host.testing.waiting import comes_to, eventually

from .fleet import Source
from .history import Heard as Told
from .history import (
    breaches_of_calm,
    breaches_of_delivery,
    breaches_of_flags,
    breaches_of_order,
    duplicates,
    percentile,
)
from .load import Events, comes, settles
from .mesh import SCALE, UNSCALED, at, hub_of
from .proxy import REQUEST, of

AW = 30.0 * SCALE
DURABLE = '[pubsub.embedded]\npath = "events.db"\n'


async def dead_letters(host, group="stock"):
    """Id -> (cause, deliveries) of the dead letters of a group."""
    wanted = Subscription(service="source", major=1, name="made", group=f"{group}@1", member="")
    return {event.id: (cause, count) async for event, cause, count in host.node.pubsub.dead(wanted)}


def finished(mesh, group="stock"):
    """Ids that a handler of the group has brought to its end."""
    return {each.id for each in mesh.handlings() if each.group == group and each.ended is not None}


async def all_finished(mesh, published, dead=(), within=20.0):
    """Wait until each accepted event is handled."""
    wanted = {each.id for each in published if each.acked} - set(dead)
    await comes(lambda: not wanted - finished(mesh), within, 0.1)


def heard(mesh, node):
    """What one instance heard, in order."""
    return [
        Told(node, each["source"], "made", each["sequence"]) for each in mesh.lines("heard") if each["node"] == node
    ]


async def two_publishers(mesh, count, *, pause=0.0, **how):
    """Half of the events from each of two hosts."""
    drivers = [await mesh.driver(), await mesh.driver()]
    sources = [Events(each, f"p{at}", **how) for at, each in enumerate(drivers)]
    sending = asyncio.gather(*(each.send(count // 2, pause=pause) for each in sources))
    return drivers, sources, sending


def published(sources):
    return [one for each in sources for one in each.published]


# ---- E6 ----------------------------------------------------------------------------------------------------------------
EVENTS = 6_000


async def test_E6_without_faults_each_event_is_handled_once_by_each_group_in_turn(new_mesh, timeline):
    mesh = new_mesh(UNSCALED)
    names = ["c1", "c2", "c3", "c4"]
    for each in [mesh.spawn("hub", "gauge"), *(mesh.spawn(name, "stock") for name in names)]:
        await each.ready()
    _, sources, sending = await two_publishers(mesh, EVENTS, pause=0.004)
    await sending
    await all_finished(mesh, published(sources))
    handled = mesh.handlings()
    share = Counter(each.node for each in handled)
    took = max(each.ended for each in handled) - min(each.at for each in handled)
    sent = max(each.at for each in published(sources)) - min(each.at for each in published(sources))
    timeline.note(
        "E6", events=len(handled), share=dict(share), a_second=len(handled) / took, sent_in=sent,
        refused=[dict(each.errors) for each in sources],
    )  # fmt: skip
    assert breaches_of_delivery(published(sources), handled, ["stock"], {}, {}) == []
    assert breaches_of_calm(published(sources), handled, ["stock"]) == []
    assert sum(each.acked for each in sources) == EVENTS
    assert all(0.8 * EVENTS / 4 <= share[name] <= 1.2 * EVENTS / 4 for name in names)
    for node in ("hub",):
        assert breaches_of_order(heard(mesh, node)) == []
        assert len(heard(mesh, node)) == EVENTS


# ---- E1 ----------------------------------------------------------------------------------------------------------------
async def test_E1_consumers_that_are_killed_lose_nothing_and_duplicates_say_so(mesh, timeline):
    await mesh.start("hub", "source")
    consumers = [await mesh.start(f"c{each}", "stock", options="delay=0.05") for each in range(3)]
    _, sources, sending = await two_publishers(mesh, 2000, pause=0.005)
    kills = []
    for turn in range(3):
        await eventually(lambda turn=turn: len(published(sources)) > 500 * (turn + 1), 20)
        victim = timeline.random.randrange(3)
        kills.append((consumers[victim].name, consumers[victim].kill()))
        timeline.note(f"kill -9 {consumers[victim].name}")
        consumers[victim] = await mesh.start(f"c{victim}x{turn}", "stock", options="delay=0.05")
    await sending
    await all_finished(mesh, published(sources))
    slack = mesh.slack()
    handled = mesh.handlings()
    left = [(each, killed) for name, killed in kills for each in handled if each.node == name and each.ended is None]
    late = []
    for each, killed in left:
        again = [other for other in handled if other.id == each.id and other.at > each.at]
        late.append(min((other.at for other in again), default=float("inf")) - killed)
        assert [other.count for other in again][:1] == [2]
    timeline.note(
        "E1", handled=len(handled), left_by_the_dead=len(left), again=duplicates(handled), latest=max(late, default=0.0)
    )
    assert breaches_of_delivery(published(sources), handled, ["stock"], {}, {}) == []
    assert all(each.acked for each in published(sources))
    assert left
    assert max(late) <= AW * 1.25 + slack()


def acks_in(data):
    """Ids of the events that a call of the bus's `settle` acknowledges (docs/wire-protocol.md, sections 1 and 5)."""
    has_meta, body = data[13] & 1, data[20:]
    if has_meta:
        body = body[2 + int.from_bytes(body[:2], "little") :]
    return re.findall(rb"p-\d+", body)


# ---- E2 ----------------------------------------------------------------------------------------------------------------
LOST = 8
"""No more than one consumer has at a time: all of them come again in one go, and their second acks are told in time."""


async def test_E2_each_ack_that_is_lost_costs_one_flagged_repetition_and_no_event(new_mesh, timeline):
    # 4 s to say the second time what became of all of them: who is held up for some of them still does
    mesh = new_mesh("[pubsub.embedded]\nack_wait = 100\n")
    await mesh.start("hub", "source")
    proxy = await mesh.proxy()
    await mesh.start("c1", "stock", sets=at(proxy.address))
    driver = await mesh.driver()
    source, lost, is_dropping = Events(driver, "p"), set(), [False]
    is_ack = of("vyked-bus", "settle", REQUEST)

    def drop(packet):
        if is_dropping[0] and is_ack(packet):
            lost.update(each.decode() for each in acks_in(packet.data))
            return ()
        return (packet,)

    proxy.rule = drop
    await source.send(100, pause=0.005)
    await all_finished(mesh, source.published)
    await is_settled(driver)
    assert duplicates(mesh.handlings()) == 0
    is_dropping[0] = True  # an ack is told again and again until its ack wait is over: all of that is lost
    await source.send(LOST)
    await eventually(lambda: len({each.id for each in mesh.handlings() if each.count == 2}) == LOST, 20)
    is_dropping[0] = False
    await is_settled(driver)
    handled = mesh.handlings()
    timeline.note("E2", lost_acks=len(lost), duplicates=duplicates(handled))
    assert breaches_of_delivery(source.published, handled, ["stock"], {}, {}) == []
    assert source.acked == 100 + LOST
    assert {each.id for each in handled if each.count > 1} == lost
    assert duplicates(handled) == len(lost) == LOST


async def is_settled(driver):
    """Wait until nothing can come again: the holder of the hub knows what became of each event."""

    async def left():
        return [(each.waiting, each.in_flight) for each in await driver.node.pubsub.lag(frozenset({"stock@1"}))]

    await comes_to([(0, 0)], left)


# ---- E3 ----------------------------------------------------------------------------------------------------------------
async def test_E3_a_handler_that_hangs_is_overtaken_and_its_ack_still_counts(mesh, timeline):
    await mesh.start("hub", "source")
    for each in (1, 2):
        await mesh.start(f"c{each}", "stock")
    source = Events(await mesh.driver(), "p")
    await source.send(1, trouble=f"hang {1.5 * AW}")
    await eventually(lambda: len(mesh.handlings()) == 2, 3 * AW)
    second = max(mesh.handlings(), key=lambda each: each.at)
    await eventually(lambda: all(each.ended for each in mesh.handlings()), 3 * AW)
    until = time.monotonic() + 1.5 * AW
    await eventually(lambda: time.monotonic() > until, 3 * AW)
    handled = sorted(mesh.handlings(), key=lambda each: each.at)
    timeline.note("E3", again_after=second.at - handled[0].at, runs=len(handled))
    assert [each.count for each in handled] == [1, 2]
    assert AW <= second.at - handled[0].at <= AW * 1.25 + mesh.slack()()
    assert second.at < handled[0].ended  # they overlapped


async def test_E3_in_progress_keeps_the_event(mesh, timeline):
    await mesh.start("hub", "source")
    for each in (1, 2):
        await mesh.start(f"c{each}", "stock")
    source = Events(await mesh.driver(), "p")
    await source.send(1, trouble=f"progress {2.5 * AW}")
    await eventually(lambda: finished(mesh), 5 * AW)
    until = time.monotonic() + 1.25 * AW
    await eventually(lambda: time.monotonic() > until, 3 * AW)
    timeline.note("E3", runs=len(mesh.handlings()))
    assert [each.count for each in mesh.handlings()] == [1]


async def test_E3_in_progress_keeps_the_event_through_a_pause_of_all_that_outlasts_the_ack_wait(mesh, timeline):
    """A machine without its processors: the holder goes on first, and hears of the handler a little later."""
    hub = await mesh.start("hub", "source")
    consumers = [await mesh.start(f"c{each}", "stock") for each in (1, 2)]
    source = Events(await mesh.driver(), "p")
    await source.send(1, trouble=f"progress {2.5 * AW}")
    await eventually(mesh.handlings)
    for each in (hub, *consumers):
        each.freeze()
    time.sleep(1.5 * AW)  # noqa: ASYNC251 - nothing runs
    for each in (hub, *consumers):
        each.thaw()
    await eventually(lambda: finished(mesh), 5 * AW)
    assert [each.count for each in mesh.handlings()] == [1]


# ---- E4 ----------------------------------------------------------------------------------------------------------------
async def test_E4_poison_is_run_five_times_then_a_dead_letter_and_holds_up_nobody(mesh, timeline):
    await mesh.start("hub", "source")
    await mesh.start("c1", "stock")
    driver = await mesh.driver()
    calm, poison = Events(driver, "calm", window=8), Events(driver, "poison")

    async def latencies(events, count):
        await events.send(count, pause=0.005)
        await all_finished(mesh, events.published)
        began = {each.id: each.at for each in mesh.handlings() if each.count == 1}
        return [began[each.id] - each.at for each in events.published if each.id in began]

    before = percentile(await latencies(calm, 200), 0.99)
    slack = mesh.slack()
    await poison.send(5, trouble="poison")
    beside = Events(driver, "beside", window=8)
    during = percentile(await latencies(beside, 600), 0.99)
    await eventually(lambda: len([each for each in mesh.handlings() if each.id.startswith("poison")]) >= 25, 20)
    dead = {}

    async def all_dead():
        dead.update(await dead_letters(driver))
        return len(dead) == 5

    await comes(all_dead, 10)
    runs = Counter(each.id for each in mesh.handlings() if each.id.startswith("poison"))
    timeline.note("E4", runs=dict(runs), dead=dead, p99_before=before, p99_beside=during)
    everything = [*calm.published, *poison.published, *beside.published]
    assert breaches_of_delivery(everything, mesh.handlings(), ["stock"], {"stock": dead}, {}) == []
    assert set(dead) == {each.id for each in poison.published}
    assert set(runs.values()) == {5}
    assert all(count == 5 and "this event can't be handled" in cause for cause, count in dead.values())
    assert during <= 1.5 * before + slack()


# ---- E5 ----------------------------------------------------------------------------------------------------------------
async def test_E5_events_of_a_group_that_is_away_are_kept_for_it(mesh, timeline):
    await mesh.start("hub", "source")
    first = await mesh.start("c1", "stock")
    source = Events(await mesh.driver(), "p")
    await source.send(1)
    await all_finished(mesh, source.published)
    first.kill()
    await first.ended()
    await source.send(300)
    timeline.note("E5", accepted=source.acked, handled=len(finished(mesh)))
    assert source.acked == 301
    assert len(finished(mesh)) == 1
    await mesh.start("c2", "stock")
    await all_finished(mesh, source.published)
    assert breaches_of_delivery(source.published, mesh.handlings(), ["stock"], {}, {}) == []


# ---- E7 ----------------------------------------------------------------------------------------------------------------
async def test_E7_a_slow_subscriber_loses_its_oldest_is_told_how_many_and_holds_up_nobody(new_mesh, timeline):
    mesh = new_mesh(UNSCALED + "[pubsub.embedded]\nqueue = 20\n")
    await mesh.start("hub", "source")
    slow, quick = (
        await mesh.start("slow", "gauge"),
        await mesh.start("quick", "gauge", sets=["pubsub.embedded.queue=4096"]),
    )
    source = Events(await mesh.driver(), "p", window=256)
    await source.send(1)
    await eventually(lambda: heard(mesh, "slow") and heard(mesh, "quick"))
    slow.freeze()
    timeline.note("SIGSTOP of one subscriber")
    await source.send(3000)
    sent = source._sequence
    await eventually(lambda: len(heard(mesh, "quick")) == sent, 20)
    slow.thaw()

    def told():
        return sum(int(found) for line in slow.lines for found in re.findall(r"missed (\d+) events", line))

    await source.send(5)
    await settles(lambda: (len(heard(mesh, "slow")), told()), calm=1.0)
    timeline.note("E7", published=source._sequence, heard=len(heard(mesh, "slow")), told_missing=told())
    assert breaches_of_order(heard(mesh, "quick")) == []
    assert [each.sequence for each in heard(mesh, "slow")] == sorted(each.sequence for each in heard(mesh, "slow"))
    assert told() > 0
    assert len(heard(mesh, "slow")) + told() == source._sequence
    assert heard(mesh, "slow")[-1].sequence == source._sequence
    assert source.acked == source._sequence
    assert not quick.has_said("missed")


# ---- E8 ----------------------------------------------------------------------------------------------------------------
MIB = 1 << 20


def rss(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


async def test_E8_a_full_bus_blocks_publishers_until_their_deadline_and_then_says_so(new_mesh, timeline):
    mesh = new_mesh(UNSCALED)
    hub = await mesh.start("hub", "source", sets=[f"pubsub.embedded.memory={16 * MIB}"])
    consumer = await mesh.start("c1", "stock")
    driver = await mesh.driver()
    source = Events(driver, "p", window=4, timeout=0.5)
    await source.send(1)
    await all_finished(mesh, source.published)
    consumer.kill()
    base = rss(hub.pid)
    began = time.monotonic()
    await source.send(100, ballast="x" * (256 << 10))
    grew, took = rss(hub.pid) - base, time.monotonic() - began
    await mesh.start("c2", "stock")
    await all_finished(mesh, source.published, within=10)
    again = Events(driver, "again", timeout=5)
    await again.send(20, ballast="x" * (256 << 10))
    await all_finished(mesh, again.published)
    timeline.note("E8", accepted=source.acked, refused=dict(source.errors), grew=grew / MIB, took=took)
    everything = [*source.published, *again.published]
    assert breaches_of_delivery(everything, mesh.handlings(), ["stock"], {}, {}) == []
    assert 40 <= source.acked <= 65
    assert all("RESOURCE_EXHAUSTED" in each for each in source.errors)
    assert again.acked == 20
    assert grew <= 1.25 * 16 * MIB


# ---- E9 ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("holds", [True, False], ids=["the holder", "a guest"])
async def test_E9_what_is_published_in_a_shutdown_is_accepted_or_reported(mesh, timeline, holds):
    first, second = await mesh.start("n1", "source", "stock"), await mesh.start("n2", "source", "stock")
    leaver = first if holds else second
    driver = await mesh.driver()

    await eventually(lambda: len(driver.node.directory.nodes) >= 3)
    burst = asyncio.ensure_future(driver.client(Source).burst.using(instance=leaver.node_id, timeout=20)("b", 2000))
    await eventually(lambda: len(mesh.lines("accepted")) > 20, 20)
    leaver.terminate()
    code = await leaver.ended()
    accepted, failed = mesh.lines("accepted"), mesh.lines("failed")
    ids = {each["id"] for each in accepted}
    await comes(lambda: not ids - finished(mesh), 15)
    timeline.note("E9", code=code, accepted=len(accepted), failed=len(failed), lost=len(ids - finished(mesh)))
    await asyncio.gather(burst, return_exceptions=True)
    assert code == 0
    assert len(accepted) + len(failed) == 2000
    assert ids - finished(mesh) == set()
    assert breaches_of_flags(mesh.handlings()) == []


# ---- E10 ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", [DURABLE, ""], ids=["path", "memory"])
async def test_E10_events_outlive_kill_9_of_a_lone_holder_only_where_it_has_a_path(new_mesh, timeline, text):
    mesh = new_mesh(text)
    alone = await mesh.start("n1", "source", "stock", options="delay=3600")
    driver = await mesh.driver()
    source = Events(driver, "p", timeout=2)
    await source.send(50)
    assert source.acked == 50
    alone.kill()
    await alone.ended()
    await mesh.start("n2", "source", "stock")
    if text:
        await all_finished(mesh, source.published)
        handled = mesh.handlings()
        timeline.note("E10", handled=len(finished(mesh)), again=duplicates(handled))
        assert breaches_of_delivery(source.published, handled, ["stock"], {}, {}) == []
        return
    until = time.monotonic() + 2 * AW
    await eventually(lambda: time.monotonic() > until, 5 * AW)
    timeline.note("E10", handled=len(finished(mesh)))
    assert finished(mesh) == set()  # which docs/semantics.md says: what waits in memory ends with the process
    assert driver.node.publisher.guarantees.durability == "memory"


# ---- the holder, under load ----------------------------------------------------------------------------------------------
async def test_E1_kill_9_of_the_holder_under_load_loses_nothing_with_a_path(new_mesh, timeline):
    mesh = new_mesh(DURABLE)
    nodes = [await mesh.start(f"n{each}", "source", "stock", "mail", options="delay=0.1") for each in range(3)]
    drivers, sources, sending = await two_publishers(mesh, 1600, pause=0.005, timeout=10)

    for turn in range(2):
        await eventually(lambda turn=turn: len(published(sources)) > 500 * (turn + 1), 30)
        holder = next(each for each in nodes if each.node_id == hub_of(drivers[0]).holder)
        holder.kill()
        timeline.note(f"kill -9 of {holder.name}, the holder")
        nodes.remove(holder)
        nodes.append(await mesh.start(f"n{turn}x", "source", "stock", "mail", options="delay=0.1"))
        await eventually(lambda: hub_of(drivers[0]).holder is not None)
    await sending
    await all_finished(mesh, published(sources), within=20)
    wanted = {each.id for each in published(sources) if each.acked}
    await comes(lambda: not wanted - finished(mesh, "mail"), 15)
    handled = mesh.handlings()
    timeline.note(
        "holder", accepted=len(wanted), refused=[dict(each.errors) for each in sources], again=duplicates(handled)
    )
    assert breaches_of_delivery(published(sources), handled, ["stock", "mail"], {}, {}) == []
    assert len(wanted) > 1000


async def test_E9_a_graceful_stop_of_the_holder_loses_nothing_at_all(mesh, timeline):
    """In memory: what waits is handed over, and there is always something: handlers are slower than the publishers."""
    nodes = [await mesh.start(f"n{each}", "source", "stock", options="delay=0.2") for each in range(3)]
    drivers, sources, sending = await two_publishers(mesh, 1200, pause=0.003, timeout=10)

    for turn in range(2):
        await eventually(lambda turn=turn: len(published(sources)) > 400 * (turn + 1), 30)
        holder = next(each for each in nodes if each.node_id == hub_of(drivers[0]).holder)
        holder.terminate()
        timeline.note(f"SIGTERM of {holder.name}, the holder")
        assert await holder.ended() == 0
        nodes.remove(holder)
        nodes.append(await mesh.start(f"n{turn}x", "source", "stock", options="delay=0.2"))
    await sending
    await all_finished(mesh, published(sources))
    handled = mesh.handlings()
    timeline.note("graceful", accepted=sum(each.acked for each in sources), again=duplicates(handled))
    assert breaches_of_delivery(published(sources), handled, ["stock"], {}, {}) == []
    assert all(each.acked for each in published(sources)), [dict(each.errors) for each in sources]
