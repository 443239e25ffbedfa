"""Defects of Vyked 2.x about its registry, each as what a mesh of hosts does instead (docs/defects-of-vyked.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.valkey import Valkey
from vyked_host import Service, api, client, get, publish, subscribe, xsubscribe
from vyked_host.assembly import Host
from vyked_host.builtin.embedded.messages import Held
from vyked_host.errors import Unavailable
from vyked_host.testing.waiting import eventually

from .party import Party, holder


class Shop(Service, name="shop", version="1.2.0"):
    @api
    async def where(self) -> str:
        return "shop"


class Till(Service, name="till", version="1.0.0"):
    @api
    async def where(self) -> str:
        return "till"


class Cart(Service, name="cart", version="1.0.0"):
    shop = client(Shop)
    till = client(Till)

    def __init__(self) -> None:
        self.told: list[Any] = []

    async def on_active(self) -> None:
        self.told.append([await self.shop.where(), await self.till.where()])

    async def on_inactive(self, missing: Sequence[str]) -> None:
        self.told.append(f"lacks {', '.join(missing)}")


class Pages(Service, name="pages", version="1.0.0"):
    @get("/page")
    async def page(self) -> str:
        return "a page"


class Source(Service, name="source", version="1.0.0"):
    @publish
    def happened(self, number: int) -> int:
        return number


class Everybody(Service, name="everybody", version="1.0.0"):
    def __init__(self) -> None:
        self.seen: list[int] = []

    @subscribe(Source.happened)
    async def on_happened(self, number: int) -> None:
        self.seen.append(number)


class Led(Service, name="led", version="1.0.0"):
    def __init__(self) -> None:
        self.seen: list[int] = []

    @xsubscribe(Source.happened, strategy="LEADER")
    async def on_happened(self, number: int) -> None:
        self.seen.append(number)


async def leave(party: Party, host: Host) -> None:
    party.hosts.remove(host)
    await host.stop()


async def test_14_a_dependency_that_went_and_came_while_another_was_awaited_is_used(party: Party) -> None:
    cart = await party.host(Cart)
    first = await party.host(Shop)
    await party.meet()
    await leave(party, first)
    await party.meet()
    await party.host(Shop)
    await party.meet()
    assert cart.instance(Cart).told == []
    assert (await cart.node.readiness())[1]["reasons"] == {"cart": "waiting (till)"}
    await party.host(Till)
    await eventually(lambda: cart.instance(Cart).told == [["shop", "till"]])


async def test_16_a_host_that_serves_http_only_is_missed_like_any_other(party: Party) -> None:
    watcher, pages = await party.host(Shop), await party.host(Pages, transport="http")
    await party.meet()
    node_id = pages.node.record.node_id
    assert {each.transport for each in watcher.node.directory.nodes[node_id].addresses} == {"http"}
    await party.kill(pages)
    await eventually(lambda: node_id not in watcher.node.directory.view.nodes)


async def test_17_a_node_that_announces_itself_again_is_listed_once_and_gone_after_one_withdrawal(party: Party) -> None:
    watcher, shop = await party.host(Till), await party.host(Shop)
    await party.meet()
    announcement = shop.node.membership.announcement
    for _ in range(2):
        lease: Any = announcement._lease
        lease._end("expired", Held())
        await eventually(partial(is_another, announcement, lease.generation))
    client_ = watcher.client(Shop)
    node_id = shop.node.record.node_id
    await eventually(lambda: known(watcher, node_id) == announcement.generation)
    assert await client_.where() == "shop"
    await leave(party, shop)
    await eventually(lambda: known(watcher, node_id) is None)
    with pytest.raises(Unavailable, match="no instance of shop"):
        await client_.where()


def is_another(announcement: Any, generation: Any) -> bool:
    return announcement.generation not in (None, generation)


def known(watcher: Host, node_id: str) -> Any:
    found = watcher.node.directory.view.nodes.get(node_id)
    return found and found.generation


async def test_18_a_leader_that_dies_is_followed_by_another_and_no_event_goes_to_the_dead(party: Party) -> None:
    source = await party.host(Source)
    consumers = [await party.host(Led), await party.host(Led)]
    await party.meet()
    await source.publish(Source.happened, 1)
    await eventually(lambda: any(each.instance(Led).seen for each in consumers))
    leader = next(each for each in consumers if each.instance(Led).seen)
    other, dead = next(each for each in consumers if each is not leader), leader.instance(Led)
    await party.kill(leader)
    for number in (2, 3):
        await source.publish(Source.happened, number)
    await eventually(lambda: other.instance(Led).seen == [2, 3])
    assert dead.seen == [1]


async def test_19_each_event_is_handled_once_however_often_the_registry_starts_anew(party: Party) -> None:
    hosts = [await party.host(Source, Everybody, Led) for _ in range(4)]
    await party.meet()
    for number in range(3):
        last = holder(hosts)
        hosts.remove(last)
        epoch = last.node.directory.view.epoch
        assert epoch is not None
        await leave(party, last)
        await party.meet_again(epoch)
        await hosts[0].publish(Source.happened, number)
        everybody, led = [each.instance(Everybody).seen for each in hosts], [each.instance(Led).seen for each in hosts]
        await eventually(partial(seen_by, all, everybody, number))
        await eventually(partial(seen_by, any, led, number))
    for host in hosts:
        assert host.instance(Everybody).seen == [0, 1, 2]
    await hosts[0].node.publisher.flush()
    handled = [number for host in hosts for number in host.instance(Led).seen]
    assert len(handled) == len(set(handled))


def seen_by(how_many: Callable[[Iterable[bool]], bool], seen: Sequence[list[int]], number: int) -> bool:
    return how_many(number in each for each in seen)


async def test_23_a_host_without_subscriptions_subscribes_to_nothing() -> None:
    server = Valkey().start()
    try:
        text = f'[host]\nmesh = "silent"\n[plugins]\nautoload = false\n[transports.local]\n[pubsub]\nuse = "redis"\n[pubsub.redis]\nurl = "{server.url}"\n'
        async with Host(Source, text=text) as host, Redis.from_url(server.url) as redis:
            await host.publish(Source.happened, 1)
            commands = await redis.info("commandstats")
            assert "cmdstat_publish" in commands
            assert not any("subscribe" in each for each in commands)
    finally:
        await asyncio.to_thread(server.close)


async def test_28_each_instance_is_known_by_its_node_and_none_hides_another(party: Party) -> None:
    hosts = [await party.host(Shop), await party.host(Shop), await party.host(Shop, Till)]
    await party.meet()
    known = hosts[0].node.directory.view.nodes
    assert {node_id: [each.service for each in found.record.instances] for node_id, found in known.items()} == {
        hosts[0].node.record.node_id: ["shop"], hosts[1].node.record.node_id: ["shop"], hosts[2].node.record.node_id: ["shop", "till"]
    }  # fmt: skip
    assert len({found.generation for found in known.values()}) == 3
