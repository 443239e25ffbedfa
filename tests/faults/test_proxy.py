"""The fault proxy does to a connection what it says."""

from __future__ import annotations

import asyncio
import time

import pytest

from vyked_host import Service, api
from vyked_host.assembly import Host
from vyked_host.errors import DeadlineExceeded, Unavailable
from vyked_host.testing.waiting import eventually

from .proxy import REQUEST, RESPONSE, Disorder, Proxy, of


class Echo(Service, name="echo", version="1.0.0"):
    @api
    async def say(self, text: str) -> str:
        return text


def timing(scale=0.04):
    return f"[timing]\nscale = {scale}\nhello = 125\nstart = 500\nstop = 250\ndial = 25\n"


@pytest.fixture
async def served():
    text = f"[transports.tcp]\nport = 0\n{timing()}"
    async with Host(Echo, text=text) as host:
        yield host.addresses[0].uri.removeprefix("tcp://")


@pytest.fixture
async def proxy(served):
    async with Proxy(served, seed=1) as proxy:
        yield proxy


@pytest.fixture
async def echo(proxy, served):
    text = f'{timing()}[registry]\nuse = "static"\n[registry.static]\nnodes = ["tcp://{proxy.address}"]\n'
    async with Host(text=text) as host:
        yield host.client(Echo)


async def took(call):
    began = time.monotonic()
    await call
    return time.monotonic() - began


async def test_it_passes_everything_on(echo):
    assert await echo.say("x" * 100_000) == "x" * 100_000


async def test_latency_counts_each_way_and_keeps_the_order(proxy, echo):
    await echo.say("")
    proxy.slow(latency=0.05, jitter=0.04)
    assert 0.02 <= await took(echo.say("")) < 0.5
    assert await asyncio.gather(*(echo.say(str(each)) for each in range(50))) == [str(each) for each in range(50)]


async def test_bandwidth_is_bytes_a_second(proxy, echo):
    await echo.say("")
    proxy.slow(bandwidth=400_000)
    assert await took(echo.say("x" * 40_000)) >= 0.1


async def test_pieces_make_no_difference(proxy, echo):
    proxy.slice(7)
    assert await echo.say("x" * 3000) == "x" * 3000


async def test_a_partition_hides_bytes_until_it_heals(proxy, echo):
    await echo.say("")
    proxy.cut()
    with pytest.raises(DeadlineExceeded):
        await echo.say.using(timeout=0.1)("lost")
    proxy.heal()
    assert await echo.say("again") == "again"


async def test_a_partition_hides_the_end_of_a_connection(proxy, echo):
    await echo.say("")
    proxy.cut()
    with pytest.raises(Unavailable):
        await echo.say.using(timeout=5.0)("cut by a ping that nobody answered")
    assert proxy.to_host.is_cut
    hidden = set(proxy._writers)  # the client may be here again before all of these are closed
    proxy.heal()
    await eventually(lambda: not hidden & proxy._writers)


async def test_a_reset_is_seen_at_once(proxy, echo):
    await echo.say("")
    proxy.to_client.cut()
    calling = asyncio.ensure_future(echo.say("x"))
    await eventually(lambda: proxy.to_host.passed > 0)
    proxy.to_client.heal()
    proxy.reset()
    with pytest.raises(Unavailable):
        await calling


async def test_rules_know_the_call_of_each_packet(proxy, echo):
    await echo.say("")
    seen = []
    proxy.rule = lambda packet: (seen.append((packet.service, packet.method, packet.kind)), [packet])[1]
    await echo.say("x")
    assert [each for each in seen if each[0]] == [("echo", "say", REQUEST), ("echo", "say", RESPONSE)]


async def test_disorder_drops_repeats_and_holds_back_what_it_is_told_to(proxy, echo):
    await echo.say("")
    proxy.rule = disorder = Disorder(of("echo", "say", RESPONSE), 3, drop=0.2, repeat=0.2, hold=0.2)
    calls = [echo.say.using(timeout=0.3)(str(each)) for each in range(60)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    wrong = [each for at, each in enumerate(answers) if not isinstance(each, DeadlineExceeded) and each != str(at)]
    assert wrong == []
    assert disorder.dropped
    assert disorder.repeated
    assert disorder.held
    assert sum(isinstance(each, DeadlineExceeded) for each in answers) >= disorder.dropped
    disorder.calm = True
    assert await echo.say("calm") == "calm"
