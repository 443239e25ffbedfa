"""A reader that leaves a stream without `async with` leaves it to nobody: the handler ends as a generator of Python's own does."""

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest

from vyked_host import Service, api
from vyked_host.testing import eventually, running


class Counting(Service, name="counting", version="1.0.0"):
    begun = ended = 0

    @api
    async def count(self, to: int) -> AsyncIterator[int]:
        self.begun += 1
        try:
            for n in range(to):
                yield n
        finally:
            self.ended += 1

    @api
    async def doubled(self, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
        self.begun += 1
        try:
            async for n in numbers:
                yield 2 * n
        finally:
            self.ended += 1


class Sent:
    """Numbers without end."""

    is_closed = False

    async def numbers(self) -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            self.is_closed = True


async def left(items: AsyncIterator[int]) -> None:
    async for n in items:
        if n == 2:
            break


async def failing(items: AsyncIterator[int]) -> None:
    async for n in items:
        n // (n - 2)


async def thrown_out_of(items: AsyncIterator[int]) -> None:
    with pytest.raises(ZeroDivisionError):
        await failing(items)


@pytest.fixture(params=["local", "tcp", "http"])
async def mesh(request: pytest.FixtureRequest) -> AsyncIterator[object]:
    async with running(Counting, over=request.param) as mesh:
        gc.disable()  # nothing of it waits for the collector
        try:
            yield mesh
        finally:
            gc.enable()


@pytest.mark.parametrize("leave", [left, thrown_out_of])
async def test_the_handler_of_a_stream_that_nobody_holds_is_cancelled(mesh, leave) -> None:
    service = mesh.instance(Counting)
    await leave(mesh.client(Counting).count(10**6))
    await eventually(lambda: service.ended == 1)
    assert service.begun == 1


async def test_what_is_sent_to_it_ends_too(mesh) -> None:
    service, sent = mesh.instance(Counting), Sent()
    await left(mesh.client(Counting).doubled(sent.numbers()))
    await eventually(lambda: service.ended == 1 and sent.is_closed)


async def test_a_stream_that_is_held_goes_on(mesh) -> None:
    service = mesh.instance(Counting)
    items = mesh.client(Counting).count(200)
    await left(items)
    assert [n async for n in items] == list(range(3, 200))
    assert service.ended == 1


async def test_one_that_is_let_go_of_when_its_loop_has_ended_is_silent() -> None:
    def whole_life() -> AsyncIterator[int]:
        async def life() -> AsyncIterator[int]:
            async with running(Counting) as mesh:
                items = mesh.client(Counting).count(10**6)
                await left(items)
                return items

        return asyncio.run(life())

    items = await asyncio.to_thread(whole_life)
    del items
