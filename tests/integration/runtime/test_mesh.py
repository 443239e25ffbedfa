"""Several hosts in one mesh, over real sockets: they find one another, survive the registry, and tell who waits for whom.

Timers are scaled: a heartbeat is 0.2 s here, a lease 0.6 s."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest

from tests.withheld import withheld
from vyked_host import Service, api, client
from vyked_host.assembly import Host
from vyked_host.builtin.embedded.desk import RegistryDesk
from vyked_host.catalog.state import Granted
from vyked_host.contracts import Change
from vyked_host.errors import Unavailable, VersionMismatch
from vyked_host.testing.proxy import Proxy
from vyked_host.testing.waiting import eventually

from .party import TEXT, H, Party, T, holder


class Shop(Service, name="shop", version="1.2.0"):
    @api
    async def where(self) -> str:
        return "1.2.0"


class ShopOfOld(Service, name="shop", version="1.0.0"):
    @api
    async def where(self) -> str:
        return "1.0.0"


class ShopToCome(Service, name="shop", version="2.0.0"):
    @api
    async def where(self) -> str:
        return "2.0.0"


class Cart(Service, name="cart", version="1.0.0"):
    shop = client(Shop, version="1.1")

    def __init__(self) -> None:
        self.told: list[Any] = []

    async def on_active(self) -> None:
        self.told.append("active")

    async def on_inactive(self, missing: Sequence[str]) -> None:
        self.told.append(list(missing))

    @api
    async def where(self) -> str:
        return await self.shop.where()


@pytest.fixture
def announcements(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """(epoch, node id) of each announcement that a desk took in."""
    found: list[tuple[int, str]] = []
    announce = RegistryDesk._answer

    def noted(desk: RegistryDesk, outcome: Any, speaker: Any = None) -> Any:
        answer = announce(desk, outcome, speaker)
        if speaker is None and not answer.refused and answer.generation is not None:
            found.append((answer.epoch, outcome.node_id))
        return answer

    monkeypatch.setattr(RegistryDesk, "_answer", noted)
    return found


# ---- finding one another -------------------------------------------------------------------------------------------------
async def test_a_second_and_a_third_host_join_by_being_started(party: Party) -> None:
    one, two, three = [await party.host(Shop), await party.host(Shop), await party.host(Cart)]
    await party.meet()
    assert await three.client(Cart).where() == "1.2.0"
    assert {each.node.record.node_id for each in (one, two)} < set(three.node.directory.nodes)


async def test_a_host_joins_though_its_connection_is_lost_while_it_is_announced(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, lost = RegistryDesk._answer, []

    def answered(desk: RegistryDesk, outcome: Any, speaker: Any = None) -> Any:
        if isinstance(outcome, Granted) and outcome.node_id.startswith("late-") and not lost:
            lost.append(proxy.reset())
        return answer(desk, outcome, speaker)

    monkeypatch.setattr(RegistryDesk, "_answer", answered)
    shop = await party.host(Shop)
    async with Proxy(f"127.0.0.1:{party.port}") as proxy:
        words = ["host.name=late", f"registry.embedded.address={proxy.address}"]
        late = await party.host(Cart, overrides=words)
        assert len(lost) == 1
        await party.meet()
        assert await late.client(Cart).where() == "1.2.0"
        party.hosts.remove(late)
        await late.stop()
    assert party.is_seen(shop, shop)


async def test_a_consumer_that_starts_first_is_active_once_its_dependency_is_there(party: Party) -> None:
    cart = await party.host(Cart)
    assert (await cart.node.readiness())[1]["reasons"] == {"cart": "waiting (shop)"}
    assert cart.instance(Cart).told == []
    await party.host(Shop)
    await eventually(lambda: cart.instance(Cart).told == ["active"])
    assert await cart.client(Cart).where() == "1.2.0"


async def test_each_instance_is_known_once_however_often_its_node_is_told(party: Party) -> None:
    cart, shop = await party.host(Cart), await party.host(Shop)
    await party.meet()
    target = next(each for each in cart.node.directory._targets if each.service == "shop")
    for _ in range(3):
        await shop.node.membership.announcement.change(shop.node.record)
    assert [each.node_id for each in target.instances] == [shop.node.record.node_id]
    assert len(cart.node.directory._links) == 2


async def test_versions_live_side_by_side_and_nobody_gets_a_lower_one_or_another_major(party: Party) -> None:
    cart = await party.host(Cart)
    await party.host(ShopOfOld)
    await party.host(ShopToCome)
    await party.meet()
    assert cart.instance(Cart).told == []
    with pytest.raises(VersionMismatch, match=r"1\.0\.0 at .*2\.0\.0 at|2\.0\.0 at .*1\.0\.0 at"):
        await cart.client("shop", version="1.1").where()
    assert await cart.client("shop", version="1").where() == "1.0.0"
    assert await cart.client("shop", version="2").where() == "2.0.0"
    await party.host(Shop)
    await eventually(lambda: cart.instance(Cart).told == ["active"])
    assert {await cart.client(Cart).where() for _ in range(6)} == {"1.2.0"}


async def test_all_consumers_that_wait_are_activated_by_one_arrival(party: Party) -> None:
    carts = [await party.host(Cart) for _ in range(3)]
    await party.host(Shop)
    await eventually(lambda: all(each.instance(Cart).told == ["active"] for each in carts))


# ---- losing one another --------------------------------------------------------------------------------------------------
async def test_a_graceful_stop_is_seen_at_once_and_both_ways_are_told(party: Party) -> None:
    cart, shop = await party.host(Cart), await party.host(Shop)
    await eventually(lambda: cart.instance(Cart).told == ["active"])
    party.hosts.remove(shop)
    await shop.stop()
    await eventually(lambda: cart.instance(Cart).told == ["active", ["shop"]])
    assert (await cart.node.readiness())[1]["reasons"] == {"cart": "it lacks shop"}
    await party.host(Shop)
    await eventually(lambda: cart.instance(Cart).told == ["active", ["shop"], "active"])


async def test_a_node_whose_connection_ends_is_down_at_once_and_gone_after_the_grace(party: Party) -> None:
    # a grace of 2 s: a registry that was held up itself for a heartbeat takes a lost connection for silence, as it has to
    slow = ("timing.heartbeat=50", "timing.lease=150", "timing.gone_after=50", "timing.sweep=10")
    watcher, shop, other = [await party.host(each, overrides=slow) for each in (Cart, Shop, Shop)]
    await party.meet()
    seen: list[tuple[float, Change]] = []
    began = asyncio.get_running_loop().time()

    async def watch() -> None:
        async for change in watcher.node.registry.watch(None):
            seen.append((asyncio.get_running_loop().time() - began, change))

    watcher.node.tasks(watch(), "test watch")
    await eventually(lambda: seen)
    node_id, more = shop.node.record.node_id, withheld()
    await party.kill(shop)
    await eventually(lambda: any(node_id in change.gone for _, change in seen))
    down = next(at for at, change in seen if change.doubts.get(node_id) == "down")
    gone = next(at for at, change in seen if node_id in change.gone)
    assert 1.9 <= gone - down <= 2.0 + 0.4 + 0.25 + more()
    assert await watcher.client(Cart).where() == "1.2.0"
    assert party.is_seen(watcher, watcher, other)


async def test_the_holder_s_end_goes_unnoticed_by_calls_and_all_announce_themselves_once_more(
    party: Party, announcements: list[tuple[int, str]]
) -> None:
    hosts = [await party.host(Shop), await party.host(Shop), await party.host(Cart)]
    await party.meet()
    first = holder(hosts)
    cart, seen = hosts[2], list[int]()
    target = next(each for each in cart.node.directory._targets if each.service == "shop")
    failed: list[BaseException] = []
    stop = asyncio.Event()

    async def load() -> None:
        while not stop.is_set():
            seen.append(len(target.instances))
            try:
                await cart.client(Cart).where()
            except Exception as error:
                failed.append(error)
            await asyncio.sleep(0.005)

    loading = asyncio.ensure_future(load())
    party.hosts.remove(first)
    await first.stop()
    rest = [each for each in hosts if each is not first]
    await party.meet_again(announcements[0][0])
    stop.set()
    await loading
    assert failed == []
    assert min(seen) >= 1
    last = announcements[-1][0]
    assert sorted(node_id for epoch, node_id in announcements if epoch == last) == sorted(
        each.node.record.node_id for each in rest
    )


async def test_a_holder_that_is_killed_is_known_as_gone_by_the_time_the_next_one_holds(party: Party) -> None:
    hosts = [await party.host(Shop), await party.host(Shop), await party.host(Cart)]
    await party.meet()
    first = holder(hosts)
    epoch = first.node.directory.view.epoch
    assert epoch is not None
    await party.kill(first)
    rest = [each for each in hosts if each is not first]
    await party.meet_again(epoch)
    assert await rest[-1].client(Cart).where() == "1.2.0"


async def test_without_a_registry_the_last_known_stays_good_for_ever_and_nobody_is_told_lacking(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vyked_host.assembly.hubs.HEIR", 0.02)
    keeper = await party.host(Shop)
    others = [await party.host(each) for each in (Shop, Cart)]
    await party.meet()
    assert holder(party.hosts) is keeper
    for each in others:
        hub: Any = next(iter(each.node.hubs._hubs.values()))  # type: ignore[attr-defined]
        hub._can_bind = frozenset()
    await party.kill(keeper)
    cart = others[1]
    until = asyncio.get_running_loop().time() + 3 * T
    while asyncio.get_running_loop().time() < until:
        assert await cart.client(Cart).where() == "1.2.0"
    assert cart.instance(Cart).told == ["active"]
    epoch = cart.node.directory.view.epoch
    assert epoch is not None
    party.hosts.append(again := Host(Shop, text=TEXT.format(mesh=party.mesh, port=party.port, transport="tcp")))
    await again.start()
    await party.meet_again(epoch)
    assert cart.instance(Cart).told == ["active"]


# ---- one id, two processes -----------------------------------------------------------------------------------------------
async def test_of_two_hosts_with_one_id_the_earlier_stays_away_and_says_so(
    party: Party, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = await party.host(Cart)
    monkeypatch.setattr("vyked_host.assembly.environment.secrets.token_hex", lambda _size: "same")
    early = await party.host(Shop)
    with caplog.at_level(logging.ERROR):
        late = await party.host(Shop)
        await eventually(lambda: early.node.membership.announcement.trouble)
    assert early.node.record.node_id == late.node.record.node_id
    assert "another process has this node id" in caplog.text
    assert "another process" in (await early.node.readiness())[1]["reasons"]["registry"]
    generation = late.node.membership.generation()
    hub: Any = next(iter(keeper.node.hubs._hubs.values()))  # type: ignore[attr-defined]
    node_id = late.node.record.node_id
    desk = (await hub.term()).desk(RegistryDesk)
    first = desk.ledger.state.entries[node_id].seen_at
    await eventually(
        lambda: desk.ledger.state.entries[node_id].seen_at >= first + 3 * H
    )  # both would have spoken by then
    assert late.node.membership.generation() == generation
    assert early.node.membership.generation() is None


# ---- circles -------------------------------------------------------------------------------------------------------------
class Chicken(Service, name="chicken", version="1.0.0"):
    egg = client("egg", version="1")


class Egg(Service, name="egg", version="1.0.0"):
    chicken = client("chicken", version="1")


async def test_a_circle_across_nodes_is_named_once_with_both_places_and_the_remedy(
    party: Party, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        one, two = await party.host(Chicken), await party.host(Egg)
        await eventually(lambda: caplog.text.count("services that wait for each other") == 2)  # each of the two hosts
        await one.node.membership.announcement.change(one.node.record)
        await party.meet()
    said = [each.getMessage() for each in caplog.records if "wait for each other" in each.getMessage()]
    assert len(said) == 2
    for each in said:
        assert "chicken -> egg -> chicken" in each
        assert one.node.record.node_id in each
        assert two.node.record.node_id in each
        assert "required=False" in each
    assert f"{__file__}:" in said[0]
    reasons = (await one.node.readiness())[1]["reasons"]
    assert reasons["chicken"].startswith("waiting (egg); in a circle: chicken -> egg -> chicken")
    with pytest.raises(Unavailable):
        await one.client("egg", version="1").hatch()
