"""What a client does about a call that failed: again or not, where, when, and how often in all."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from vyked_host.errors import DeadlineExceeded, HeldUp, InvalidPayload, Overloaded, Unavailable
from vyked_host.model.message import Call
from vyked_host.model.tables import RetryTable
from vyked_host.service.clients import CallOptions
from vyked_host.testing.virtual_time import virtual_time

from .shops import Shops, answers, fails, hangs, later


@pytest.fixture(autouse=True)
async def virtual() -> AsyncIterator[None]:
    with virtual_time():
        yield


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_what_was_not_run_is_tried_elsewhere_at_once() -> None:
    shops = Shops(fails(), answers)
    began = now()
    assert await shops.bind()() == 2
    assert now() == began
    assert shops.decisions == {"retries": 1}
    assert shops.left == (0, 0)


async def test_each_attempt_goes_to_an_instance_that_was_not_tried_and_says_its_number() -> None:
    shops = Shops(fails(), answers, fails())
    assert await shops.bind()() == 3
    assert [number for each in shops.instances for _, number in each.asked] == [1, 3, 2]


async def test_the_only_instance_is_asked_again_after_pauses() -> None:
    shops = Shops(fails())
    began = now()
    with pytest.raises(Unavailable):
        await shops.bind()()
    assert [round(at - began, 3) for at, _ in shops.instances[0].asked] == [0.0, 0.05, 0.15]


async def test_attempts_are_as_many_as_the_table_says() -> None:
    shops = Shops(fails(), retry=RetryTable(attempts=1))
    with pytest.raises(Unavailable):
        await shops.bind()()
    assert shops.asked == [1]


async def test_a_named_instance_is_asked_again_and_no_other() -> None:
    shops = Shops(answers, fails())
    with pytest.raises(Unavailable):
        await shops.bind()(CallOptions(instance="n1"))
    assert shops.asked == [0, 3]


async def test_who_has_too_much_to_do_is_given_the_time_it_asks_for() -> None:
    shops = Shops(fails("RESOURCE_EXHAUSTED", retry_after=0.7), answers)
    began = now()
    assert await shops.bind()() == 2
    assert now() - began == pytest.approx(0.7)


async def test_the_only_instance_that_has_too_much_to_do_is_left_alone() -> None:
    shops = Shops(fails("RESOURCE_EXHAUSTED", retry_after=0.1))
    with pytest.raises(Overloaded) as refused:
        await shops.bind()()
    assert (shops.asked, refused.value.retry_after) == ([1], 0.1)


async def test_the_only_instance_that_was_held_up_is_asked_again_when_it_says() -> None:
    shops = Shops(fails("RESOURCE_EXHAUSTED", retry_after=0.1, type="held_up"))
    with pytest.raises(HeldUp):
        await shops.bind()()
    times = [at for at, _ in shops.instances[0].asked]
    assert len(times) == 3
    assert all(0.1 <= later - earlier <= 0.2 for earlier, later in itertools.pairwise(times))


async def test_another_instance_is_asked_before_the_one_that_was_held_up() -> None:
    shops = Shops(fails("RESOURCE_EXHAUSTED", retry_after=0.1, type="held_up"), answers)
    assert await shops.bind()() == 2
    assert shops.asked == [1, 1]


async def test_those_that_were_held_up_are_asked_again_within_the_budget() -> None:
    shops = Shops(fails("RESOURCE_EXHAUSTED", retry_after=0.1, type="held_up"))
    bound = shops.bind()
    await asyncio.gather(*(bound() for _ in range(500)), return_exceptions=True)
    assert 500 + 0.9 * 130 <= shops.asked[0] <= 500 + 0.2 * 500 + 3 * 10


async def test_a_pause_beyond_the_deadline_is_not_waited_for() -> None:
    shops = Shops(fails("UNAVAILABLE", retry_after=6.0), answers)
    began = now()
    with pytest.raises(Unavailable):
        await shops.bind()()
    assert (now(), shops.asked) == (began, [1, 0])


async def test_what_may_have_run_is_repeated_for_idempotent_methods_only() -> None:
    shops = Shops(fails(executed="unknown"), answers)
    with pytest.raises(Unavailable):
        await shops.bind("buy")()
    assert await shops.bind("look", idempotent=True)() == 2
    with pytest.raises(Unavailable):
        await shops.bind("buy")(CallOptions(idempotency_key="k"))


async def test_a_client_by_name_repeats_what_its_service_says_is_idempotent() -> None:
    shops = Shops(fails(executed="unknown"), answers)
    assert await shops.by_name(idempotent=True)(n=1) == 2
    with pytest.raises(Unavailable) as failed:
        await shops.by_name(idempotent=False)(n=1)
    assert (failed.value.executed, shops.asked, shops.left) == ("unknown", [2, 1], (0, 0))


KEY = CallOptions(idempotency_key="k")


async def test_what_may_have_run_under_a_key_is_repeated_where_its_results_are_known() -> None:
    shops = Shops(fails(executed="unknown"), answers)
    for each in shops.instances:
        each.results = "redis:1"
    assert await shops.bind()(KEY) == 2
    assert (shops.asked, shops.left) == ([1, 1], (0, 0))


async def test_a_key_is_worth_nothing_at_an_instance_with_another_store() -> None:
    shops = Shops(fails(executed="unknown"), answers, answers)
    for each, results in zip(shops.instances, ("memory:1", "memory:2", ""), strict=True):
        each.results = results
    with pytest.raises(Unavailable) as failed:
        await shops.bind()(KEY)
    assert (failed.value.executed, shops.asked, shops.left) == ("unknown", [1, 0, 0], (0, 0))


async def test_a_call_with_a_key_goes_back_to_the_store_that_knows_it() -> None:
    def lost_once(call: Call, sink: Any) -> None:
        (fails(executed="unknown") if call.attempt == 1 else answers)(call, sink)

    shops = Shops(lost_once, answers)
    shops.instances[0].results, shops.instances[1].results = "memory:1", "memory:2"
    assert await shops.bind()(KEY) == 3
    assert shops.asked == [2, 0]


async def test_that_a_call_may_have_run_is_not_forgotten_when_later_attempts_are_refused() -> None:
    shops = Shops(fails(executed="unknown"), fails(), fails())
    for each in shops.instances:
        each.results = "redis:1"
    with pytest.raises(Unavailable) as failed:
        await shops.bind()(KEY)
    assert (failed.value.executed, shops.asked) == ("unknown", [1, 1, 1])


async def test_an_idempotent_method_is_repeated_wherever_it_may_be() -> None:
    shops = Shops(fails(executed="unknown"), answers)
    shops.instances[0].results = "memory:1"
    assert await shops.bind("look", idempotent=True)(KEY) == 2


async def test_who_does_not_answer_is_not_asked_again() -> None:
    shops = Shops(hangs, answers)
    with pytest.raises(DeadlineExceeded):
        await shops.bind("look", idempotent=True)(CallOptions(timeout=1.0))
    assert (shops.asked, shops.left) == ([1, 0], (0, 0))


async def test_a_storm_of_failures_is_answered_with_no_more_than_the_budget() -> None:
    shops = Shops(fails(), fails())
    call = shops.bind()
    outcomes = await asyncio.gather(*(call() for _ in range(500)), return_exceptions=True)
    assert all(isinstance(each, Unavailable) for each in outcomes)
    extra = sum(shops.asked) - 500
    assert 30 <= extra <= 0.2 * 500 + 30
    assert shops.decisions["retries"] == extra
    assert shops.decisions["withheld"] > 0


async def test_a_caller_that_is_cancelled_during_a_pause_makes_no_other_attempt() -> None:
    shops = Shops(fails())
    call = asyncio.ensure_future(shops.bind()())
    await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (shops.asked, shops.left) == ([1], (0, 0))


# ---- who is passed over ----------------------------------------------------------------------------------------------
async def test_at_most_half_of_the_instances_are_passed_over_and_all_again_when_others_leave() -> None:
    lost = fails(executed="unknown")
    shops = Shops(lost, lost, lost, answers)
    call = shops.bind()
    for _ in range(40):
        await asyncio.gather(call(CallOptions(instance="n0")), call(CallOptions(instance="n1")), return_exceptions=True)
        await asyncio.gather(call(CallOptions(instance="n2")), return_exceptions=True)
    assert [each.usable for each in shops.target.instances] == [False, False, True, True]
    shops.show(*shops.instances[:3])
    assert [each.usable for each in shops.target.instances] == [True, True, True]


async def test_who_is_pardoned_early_is_not_pardoned_twice() -> None:
    lost = fails(executed="unknown")
    shops = Shops(lost, answers)
    call = shops.bind()

    async def eject() -> None:
        while shops.target.instances[0].usable:
            await asyncio.gather(call(CallOptions(instance="n0")), return_exceptions=True)

    await eject()
    await asyncio.sleep(20.0)
    shops.show(shops.instances[0])
    shops.show(*shops.instances)
    await eject()  # for 60 s now; the first 30 end in 10 s
    await asyncio.sleep(15.0)
    assert not shops.target.instances[0].usable
    await asyncio.sleep(50.0)
    assert shops.target.instances[0].usable


async def test_who_can_not_be_dialled_is_passed_over_for_a_moment() -> None:
    shops = Shops(answers, answers)
    shops.client.ejection.rest(shops.target.instances[0])
    await asyncio.sleep(0.9)
    assert not shops.target.instances[0].usable
    await asyncio.sleep(0.2)
    assert shops.target.instances[0].usable


async def test_a_slow_answer_counts_as_one() -> None:
    shops = Shops(later(2.0, answers))
    assert await shops.bind()() == 1
    assert shops.client.counters["shop.buy"].calls == 1


async def test_a_connection_that_is_gone_or_closed_is_not_called_again() -> None:
    shops = Shops(answers)
    buy = shops.bind()
    assert [await buy(), await buy()] == [1, 1]
    way = shops.target.instances[0].link.best
    way._retired(shops.instances[0])  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match="no address for this host to dial"):
        await buy()
    way.channel = shops.instances[0]  # type: ignore[assignment]
    assert await buy() == 1
    await way.aclose()
    with pytest.raises(Unavailable, match="is closed"):
        await buy()
    assert shops.asked == [3]


async def test_an_answer_that_does_not_fit_ends_each_call_alike_and_names_who_gave_it() -> None:
    shops = Shops(lambda call, sink: sink.respond(call, b"\xa3two"))
    bound = shops.bind(idempotent=True)
    for _ in "the first one looks everything up", "the next one finds it":
        with pytest.raises(InvalidPayload, match=r"the answer of shop\.buy does not fit: Expected `int`") as raised:
            await bound()
        assert (raised.value.instance, raised.value.executed) == ("n0", "executed")
    assert shops.asked == [2]
    assert shops.left == (0, 0)
