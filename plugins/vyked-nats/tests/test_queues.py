"""Jobs on JetStream on bad days: nobody takes them yet, they are for later, the server is killed meanwhile, the group was removed."""

import asyncio

import pytest
from vyked_nats.jetstream.bus import JetStreamBus
from vyked_nats.options import JetStreamOptions

from vyked_host import Unavailable
from vyked_host.testing import eventually
from vyked_host.testing.conformance.events import Inbox, event
from vyked_host.testing.conformance.queues import JOB, taker
from vyked_host.testing.waiting import comes_to


@pytest.fixture
async def open_bus(env):
    made = []

    def open_bus(url, **options):
        made.append(JetStreamBus(JetStreamOptions(url=url, **{"ack_wait": 0.4, "max_bytes": 64 << 20, **options}), env))
        return made[-1]

    yield open_bus
    for bus in made:
        await bus.aclose()


@pytest.fixture
def enqueued(env):
    async def enqueued(bus, delay=None, **more):
        due = None if delay is None else env.clock.unix() + delay
        job = event(JOB, not_before_unix_s=due, **more)
        await bus.publish(job, deadline=env.clock.now() + 5)
        return job.id

    return enqueued


async def messages(bus, subject=">"):
    told = await bus.api.ask(f"STREAM.INFO.{bus.names.events}", {"subjects_filter": subject})
    return sum((told["state"].get("subjects") or {}).values())


async def none_for_later(bus):
    while await messages(bus, bus.names.all_later):  # noqa: ASYNC110 - nobody tells us
        await asyncio.sleep(0.01)


async def test_jobs_that_nobody_takes_are_not_taken_out_also_when_their_group_was_removed(shared, open_bus, enqueued):
    bus = open_bus(shared.url, keep=0.02)
    sent = [await enqueued(bus), await enqueued(bus, delay=0.1)]
    for consumer in ("shop@1+work-pack+shop@1", "later+shop@1+work-pack"):
        await bus.api.ask(f"CONSUMER.DELETE.{bus.names.events}.{consumer}")
    for _ in range(3):
        await bus._trimmer.trim()
        await asyncio.sleep(0.05)  # longer than `keep`
    inbox = Inbox()
    await bus.subscribe(taker("m"), inbox)
    await eventually(lambda: inbox.ids == sent)
    assert [each.count for each in inbox.deliveries] == [1, 1]


async def test_what_is_done_is_taken_out(shared, open_bus, enqueued):
    bus, inbox = open_bus(shared.url, keep=0.02), Inbox()
    await bus.subscribe(taker("m"), inbox)
    await enqueued(bus), await enqueued(bus, delay=0.05)
    await eventually(lambda: len(inbox.ids) == 2)

    async def is_empty():
        while await messages(bus):
            await bus._trimmer.trim()
            await asyncio.sleep(0.01)

    await asyncio.wait_for(is_empty(), 5)


async def test_a_job_for_later_outlives_kill_9_of_the_server_and_comes_once_when_it_is_due(
    server, open_bus, enqueued, env
):
    bus, inbox = open_bus(server.url), Inbox()
    due = env.clock.unix() + 0.8
    await bus.subscribe(taker("m"), inbox)
    job = await enqueued(bus, delay=0.8)
    server.kill()
    await eventually(lambda: bus._listening.line is None and bus._publishing.line is None)
    server.start()
    await eventually(lambda: inbox.ids)
    assert env.clock.unix() >= due
    last = await enqueued(bus)
    await eventually(lambda: last in inbox.ids)
    assert inbox.ids == [job, last]


async def test_what_waits_for_later_counts_as_waiting_and_several_hosts_give_it_once(shared, open_bus, enqueued):
    buses, inboxes = [open_bus(shared.url), open_bus(shared.url)], [Inbox(), Inbox()]
    sent = [await enqueued(buses[0], delay=0.3) for _ in range(20)]

    async def told():
        return [(each.topic, each.group, each.members, each.waiting) for each in await buses[0].lag()]

    await comes_to([("shop.work-pack@1", "shop@1", 0, 20)], told)
    for bus, inbox in zip(buses, inboxes, strict=True):
        await bus.subscribe(taker("m"), inbox)
    await eventually(lambda: sum(len(each.ids) for each in inboxes) >= 20)
    taken = inboxes[0].ids + inboxes[1].ids
    assert sorted(taken) == sorted(sent)
    await asyncio.wait_for(none_for_later(buses[0]), 5)


async def test_a_first_job_while_the_server_is_away_is_told_at_its_deadline_that_it_was_not_sent(
    server, open_bus, enqueued, env
):
    bus = open_bus(server.url)
    await bus.publish(event(), deadline=env.clock.now() + 5)
    server.kill()
    await eventually(lambda: bus._listening.line is None)
    with pytest.raises(Unavailable) as found:
        await bus.publish(event(JOB), deadline=env.clock.now() + 0.2)
    assert found.value.executed == "not_sent"
    server.start()
    job, inbox = await enqueued(bus), Inbox()
    await bus.subscribe(taker("m"), inbox)
    await eventually(lambda: inbox.ids == [job])


async def test_a_queue_whose_group_was_ended_has_no_jobs_and_takes_new_ones(shared, open_bus, enqueued):
    bus, other, inbox = open_bus(shared.url), open_bus(shared.url), Inbox()
    await enqueued(other)
    await enqueued(bus), await enqueued(bus, delay=60)
    assert await bus.end_group("shop", 1, JOB, "shop@1") == 3
    assert await messages(bus) == 0
    late = [await enqueued(other), await enqueued(bus)]  # the other bus has not heard of the end
    await bus.subscribe(taker("m"), inbox)
    await eventually(lambda: sorted(inbox.ids) == sorted(late))
