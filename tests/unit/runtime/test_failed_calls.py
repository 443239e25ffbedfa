"""A failed call is gone as soon as nobody holds its error any more: nothing of it waits for the garbage collector."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Iterator

import pytest

from vyked_host.service.clients import CallOptions
from vyked_host.testing.virtual_time import virtual_time

from .shops import Script, Shops, answers, fails, hangs, later

SOON, KEYED = CallOptions(hedge_after=0.1), CallOptions(idempotency_key="k")
MAYBE = fails(executed="unknown")


@pytest.fixture(autouse=True)
async def virtual() -> AsyncIterator[None]:
    with virtual_time():
        yield


@pytest.fixture(autouse=True)
def uncollected() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


async def is_left(shops: Shops, options: CallOptions | None, *, idempotent: bool) -> bool:
    """Is the error of a call still there when nobody holds it?"""
    try:
        await shops.bind(idempotent=idempotent)(options)
    except Exception as error:
        told = weakref.ref(error)
    for _ in range(5):  # the loop itself holds what it did last
        await asyncio.sleep(0)
    return told() is not None


@pytest.mark.parametrize(
    ("scripts", "options"),
    [
        pytest.param((fails(),), None, id="refused again and again"),
        pytest.param((fails(), fails(), fails()), None, id="refused by each"),
        pytest.param((fails("INTERNAL", "executed"),), None, id="failed"),
        pytest.param((hangs,), CallOptions(timeout=0.2), id="late"),
        pytest.param((MAYBE, fails(), fails()), KEYED, id="in doubt"),
        pytest.param((later(0.3, fails()), later(0.3, fails())), SOON, id="hedged"),
    ],
)
@pytest.mark.parametrize("idempotent", [True, False])
async def test_the_error_of_a_call_is_in_no_ring(
    scripts: tuple[Script, ...], options: CallOptions | None, idempotent: bool
) -> None:
    shops = Shops(*scripts)
    for each in shops.instances:
        each.results = "redis:1"
    assert not await is_left(shops, options, idempotent=idempotent)


async def test_nor_is_that_of_a_call_in_doubt_whose_result_nobody_else_knows() -> None:
    shops = Shops(MAYBE, answers)
    shops.instances[0].results, shops.instances[1].results = "memory:1", "memory:2"
    assert not await is_left(shops, KEYED, idempotent=False)
