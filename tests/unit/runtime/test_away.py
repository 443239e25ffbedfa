"""Calls to nodes whose transport has lost its own servers: they go where another transport leads, or wait, and are no attempts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from vyked_host.errors import DeadlineExceeded, NotConnected, Unavailable
from vyked_host.model.topology import Address, Instance, NodeRecord
from vyked_host.runtime.links import Link
from vyked_host.service.clients import CallOptions
from vyked_host.testing.virtual_time import virtual_time

from .shops import Channel, Shops, answers

DIAL_S = 1.0
AWAY = "nats://a.example: Connection refused"


@pytest.fixture(autouse=True)
async def virtual() -> AsyncIterator[None]:
    with virtual_time():
        yield


class Mesh(Shops):
    """`away`: the nodes whose transport has no connection; those of `dead` refuse. The others can be dialled."""

    def __init__(self, count: int, *away: str) -> None:
        self.away, self.dead, self.dials = set(away), set[str](), 0
        super().__init__(*(answers for _ in range(count)))

    def _link(self, instance: Channel) -> Link:
        async def dial(_address: Address, _limit: float) -> Any:
            self.dials += 1
            if instance.node_id in self.away:
                await asyncio.sleep(DIAL_S)
                raise NotConnected(AWAY, executed="not_sent")
            if instance.node_id in self.dead:
                raise Unavailable("nobody listens there", executed="not_sent")
            return instance

        served = Instance(service="shop", version="1.0.0", status="active")
        addresses = (Address(transport="nats", uri=f"nats:{instance.node_id}"),)
        record = NodeRecord(node_id=instance.node_id, namespace="test", addresses=addresses, instances=(served,))
        return Link(record, dial, DIAL_S)


def later(seconds: float, then: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, then)


async def test_many_calls_wait_for_the_transport_and_none_counts_as_an_attempt() -> None:
    mesh = Mesh(2, "n0", "n1")
    buy = mesh.bind()
    later(3.5, mesh.away.clear)
    assert await asyncio.gather(*(buy() for _ in range(1000))) == [1] * 1000
    assert sum(mesh.asked) == 1000
    assert mesh.decisions == {}
    assert mesh.left == (0, 0)
    assert mesh.dials < 12  # shared by all who wait


async def test_calls_go_where_another_transport_leads_and_cost_no_attempt() -> None:
    mesh = Mesh(5, "n0", "n1", "n2", "n3")
    assert await asyncio.gather(*(mesh.bind()() for _ in range(100))) == [1] * 100
    assert mesh.asked == [0, 0, 0, 0, 100]
    assert mesh.decisions == {}


async def test_a_call_that_is_for_one_instance_waits_for_that_one() -> None:
    mesh = Mesh(2, "n0")
    later(2.5, mesh.away.clear)
    assert await mesh.bind()(CallOptions(instance="n0")) == 1
    assert mesh.asked == [1, 0]


async def test_when_the_time_is_over_the_error_says_what_was_waited_for() -> None:
    mesh = Mesh(1, "n0")
    with pytest.raises(DeadlineExceeded, match=AWAY) as late:
        await mesh.bind()()
    assert late.value.executed == "not_sent"
    assert mesh.left == (0, 0)


async def test_who_is_found_dead_once_the_transport_is_back_costs_attempts_as_ever() -> None:
    mesh = Mesh(1, "n0")
    mesh.dead.add("n0")
    later(1.5, mesh.away.clear)
    with pytest.raises(Unavailable, match="nobody listens there") as refused:
        await mesh.bind()()
    assert not isinstance(refused.value, NotConnected)
    assert mesh.decisions == {"retries": 2}
