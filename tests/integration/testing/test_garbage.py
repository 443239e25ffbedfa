"""An answered call is gone at once: nothing of it waits for the garbage collector."""

import gc
from collections.abc import AsyncIterator

import pytest

from vyked_host import Service, api
from vyked_host.runtime.answers import Answer, Reply
from vyked_host.testing import running


class Echo(Service, name="echo", version="1.0.0"):
    @api
    async def echo(self, text: str) -> str:
        return text

    @api
    async def count(self, to: int) -> AsyncIterator[int]:
        for n in range(to):
            yield n

    @api
    async def total(self, numbers: AsyncIterator[int]) -> int:
        return sum([n async for n in numbers])


async def numbers() -> AsyncIterator[int]:
    for n in range(3):
        yield n


def alive() -> int:
    """Calls that anything here still holds: also those of the hosts' own streams."""
    return sum(isinstance(each, Answer | Reply) for each in gc.get_objects())


@pytest.mark.parametrize("over", ["local", "tcp", "http"])
async def test_answered_calls_leave_no_circles_behind(over: str) -> None:
    async with running(Echo, over=over) as mesh:
        client = mesh.client(Echo)
        echo = client.echo
        await echo("first")
        gc.collect()
        before = alive()
        gc.disable()
        try:
            for _ in range(100):
                await echo("again")
                assert [n async for n in client.count(3)] == [0, 1, 2]
                assert await client.total(numbers()) == 3
            left = alive() - before
        finally:
            gc.enable()
    assert left < 5
