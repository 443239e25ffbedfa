"""What [clients.NAME] says about calls that fail, over real sockets and through a whole host."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from vyked_host import Service, api, client, context
from vyked_host.assembly import Host
from vyked_host.errors import InvalidPayload, Overloaded, Unavailable, Unfit
from vyked_host.testing.waiting import eventually

from .party import Party


class Shop(Service, name="shop", version="1.0.0"):
    """Answers with the node and the number of the attempt."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.holding = False

    @api
    async def hold(self) -> None:
        self.holding = True
        await self.released.wait()

    @api
    async def buy(self, item: str) -> list[str]:
        return [item, str(context().attempt)]

    @api(idempotent=True)
    async def look(self, item: str) -> list[str]:
        if self.holding:
            await self.released.wait()
        return [item, str(context().attempt)]


class Archive(Service, name="archive", version="1.0.0"):
    @api
    async def buy(self, item: str) -> list[str]:
        return ["archived", item]

    @api
    async def count(self, item: str) -> int:
        return len(item)


class Buyer(Service, name="buyer", version="1.0.0"):
    shop = client(Shop, required=False)
    archive = client(Archive, required=False)
    unknown = client("unknown", required=False)

    @api
    async def buy(self, item: str) -> list[str]:
        return await self.shop.buy(item)

    @api
    async def ask(self, item: str) -> list[str]:
        found: list[str] = await self.unknown.buy(item=item)
        return found

    async def without(self, item: str) -> list[str]:
        return ["nothing", item]

    def at_once(self, item: str) -> list[str]:
        return ["at once", item]

    async def wrong(self, item: int) -> list[str]:
        return [str(item)]

    async def other(self, item: str) -> int:
        return len(item)

    async def short(self) -> list[str]:
        return []


IN_TURN = '[clients.shop]\nbalancer = "round_robin"\nwarm_up = 0\n'
"""So that it is known who is asked first; the default goes by load."""


def decisions(host: Host, path: str) -> dict[str, int]:
    found: dict[str, int] = host.node.statistics()["clients"][path]["decisions"]
    return found


# ---- attempts --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("transport", ["tcp", "http"])
async def test_who_has_too_much_to_do_is_left_and_another_one_asked_who_hears_the_number(
    party: Party, transport: str
) -> None:
    busy = Shop()
    first = await party.host(busy, transport=transport, more="[limits]\nin_flight = 1\n")
    await party.host(Shop(), transport=transport)
    caller = await party.host(transport=transport, more=IN_TURN)
    shop: Any = caller.client(Shop)
    await eventually(lambda: len(caller.node.clients[0].target.instances) == 2)
    held = asyncio.ensure_future(shop.hold.using(instance=first.node.record.node_id)())
    await eventually(lambda: busy.holding)
    answers = [await shop.buy("tea") for _ in range(4)]
    assert sorted(answers) == [["tea", "1"], ["tea", "1"], ["tea", "2"], ["tea", "2"]]
    assert decisions(caller, "shop.buy") == {"retries": 2}
    busy.released.set()
    await held


@pytest.mark.parametrize("transport", ["tcp", "http"])
async def test_a_client_by_name_loses_no_idempotent_call_with_its_connection(party: Party, transport: str) -> None:
    lost = Shop()
    lost.holding = True
    first = await party.host(lost, transport=transport)
    await party.host(Shop(), transport=transport)
    caller = await party.host(transport=transport, more=IN_TURN)
    shop: Any = caller.client("shop")
    await eventually(lambda: len(caller.node.clients[0].target.instances) == 2)
    looks = [asyncio.ensure_future(shop.look(item="tea")) for _ in range(4)]
    buys = asyncio.ensure_future(shop.hold.using(instance=first.node.record.node_id)())
    await eventually(lambda: len(first.node.dispatcher.running) >= 3)
    await first.node.listeners[transport].aclose()
    assert sorted([(await each)[1] for each in looks]) == ["1", "1", "2", "2"]
    with pytest.raises(Unavailable) as failed:
        await buys
    assert failed.value.executed == "unknown"
    lost.released.set()


async def test_a_second_attempt_beside_the_first_is_answered_first(party: Party) -> None:
    slow, quick = Shop(), Shop()
    await party.host(slow)
    await party.host(quick)
    caller = await party.host(more=f"{IN_TURN}hedge_after = 0.05\n")
    shop: Any = caller.client(Shop)
    await eventually(lambda: len(caller.node.clients[0].target.instances) == 2)
    slow.holding = True
    answers = [await shop.look("tea") for _ in range(4)]
    assert sorted(answers) == [["tea", "1"], ["tea", "1"], ["tea", "2"], ["tea", "2"]]
    assert decisions(caller, "shop.look") == {"hedges": 2}
    await eventually(lambda: not caller.node.clients[0].pending)
    slow.released.set()


async def test_what_may_not_run_twice_is_not_hedged(party: Party) -> None:
    caller = await party.host(Shop())
    with pytest.raises(ValueError, match="idempotent"):
        caller.client(Shop).buy.using(hedge_after=0.1)
    with pytest.raises(Unfit, match=r":\d+:15  clients\.archive\.hedge_after: archive\.buy is not declared"):
        await party.host(Buyer(), Archive(), more="[clients.archive]\nhedge_after = 0.1\n")
    party.hosts.pop()


# ---- guards ----------------------------------------------------------------------------------------------------------
async def test_a_rate_and_a_bulkhead_refuse_before_anything_is_sent(party: Party) -> None:
    host = await party.host(Shop(), more="[clients.shop]\nrate = { per_second = 0.1, burst = 2 }\n")
    shop = host.client(Shop)
    assert [await shop.buy("tea"), await shop.buy("tea")] == [["tea", "1"]] * 2
    with pytest.raises(Overloaded) as refused:
        await shop.buy("tea")
    assert refused.value.executed == "not_sent"
    assert decisions(host, "shop.buy") == {"limited": 1}


async def test_a_breaker_opens_for_one_method_when_nobody_is_there(party: Party) -> None:
    host = await party.host(Buyer(), more="[clients.shop]\nbreaker = { of = 3 }\n")
    buyer = host.client(Buyer)
    for _ in range(5):
        with pytest.raises(Exception, match=r"buyer\.buy failed"):
            await buyer.buy("tea")
    assert decisions(host, "shop.buy") == {"opened": 1, "refused": 2}


# ---- fallback --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fallback", "answer"),
    [("archive.buy", ["archived", "tea"]), ("without", ["nothing", "tea"]), ("at_once", ["at once", "tea"])],
)
async def test_what_can_t_be_called_is_answered_by_its_fallback(party: Party, fallback: str, answer: list[str]) -> None:
    more = f'[clients.shop]\nfallback = {{ buy = "{fallback}" }}\n'
    host = await party.host(Buyer(), Archive(), more=more)
    assert await host.client(Buyer).buy("tea") == answer
    assert decisions(host, "shop.buy") == {"fallbacks": 1}


async def test_a_client_by_name_has_fallbacks_too(party: Party) -> None:
    host = await party.host(Buyer(), Archive(), more='[clients.unknown]\nfallback = { buy = "archive.buy" }\n')
    assert await host.client(Buyer).ask("tea") == ["archived", "tea"]


async def test_a_fallback_answers_no_error_of_the_method_itself(party: Party) -> None:
    more = '[clients.shop]\nfallback = { buy = "without" }\n'
    host = await party.host(Buyer(), Shop(), more=more)
    buyer: Any = host.client(Buyer)
    with pytest.raises(InvalidPayload):
        await buyer.buy(7)
    assert await buyer.buy("tea") == ["tea", "1"]


async def test_a_fallback_that_can_t_be_reached_either_says_so(party: Party) -> None:
    host = await party.host(Buyer(), more='[clients.shop]\nfallback = { buy = "archive.buy" }\n')
    buyer = host.node.hosted[0].instance
    with pytest.raises(Unavailable, match="archive") as failed:
        await buyer.shop.buy("tea")
    assert "shop" in str(failed.value.__cause__)


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ('buy = "elsewhere.buy"', "buyer has no client of elsewhere"),
        ('buy = "archive.sell"', "archive has no method sell; it has: buy, count"),
        (
            'buy = "archive.count"',
            r"shop\.buy answers list\[str\], archive\.count answers int; the two have to be alike",
        ),
        ('sell = "without"', "shop has no method sell"),
        ('buy = "nowhere"', "Buyer has no method 'nowhere'"),
        ('buy = "wrong"', r"Buyer\.wrong takes item: int, shop\.buy is given item: str"),
        ('buy = "other"', r"Buyer\.other answers int"),
        ('buy = "short"', r"Buyer\.short is called with item: str"),
    ],
)
async def test_a_fallback_that_does_not_fit_is_refused_at_start(party: Party, table: str, fault: str) -> None:
    with pytest.raises(Unfit, match=fault) as caught:
        await party.host(Buyer(), Archive(), more=f"[clients.shop]\nfallback = {{ {table} }}\n")
    (problem,) = caught.value.problems
    assert problem.source == f"fallback = {{ {table} }}"
    assert str(caught.value).startswith(f"{problem.place}  clients.shop.fallback.{table[:4].strip()}: ")
    party.hosts.pop()


async def test_who_can_not_be_dialled_is_passed_over_for_a_third_of_the_time_that_dialling_may_take() -> None:
    text = "[transports.local]\n[timing]\nscale = 0.5\ndial = 6.0\n[plugins]\nautoload = false\n"
    async with Host(text=text) as host:
        host.client("shop")
        (client,) = host._composition.clients.made  # type: ignore[union-attr]
        assert client.ejection._rest_s == pytest.approx(1.0)
