"""What is written on a connection of the old wire, and when."""

import asyncio

import pytest
from vyked_classic.link import BATCH, BATCH_BYTES, Link

from vyked_host.testing import environment, eventually
from vyked_host.testing.memory_net import MemoryNet

PACKET = b'{"type": "ping"}'


class Reader(asyncio.Protocol):
    """Keeps each piece as it was written."""

    def __init__(self):
        self.pieces = []

    def data_received(self, data):
        self.pieces.append(data)


@pytest.fixture
async def ends():
    net, reader = MemoryNet(), Reader()
    async with environment(net=net) as env:
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
