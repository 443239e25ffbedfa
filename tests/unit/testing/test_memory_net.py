"""The network without sockets does what it says: the TCP transport passes the kit over it, and its faults take virtual time."""

import asyncio

import pytest
import pytest_asyncio

from vyked_host.builtin.tcp.options import Options
from vyked_host.builtin.tcp.provider import vyked_transports
from vyked_host.errors import StartError
from vyked_host.testing import MemoryNet, TransportConformance, environment, leaks
from vyked_host.testing.virtual_time import virtual_time

ADDRESS = "tcp://10.0.0.1:4000"


class TestTcpWithoutSockets(TransportConformance):
    @pytest.fixture
    def provider(self):
        (found,) = vyked_transports()
        return found

    @pytest.fixture
    def options(self):
        return Options(port=0)

    @pytest_asyncio.fixture
    async def env(self):
        async with leaks(), environment(net=MemoryNet()) as env:
            yield env


class End(asyncio.Protocol):
    def __init__(self):
        self.came, self.lost, self.loop = [], None, asyncio.get_running_loop()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.came.append((round(self.loop.time() - self.began, 6), data))

    def connection_lost(self, error):
        self.lost = error or "closed"


async def joined(net):
    here, there = End(), End()
    server = await net.listen(ADDRESS, lambda: there, None)
    await net.connect(ADDRESS, lambda: here, None)
    here.began = there.began = here.loop.time()
    return here, there, server


async def test_bytes_arrive_in_order_after_the_latency():
    with virtual_time():
        here, there, _ = await joined(MemoryNet(latency=0.25))
        here.transport.write(b"one")
        await asyncio.sleep(0.1)
        here.transport.write(b"two")
        await asyncio.sleep(1)
        assert there.came == [(0.25, b"one"), (0.35, b"two")]


async def test_a_partition_holds_back_until_it_heals():
    with virtual_time():
        net = MemoryNet()
        here, there, _ = await joined(net)
        net.cut()
        here.transport.write(b"later")
        await asyncio.sleep(60)
        assert there.came == []
        net.heal()
        await asyncio.sleep(0.01)
        assert [data for _, data in there.came] == [b"later"]


async def test_a_reset_is_seen_at_both_ends_and_a_close_at_the_other_after_what_was_written():
    net = MemoryNet()
    here, there, server = await joined(net)
    net.reset()
    assert (type(here.lost), type(there.lost)) == (ConnectionResetError, ConnectionResetError)
    server.close()
    here, there, _ = await joined(net)
    here.transport.write(b"last")
    here.transport.close()
    await asyncio.sleep(0.01)
    assert ([data for _, data in there.came], there.lost, here.lost) == ([b"last"], "closed", "closed")


async def test_who_is_not_there_refuses_and_an_address_is_taken_once():
    net = MemoryNet()
    with pytest.raises(ConnectionRefusedError):
        await net.connect(ADDRESS, End, None)
    await joined(net)
    with pytest.raises(StartError, match=r"10\.0\.0\.1:4000 is in use"):
        await net.listen(ADDRESS, End, None)
    net.refuses = True
    with pytest.raises(ConnectionRefusedError):
        await net.connect(ADDRESS, End, None)
