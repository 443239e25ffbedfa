"""What shares a write: whoever is alone waits for nobody, and whoever has company goes with it."""

from __future__ import annotations

import asyncio

from vyked_host.wire import packets

from .hosts import ask, start, until
from .raw import connected, packet


class Writes:
    """The transport of a link, with the size of each write."""

    def __init__(self, link):
        self.sizes = []
        self._transport = link._transport
        link._transport = self

    def __getattr__(self, name):
        return getattr(self._transport, name)

    def write(self, data):
        self.sizes.append(len(data))
        self._transport.write(data)


async def test_the_only_call_is_written_before_its_turn_ends(site):
    channel = await site.dial()
    writes = Writes(channel)
    start(channel, "wait")
    assert len(writes.sizes) == 1
    await asyncio.sleep(0)
    assert len(writes.sizes) == 1


async def test_calls_beside_one_that_waits_are_written_together(site):
    channel = await site.dial()
    writes = Writes(channel)
    answers = [start(channel, "echo", b"x")[1] for _ in range(6)]
    assert len(writes.sizes) == 1
    await asyncio.sleep(0)
    assert len(writes.sizes) == 2
    assert writes.sizes[1] == 5 * writes.sizes[0]
    assert [await each.future for each in answers] == [b"x"] * 6


async def test_callers_that_are_answered_together_go_on_together(site):
    channel = await site.dial()
    writes = Writes(channel)
    for _ in range(4):
        answers = [start(channel, "echo", b"x")[1] for _ in range(6)]
        assert [await each.future for each in answers] == [b"x"] * 6
    assert len(writes.sizes) == 2 + 3  # those who came first can't know of the others


async def test_who_is_alone_again_waits_for_the_end_of_a_turn_once(site):
    channel = await site.dial()
    await asyncio.gather(*(ask(channel, "echo", b"x") for _ in range(6)))
    assert await ask(channel, "echo", b"x") == b"x"
    writes = Writes(channel)
    start(channel, "wait")
    assert len(writes.sizes) == 1


async def test_the_last_answer_takes_along_those_that_were_collected(site):
    channel = await site.dial()
    answers = [start(channel, "wait")[1] for _ in range(3)]
    await until(lambda: len(site.lab.running) == 3)
    [link] = site.listener._links
    writes = Writes(link)
    for task in site.lab.running:
        task.sink.respond(task.call, b"done")
    assert len(writes.sizes) == 1
    assert [await each.future for each in answers] == [b"done"] * 3
    assert len(writes.sizes) == 1


async def test_calls_of_one_chunk_that_are_answered_at_once_share_a_write(site):
    async with connected(site.address, introduced=True) as client:
        [link] = site.listener._links
        writes = Writes(link)
        client.say(b"".join(packet(packets.REQUEST, b"x", call=number, value=60000) for number in range(1, 11)))
        await until(lambda: len(site.lab.calls) == 10)
        await until(lambda: bool(writes.sizes))
        assert len(writes.sizes) == 1


async def test_an_only_call_that_is_cancelled_in_its_turn_leaves_nothing(site):
    channel = await site.dial()
    running, answer = start(channel, "wait")
    channel.give_up(running.call.id)
    task = await site.lab.task()
    await until(lambda: task.cancelled)
    assert not channel.waiting
    assert not answer.future.done()
    assert await ask(channel, "echo", b"y") == b"y"
