"""Clients that mean harm or are broken: their connection ends, nobody else notices, memory follows what they sent."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from pathlib import Path

import pytest

from tests.withheld import withheld
from vyked_host.contracts import LimitsTable, TimingTable
from vyked_host.errors import Unavailable
from vyked_host.wire import packets

from .hosts import ask, environment, serve, start, until
from .raw import connected, hello, packet

BOMB = b'{"versions":[1],"x":' + b"[" * 8000
HOSTILE = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
    "length bomb": b"\xff\xff\xff\xff" + packet(packets.HELLO)[4:],
    "negative length": b"\x00\x00\x00\x80" + packet(packets.HELLO)[4:],
    "length 0": packet(packets.HELLO),
    "bad utf-8": packet(packets.HELLO, b'{"versions":[1],"mesh":"\xff\xfe"}'),
    "deep nesting": packet(packets.HELLO, BOMB),
    "huge integer": packet(packets.HELLO, b'{"versions":[' + b"9" * 8000 + b"]}"),
    "floats": packet(packets.HELLO, b'{"versions":[1],"x":[' + b"1.5e300," * 1000 + b"1]}"),
    "unknown kind": packet(99),
    "request first": packet(packets.REQUEST),
}
AFTER_HELLO = {
    "unknown kind": packet(99),
    "kind 0": packet(0),
    "second hello": hello(),
    "length bomb": b"\xff\xff\xff\xff" + packet(packets.REQUEST)[4:],
    "an answer": packet(packets.RESPONSE, call=1),
    "unknown flag": packet(packets.REQUEST, flags=8),
    "meta without end": packet(packets.REQUEST, b"\xff\xff{}", flags=1),
    "meta that is no object": packet(packets.REQUEST, b"\x02\x00[]", flags=1),
    "caller that was not named": packets.HEADER.pack(0, 1, 0, 5, packets.REQUEST, 0, 1, 0, 1000),
    "items nobody asked for": packet(packets.REQUEST, call=1, endpoint=2, value=9999) + packet(packets.ITEM, call=1),
}


async def test_a_hello_with_junk_behind_it_in_one_piece_is_a_fault_of_the_peer_and_not_of_ours(site, caplog):
    async with connected(site.address) as evil:
        evil.say(hello() + b"\xff" * 40)
        await evil.closed()
    assert site.transport.counters.protocol_errors == 1
    assert "Traceback" not in caplog.text
    assert not [each for each in caplog.records if each.name == "asyncio" and each.levelname == "ERROR"]


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
async def test_wrong_first_bytes_end_the_connection_and_nothing_else(site, data):
    channel = await site.dial()
    began = time.process_time()
    async with connected(site.address) as evil:
        evil.say(data)
        heard = await evil.closed()
    assert time.process_time() - began < 0.1
    assert heard[12:13] in (b"", bytes([packets.GOAWAY]))
    assert await ask(channel, "echo", b"fine") == b"fine"
    assert channel._counters is not site.transport.counters
    assert site.transport.counters.protocol_errors == 1


@pytest.mark.parametrize("name", AFTER_HELLO)
async def test_what_breaks_the_rules_later_ends_the_connection_with_a_goaway(site, name):
    channel = await site.dial()
    async with connected(site.address, introduced=True) as evil:
        evil.say(AFTER_HELLO[name])
        heard = await evil.closed()
    assert b'"code":"protocol_error"' in heard
    assert await ask(channel, "echo", b"fine") == b"fine"


async def test_a_call_id_that_is_used_again_in_flight_breaks_the_connection_and_cancels_its_calls(site):
    channel = await site.dial()
    async with connected(site.address, introduced=True) as evil:
        evil.say(packet(packets.REQUEST, call=5, endpoint=2, value=9999) * 2)
        assert b"call id 5 is used again" in await evil.closed()
    task = await site.lab.task()
    await until(lambda: task.cancelled)
    assert len(site.lab.calls) == 1
    assert await ask(channel, "echo", b"fine") == b"fine"


async def test_a_call_id_may_be_used_again_once_it_is_answered(site):
    async with connected(site.address, introduced=True) as client:
        for _ in range(3):
            client.say(packet(packets.REQUEST, b"x", call=5, value=9999))
            assert await client.hear() == (packets.RESPONSE, 5, b"x")


async def test_call_ids_in_any_order_are_legal(site):
    async with connected(site.address, introduced=True) as client:
        for call in (9, 3, 4294967295, 1):
            client.say(packet(packets.REQUEST, b"x", call=call, value=9999))
            assert await client.hear() == (packets.RESPONSE, call, b"x")


async def test_more_items_than_were_granted_break_the_connection(site):
    async with connected(site.address, introduced=True) as evil:
        evil.say(packet(packets.REQUEST, call=1, endpoint=5, value=9999))
        evil.say(packet(packets.ITEM, b"a", call=1) * 33)
        assert b"an ITEM beyond the credit" in await evil.closed()


async def test_an_item_after_the_end_breaks_the_connection(site):
    async with connected(site.address, introduced=True) as evil:
        evil.say(packet(packets.REQUEST, call=1, endpoint=7, value=9999))
        evil.say(packet(packets.ITEM, b"a", call=1))
        assert b"where no stream comes" in await evil.closed()


async def test_what_comes_for_a_call_that_is_over_is_ignored(site):
    async with connected(site.address, introduced=True) as client:
        for kind in (packets.ITEM, packets.END, packets.CANCEL, packets.CREDIT):
            client.say(packet(kind, call=77))
        client.say(packet(packets.REQUEST, b"x", call=5, value=9999))
        assert await client.hear() == (packets.RESPONSE, 5, b"x")


async def test_pings_in_a_flood_are_cut(site):
    async with connected(site.address, introduced=True) as evil:
        evil.say(packet(packets.PING) * 10)
        assert b"pings come faster" in await evil.closed()


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def in_use() -> int:
    """Bytes; what is resident depends on all that the process did before."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def test_a_thousand_hostile_links_leave_no_memory_behind(site):
    corpus = list(HOSTILE.values())

    async def attack(rounds: int) -> None:
        for number in range(rounds):
            async with connected(site.address) as evil:
                evil.say(corpus[number % len(corpus)])
                await evil.closed()

    await attack(200)
    tracemalloc.start()
    try:
        await attack(200)  # what is made anew from time to time is traced, too
        before = in_use()
        await attack(1000)
        assert in_use() - before < 256 << 10
    finally:
        tracemalloc.stop()
    assert site.listener.connections == 0


async def test_claimed_lengths_cost_nothing_until_the_bytes_come(site):
    before = resident()
    claims = packets.HEADER.pack(1 << 20, 1, 0, 0, packets.REQUEST, 0, 1, 0, 9999) + b"x" * 100
    evils = [connected(site.address, introduced=True) for _ in range(60)]
    for evil in evils:
        (await evil.__aenter__()).say(claims)
    await until(lambda: sum(link._connection.incomplete for link in site.listener._links) == 60)
    assert resident() - before < 8 << 20  # 60 MiB were claimed
    for evil in evils:
        await evil.__aexit__(None, None, None)


async def test_a_hello_that_trickles_is_cut_in_time():
    site = await serve(environment(timing=TimingTable(hello=0.3)))
    began, more = asyncio.get_running_loop().time(), withheld()
    async with connected(site.address) as evil:
        closed = asyncio.ensure_future(evil.closed())
        for byte in hello():
            evil.say(bytes([byte]))
            done, _ = await asyncio.wait([closed], timeout=0.02)
            if done:
                break
        assert await closed == b""
    assert 0.3 <= asyncio.get_running_loop().time() - began < 0.8 + more()
    assert site.transport.counters.hello_timeouts == 1
    await site.aclose()


async def test_a_packet_that_trickles_is_cut_in_time():
    site = await serve(environment(timing=TimingTable(body=0.3, ping=0.2, pong=0.2)))
    async with connected(site.address, introduced=True) as evil:
        closed = asyncio.ensure_future(evil.closed())
        evil.say(packets.HEADER.pack(1000, 1, 0, 0, packets.REQUEST, 0, 1, 0, 9999))
        async with asyncio.timeout(3):
            while not closed.done():
                evil.say(b"x")
                await asyncio.wait([closed], timeout=0.02)
    assert site.transport.counters.cut_for_silence == 1
    await site.aclose()


async def test_slow_links_in_numbers_do_not_keep_others_out():
    site = await serve(environment(timing=TimingTable(hello=0.5)))
    evils = [connected(site.address) for _ in range(200)]
    slow = [await evil.__aenter__() for evil in evils]
    channel = await site.dial()
    began = asyncio.get_running_loop().time()
    for _ in range(100):
        assert await ask(channel, "echo", b"x") == b"x"
    assert asyncio.get_running_loop().time() - began < 1.0
    await asyncio.gather(*(each.closed() for each in slow))
    assert site.transport.counters.hello_timeouts == 200
    assert site.listener.connections == 1
    for evil in evils:
        await evil.__aexit__(None, None, None)
    await site.aclose()


async def test_the_oldest_that_never_said_hello_makes_room():
    site = await serve(environment(limits=LimitsTable(connections=10), timing=TimingTable(hello=60)))
    async with connected(site.address) as oldest:
        evils = [connected(site.address) for _ in range(9)]
        for evil in evils:
            await evil.__aenter__()
        await until(lambda: site.listener.connections == 10)
        channel = await site.dial()
        kind, _, said = await oldest.hear()
        assert (kind, b"10 connections are open ([limits] connections)" in said) == (packets.REJECT, True)
        assert await oldest.closed() == b""
        assert await ask(channel, "echo", b"x") == b"x"
        for evil in evils:
            await evil.__aexit__(None, None, None)
    await site.aclose()


async def test_as_many_as_fit_are_let_in_however_many_of_them_come_at_once():
    site = await serve(environment(limits=LimitsTable(connections=30)))
    channels = await asyncio.gather(*(site.dial() for _ in range(30)))
    assert [await ask(each, "echo", b"x") for each in channels] == [b"x"] * 30
    assert site.listener.connections == 30
    await site.aclose()


async def test_one_connection_too_many_is_told_so():
    site = await serve(environment(limits=LimitsTable(connections=2)))
    await site.dial()
    await site.dial()
    with pytest.raises(Unavailable, match=r"2 connections are open \(\[limits\] connections\)"):
        await site.dial()
    assert site.transport.counters.connections_refused == 1
    await site.aclose()


async def test_a_far_peer_has_its_own_cap(monkeypatch):
    monkeypatch.setattr("vyked_host.builtin.tcp.listener.is_near", lambda host: False)
    site = await serve(environment(limits=LimitsTable(connections_per_peer=1)))
    first = await site.dial()
    with pytest.raises(Unavailable, match=r"1 connections of 127.0.0.1 are open"):
        await site.dial()
    await first.aclose()
    await until(lambda: site.listener.connections == 0)
    assert await ask(await site.dial(), "echo", b"x") == b"x"
    await site.aclose()


async def test_a_client_that_is_killed_frees_its_handlers(site):
    channel = await site.dial()
    start(channel, "wait")
    task = await site.lab.task()
    channel._transport.abort()
    await task.changed.wait()
    assert task.cancelled
    await until(lambda: site.listener.connections == 0)
