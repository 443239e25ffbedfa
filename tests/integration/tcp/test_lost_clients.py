"""Clients that go in the middle of a call, in both ways a socket can end: what ran for them ends, and nothing stays behind."""

from __future__ import annotations

import asyncio
import os
import socket
import struct

import pytest

from tests.withheld import withheld
from vyked_host.wire import packets

from .hosts import until
from .raw import connected, packet

ROUNDS = 500  # of each kind
ABORT = struct.pack("ii", 1, 0)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("ending", ["FIN", "RST"])
async def test_a_client_that_dies_in_a_call_has_its_handler_cancelled_and_leaves_nothing(site, ending):
    loop = asyncio.get_running_loop()

    async def die() -> float:
        async with connected(site.address, introduced=True) as client:
            client.say(packet(packets.REQUEST, call=1, endpoint=2, value=60000))
            task = await site.lab.task()
            if ending == "RST":
                client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        began, more = loop.time(), withheld()
        await task.changed.wait()
        assert task.cancelled
        return loop.time() - began - more()

    before = (descriptors(), len(asyncio.all_tasks()))
    assert max([await die() for _ in range(ROUNDS)]) < 0.5
    await until(lambda: site.listener.connections == 0)
    await until(lambda: descriptors() <= before[0] and len(asyncio.all_tasks()) <= before[1])
