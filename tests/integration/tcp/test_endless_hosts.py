"""Hosts that never come to an end with what they say, or whose table can't be meant: each dial and call ends in time."""

from __future__ import annotations

import asyncio

import pytest

from vyked_host.errors import Unavailable, VykedError
from vyked_host.wire import packets

from .raw import RawClient, hostile_host, welcome
from .test_hostile_hosts import dial


def drips(first: bytes, each: bytes):
    async def script(peer: RawClient) -> None:
        await peer.hear()
        peer.say(first)
        while not peer.writer.transport.is_closing():
            peer.say(each)
            await peer.writer.drain()
            await asyncio.sleep(0.001)

    return script


@pytest.mark.parametrize(
    ("first", "each"),
    [(b"", b""), (welcome()[:5], b""), (packets.HEADER.pack(900_000, 0, 0, 0, packets.WELCOME, 0, 0, 0, 0), b" ")],
    ids=["silence", "half a header", "drip"],
)
async def test_a_hello_without_end_is_left_in_time(first, each):
    async with hostile_host(drips(first, each)) as uri, asyncio.timeout(5):
        with pytest.raises(Unavailable) as caught:
            await dial(uri, dial=0.3)
    assert caught.value.executed == "not_sent"


async def test_a_version_that_is_none_fails_the_dial():
    row = {"index": 0, "service": "lab", "version": "one", "name": "echo"}

    async def script(peer: RawClient) -> None:
        await peer.hear()
        peer.say(welcome(endpoints=[row]))

    async with hostile_host(script) as uri:
        with pytest.raises(VykedError, match="WELCOME is not as it should be") as caught:
            await dial(uri)
    assert caught.value.executed == "not_sent"
