"""A second attempt beside one that takes long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from vyked_host.errors import DeadlineExceeded, Unavailable
from vyked_host.model.tables import RetryTable
from vyked_host.service.clients import CallOptions, method
from vyked_host.testing.virtual_time import virtual_time

from .shops import Shops, answers, endpoint, fails, hangs, later

SOON = CallOptions(hedge_after=0.1)


@pytest.fixture(autouse=True)
async def virtual() -> AsyncIterator[None]:
    with virtual_time():
        yield


def now() -> float:
    return asyncio.get_running_loop().time()


async def settled(shops: Shops) -> None:
    """The loser has heard that it lost."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert shops.left == (0, 0)


async def test_what_answers_in_time_is_called_once() -> None:
    shops = Shops(later(0.05, answers), answers)
    assert await shops.bind(idempotent=True)(SOON) == 1
    await settled(shops)
    assert (shops.asked, shops.decisions) == ([1, 0], {})


async def test_what_takes_long_is_called_elsewhere_too_and_the_loser_is_cancelled() -> None:
    shops = Shops(hangs, later(0.05, answers))
    began = now()
    assert await shops.bind(idempotent=True)(SOON) == 2
    assert now() - began == pytest.approx(0.15)
    await settled(shops)
    assert ([each.cancelled for each in shops.instances], shops.decisions) == ([1, 0], {"hedges": 1})
    assert shops.client.counters["shop.buy"].report()["codes"] == {}  # who lost a race did not fail


async def test_a_client_by_name_hedges_what_its_service_says_is_idempotent() -> None:
    shops = Shops(later(0.15, answers), answers)
    assert await shops.by_name(idempotent=True).using(hedge_after=0.1)(n=1) == 2
    await settled(shops)
    assert await shops.by_name(idempotent=False).using(hedge_after=0.1)(n=1) == 1
    await settled(shops)
    assert (shops.asked, shops.decisions) == ([2, 1], {"hedges": 1})


async def test_with_a_table_that_hedges_a_client_by_name_does_too() -> None:
    shops = Shops(later(0.15, answers), answers, hedge_after=0.1)
    assert await shops.by_name(idempotent=True)(n=1) == 2
    await settled(shops)


async def test_the_first_one_may_win_all_the_same() -> None:
    shops = Shops(later(0.12, answers), hangs)
    assert await shops.bind(idempotent=True)(SOON) == 1
    await settled(shops)
    assert [each.cancelled for each in shops.instances] == [0, 1]


async def test_the_failure_of_one_is_not_the_answer_while_the_other_runs() -> None:
    shops = Shops(later(0.2, fails("DEADLINE_EXCEEDED", "unknown")), later(0.3, answers))
    assert await shops.bind(idempotent=True)(SOON) == 2
    shops = Shops(later(0.2, fails("DEADLINE_EXCEEDED", "unknown")), fails("DEADLINE_EXCEEDED", "unknown"))
    with pytest.raises(DeadlineExceeded):
        await shops.bind(idempotent=True)(SOON)
    await settled(shops)


async def test_both_have_one_deadline() -> None:
    shops, began = Shops(hangs, hangs), now()
    with pytest.raises(DeadlineExceeded):
        await shops.bind(idempotent=True)(CallOptions(hedge_after=0.5, timeout=1.0))
    assert 1.0 <= now() - began <= 1.11
    await settled(shops)


async def test_who_cancels_the_call_cancels_both() -> None:
    shops = Shops(hangs, hangs)
    call = asyncio.ensure_future(shops.bind(idempotent=True)(SOON))
    await asyncio.sleep(0.2)
    assert shops.asked == [1, 1]
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await settled(shops)
    assert [each.cancelled for each in shops.instances] == [1, 1]


async def test_the_only_instance_is_not_asked_twice() -> None:
    shops = Shops(later(0.3, answers))
    assert await shops.bind(idempotent=True)(SOON) == 1
    assert shops.decisions == {}


async def test_hedges_come_out_of_the_budget() -> None:
    shops = Shops(later(0.3, answers), later(0.3, answers), retry=RetryTable(per_second=1.0))
    call = shops.bind(idempotent=True)
    await asyncio.gather(*(call(SOON) for _ in range(100)))
    await settled(shops)
    assert shops.decisions["hedges"] == 10
    assert shops.decisions["withheld"] == 90


async def test_the_table_hedges_idempotent_methods_and_leaves_the_others_alone() -> None:
    shops = Shops(later(0.3, answers), answers, hedge_after=0.1)
    assert await shops.bind("look", idempotent=True)() == 2
    assert await shops.bind("buy")() == 1
    assert await shops.bind("look", idempotent=True)(CallOptions(hedge_after=1.0)) == 1


async def test_a_refusal_of_the_second_leaves_the_first() -> None:
    shops = Shops(later(0.5, answers), fails("RESOURCE_EXHAUSTED"))
    assert await shops.bind(idempotent=True)(SOON) == 1
    shops = Shops(later(0.5, fails()), fails())
    with pytest.raises(Unavailable):
        await shops.bind(idempotent=True)(SOON)
    await settled(shops)


async def test_what_may_not_run_twice_refuses_to_be_hedged() -> None:
    once = method(endpoint(), lambda *_: None)
    with pytest.raises(ValueError, match=r"shop\.buy is not declared @api\(idempotent=True\)"):
        once.using(hedge_after=0.1)
    assert method(endpoint(idempotent=True), lambda *_: None).using(hedge_after=0.1)
