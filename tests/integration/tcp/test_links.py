"""Bad links: cut in the middle, sliced, repeated, reordered, silent."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.withheld import withheld
from vyked_host import testing
from vyked_host.contracts import Address, Fault, TimingTable

from .hosts import ask, environment, serve, start, until
from .proxy import Packets, Proxy


async def through(address, site, **timing):
    transport = site.dialler(environment(node="b2", timing=TimingTable(**timing)))
    return await transport.dial(address, deadline=asyncio.get_running_loop().time() + 5)


def slices(seed):
    chance = random.Random(seed)

    def bend(data):
        while data:
            size = chance.randint(1, 7)
            yield data[:size]
            data = data[size:]

    return bend


async def test_a_reset_in_the_middle_of_a_packet_fails_the_calls_of_that_link_only(site):
    other = await site.dial()
    async with Proxy(site.address) as proxy:
        channel = await through(proxy.address, site)
        waiting = [start(channel, "wait")[1] for _ in range(5)]
        await until(lambda: len(site.lab.running) == 5)
        proxy.reset_after = 40
        cut = start(channel, "echo", b"x" * 1000)[1]
        outcomes = [await answer.future for answer in (*waiting, cut)]
        assert {(each.code, each.executed) for each in outcomes} == {("UNAVAILABLE", "unknown")}
        await until(lambda: all(task.cancelled for task in site.lab.running))
    assert len(site.lab.calls) == 5
    assert await ask(other, "echo", b"fine") == b"fine"


@pytest.mark.parametrize("seed", range(3))
async def test_bytes_in_slices_of_one_to_seven_give_the_same_results(site, seed):
    async with Proxy(site.address, slices(seed), slices(-seed)) as proxy:
        channel = await through(proxy.address, site)
        bodies = [bytes([number]) * number for number in range(40)]
        assert await asyncio.gather(*(ask(channel, "echo", body) for body in bodies)) == bodies
        _, stream = start(channel, "count", b"30")
        assert await stream.future is None
        assert len(stream.items) == 30
        assert isinstance(await ask(channel, "fail"), Fault)
        await channel.aclose()


async def test_answers_that_come_twice_are_counted_and_never_taken_for_others(site):
    twice = Packets(lambda batch: [each for each in batch for _ in range(2 if each[12] == 4 else 1)])
    async with Proxy(site.address, to_client=twice) as proxy:
        channel = await through(proxy.address, site)
        for number in range(50):
            assert await ask(channel, "echo", str(number).encode()) == str(number).encode()
        await until(lambda: channel._counters.late_answers == 50)
        await channel.aclose()


async def test_packets_out_of_order_are_legal(site):
    def reversed_requests(batch):
        return batch[::-1] if all(each[12] == 3 for each in batch) else batch

    async with Proxy(site.address, Packets(reversed_requests), Packets(lambda batch: batch[::-1])) as proxy:
        channel = await through(proxy.address, site)
        bodies = [str(number).encode() for number in range(200)]
        assert await asyncio.gather(*(ask(channel, "echo", body) for body in bodies)) == bodies
        ids = [each.id for each in site.lab.calls]
        assert ids != sorted(ids)
        await channel.aclose()


async def test_a_silent_link_is_noticed_at_both_ends():
    site = await serve(environment(timing=TimingTable(ping=0.2, pong=0.2)))
    async with testing.Proxy("{}:{}".format(*site.address)) as proxy:
        channel = await through(Address(transport="tcp", uri=f"tcp://{proxy.address}"), site, ping=0.2, pong=0.2)
        _, answer = start(channel, "wait")
        task = await site.lab.task()
        proxy.cut()  # that one end hangs up is not seen by the other either
        began, more = asyncio.get_running_loop().time(), withheld()
        assert (await answer.future).executed == "unknown"
        await task.changed.wait()
        assert asyncio.get_running_loop().time() - began < 0.4 + 0.25 + more()
        assert task.cancelled
        assert (channel._counters.cut_for_silence, site.transport.counters.cut_for_silence) == (1, 1)
    await site.aclose()


async def test_a_quiet_link_that_answers_pings_stays_open():
    site = await serve(environment(timing=TimingTable(ping=0.1, pong=0.1)))
    channel = await site.dial(environment(node="b2", timing=TimingTable(ping=0.1, pong=0.1)))
    done, _ = await asyncio.wait([channel.retired], timeout=0.8)
    assert not done
    assert await ask(channel, "echo", b"x") == b"x"
    await site.aclose()
