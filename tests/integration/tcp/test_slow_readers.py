"""A stream of 64 MiB whose reader takes its time: what is under way is bounded by bytes, whatever the size of its items."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from vyked_host import Service, api
from vyked_host.testing import running

TOTAL = 64 << 20
BOUND = 4 << 20
"""A window of credit is 2 MiB for items up to 64 KiB or from 1 MiB on, 4 MiB at worst between them."""

made = taken = 0


def make(size: int) -> bytes:
    global made
    made += size
    return bytes(size)


class Pipe(Service, name="pipe", version="1.0.0"):
    @api
    async def read(self, size: int) -> AsyncIterator[bytes]:
        for _ in range(TOTAL // size):
            yield make(size)

    @api
    async def write(self, items: AsyncIterator[bytes]) -> int:
        return await drain(items)


async def drain(items: AsyncIterator[bytes]) -> int:
    """Read all of it; the most that was ahead of the reader."""
    global made, taken
    taken = most = 0
    async for item in items:
        for _ in range(10):  # meanwhile the other end makes what it may
            await asyncio.sleep(0)
        most = max(most, made - taken)
        taken += len(item)
    assert taken == TOTAL
    return most


@pytest.fixture(params=[16 << 10, 64 << 10, 512 << 10])
def size(request):
    global made
    made = 0
    return request.param


async def test_a_streamed_answer_is_never_far_ahead_of_its_reader(size):
    async with running(Pipe, over="tcp") as mesh:
        assert await drain(mesh.client(Pipe).read(size)) <= BOUND


async def test_an_upload_is_never_far_ahead_of_its_handler(size):
    async def items() -> AsyncIterator[bytes]:
        for _ in range(TOTAL // size):
            yield make(size)

    async with running(Pipe, over="tcp") as mesh:
        assert await mesh.client(Pipe).write(items()) <= BOUND
