"""What is written on a connection of the old wire, and when."""

import asyncio

import pytest
from vyked_classic.link import BATCH, BATCH_BYTES, Link

from vyked_host.contracts import TimingTable
from vyked_host.testing import environment, eventually
from vyked_host.testing.memory_net import MemoryNet

PACKET = b'{"type": "ping"}'


class Reader(asyncio.Protocol):
    """Keeps each piece as it was written."""

    def __init__(self):
        self.pieces = []

    def data_received(self, data):
        self.pieces.append(data)


class Hands:
    """A clock that a test moves."""

    def __init__(self):
        self.at_s, self.timers = 100.0, []

    def now(self):
        return self.at_s

    def unix(self):
        return self.at_s

    def expire(self, when, call):
        timer = (when, call)
        self.timers.append(timer)
        return lambda: self.timers.remove(timer) if timer in self.timers else None

    def move(self, seconds):
        self.at_s += seconds
        for timer in [each for each in self.timers if each[0] <= self.at_s]:
            self.timers.remove(timer)
            timer[1]()


@pytest.fixture
def clock():
    return Hands()


@pytest.fixture
async def ends(clock):
    net, reader = MemoryNet(), Reader()
    async with environment(net=net, clock=clock, timing=TimingTable(ping=5.0, pong=10.0)) as env:
        link = Link(env, 1 << 20)
        link.lost = lambda _why: None
        server = await net.listen("tcp://127.0.0.1:4501", lambda: reader, None)
        await net.connect("tcp://127.0.0.1:4501", lambda: link, None)
        yield link, reader
        link.close()
        server.close()


async def test_what_is_sent_in_one_turn_is_written_together_and_much_of_it_in_batches(ends):
    link, reader = ends
    for _ in range(2 * BATCH + 3):
        link.send(PACKET)
    await eventually(lambda: len(b"".join(reader.pieces).split(b"},")) == 2 * BATCH + 4)
    assert [each.count(b"ping") for each in reader.pieces] == [BATCH, BATCH, 3]


async def test_large_packets_are_not_collected(ends):
    link, reader = ends
    large = b'{"text": "' + b"x" * BATCH_BYTES + b'"}'
    link.send(PACKET)
    link.send(large)
    link.send(PACKET)
    await eventually(lambda: len(reader.pieces) == 2)
    assert b"".join(reader.pieces) == b",".join([PACKET, large, PACKET, b""])


async def test_a_peer_that_is_silent_is_asked_and_then_given_up(ends, clock):
    link, reader = ends
    link.watch("n1")
    clock.move(5.0)
    await eventually(lambda: b"ping" in b"".join(reader.pieces))
    clock.move(10.0)
    assert (link.is_open, link.why) == (False, "it has not answered for 15.0 s")


async def test_a_host_that_was_held_up_asks_once_more_before_it_gives_its_peer_up(ends, clock):
    link, reader = ends
    link.watch("n1")
    clock.move(5.0)
    clock.move(60.0)  # nobody read what came meanwhile
    assert link.is_open
    await eventually(lambda: b"".join(reader.pieces).count(b"ping") == 2)
    clock.move(10.0)
    assert not link.is_open
