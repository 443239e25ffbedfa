"""Peers that do not read: they are asked for no more, and cut when they never catch up; the others do not notice."""

from __future__ import annotations

import asyncio

from vyked_host.builtin.tcp.output import BATCH
from vyked_host.builtin.tcp.sockets import HIGH_WATER
from vyked_host.contracts import LimitsTable, TimingTable
from vyked_host.wire import packets

from .hosts import ask, environment, serve, start, until
from .raw import connected, packet

BIG = b"x" * (200 << 10)


async def test_a_client_that_never_reads_is_cut_after_the_write_time():
    site = await serve(environment(limits=LimitsTable(write_buffer="none"), timing=TimingTable(write=0.4)))
    channel = await site.dial()
    async with connected(site.address, introduced=True) as evil:
        evil.reader._transport.pause_reading()
        for number in range(1, 60):
            evil.say(packet(packets.REQUEST, BIG, call=number, value=9999))
        assert await ask(channel, "echo", b"x") == b"x"
        await until(lambda: site.transport.counters.cut_for_slowness == 1)
    assert len([each for each in site.lab.calls if each.body == BIG]) < 59  # the host stopped reading meanwhile
    await site.aclose()


async def test_a_client_whose_answers_pile_up_is_cut_at_the_write_buffer():
    site = await serve(environment(limits=LimitsTable(write_buffer=1 << 20)))
    async with connected(site.address, introduced=True) as evil:
        evil.reader._transport.pause_reading()
        for number in range(1, 101):
            evil.say(packet(packets.REQUEST, call=number, endpoint=2, value=60000))
        await until(lambda: len(site.lab.running) == 100)
        for task in site.lab.running:
            task.sink.respond(task.call, BIG)
        await until(lambda: site.transport.counters.cut_for_slowness == 1)
        assert site.listener.connections == 0 or await gone(site)
    await site.aclose()


async def gone(site):
    await until(lambda: site.listener.connections == 0)
    return True


async def test_a_stream_waits_while_its_reader_does_not_read(site):
    async with connected(site.address, introduced=True) as slow:
        transport = slow.reader._transport
        transport.pause_reading()
        slow.say(packet(packets.REQUEST, call=1, endpoint=7, value=60000))
        task = await site.lab.task()
        slow.say(packet(packets.CREDIT, call=1, value=1000))
        [link] = site.listener._links
        await until(lambda: link._streams[1].credit > 1000)
        sent = 0

        async def send() -> None:
            nonlocal sent
            while sent < 100:
                sent += 1
                if not task.sink.item(task.call, BIG):
                    task.changed.clear()
                    await task.changed.wait()

        sending = asyncio.ensure_future(send())
        await until(lambda: link._full)
        assert 0 < sent < 100
        assert link.waiting_bytes < 2 * len(BIG) + HIGH_WATER
        transport.resume_reading()
        async with asyncio.timeout(5):
            while not sending.done():
                await asyncio.wait(
                    [sending, asyncio.ensure_future(slow.reader.read(1 << 20))], return_when="FIRST_COMPLETED"
                )
        assert sent == 100


async def test_a_host_that_never_reads_gets_no_more_than_the_write_buffer(site):
    channel = await site.dial(environment(node="b2", limits=LimitsTable(write_buffer=1 << 20)))
    for link in site.listener._links:
        link._transport.pause_reading()
    outcomes = []
    for _ in range(200):
        _, answer = start(channel, "echo", BIG)
        await asyncio.sleep(0)
        if answer.future.done():
            outcomes.append(answer.future.result())
            break
    [refused] = outcomes
    assert (refused.code, refused.executed) == ("RESOURCE_EXHAUSTED", "not_sent")
    assert channel._transport.get_write_buffer_size() <= 1 << 20
    for link in site.listener._links:
        link._transport.resume_reading()
    await until(lambda: not channel.waiting)
    assert await ask(channel, "echo", b"x") == b"x"


async def test_output_of_a_turn_is_written_in_batches(site):
    channel = await site.dial()
    written = []
    write = channel._transport.write

    class Recorder:
        def __getattr__(self, name):
            return getattr(transport, name)

        def write(self, data):
            written.append(len(data))
            write(data)

    transport = channel._transport
    channel._transport = Recorder()
    answers = [start(channel, "echo", b"1234")[1] for _ in range(1 + BATCH * 2 + 5)]
    assert written == [24, 24 * BATCH, 24 * BATCH]  # the first had no company
    await asyncio.gather(*(answer.future for answer in answers))
    assert written == [24, 24 * BATCH, 24 * BATCH, 24 * 5]
    large = [start(channel, "echo", b"x" * (10 << 10))[1] for _ in range(7 + 1)]  # these have had company
    assert written[4:] == [7 * (20 + (10 << 10))]
    await asyncio.gather(*(answer.future for answer in large))
    assert written[5:] == [20 + (10 << 10)]
    channel._transport = transport
