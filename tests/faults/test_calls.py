"""Clients on bad days: rows C1, C2, C8 and P1. Hosts of this process that call one another over TCP, through a proxy where the row is
about what is on its way."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from vyked_host import Service, api
from vyked_host.errors import CallError, DeadlineExceeded
from vyked_host.testing.waiting import eventually

from .history import percentile
from .mesh import UNSCALED, free_port, meets

CANCELS = 10_000


class Echo(Service, name="echo", version="1.0.0"):
    """Answers with what it was given, and notes when its handlers were cancelled."""

    def __init__(self):
        self.running, self.finished, self.cancelled = 0, set[int](), dict[int, float]()

    @api
    async def echo(self, id: int, seconds: float = 0.0, ballast: str = "") -> int:
        self.running += 1
        try:
            if seconds:
                await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled[id] = time.monotonic()
            raise
        finally:
            self.running -= 1
        self.finished.add(id)
        return id


async def behind_a_proxy(mesh):
    """(the service, a host that calls it over one connection, what is between them)."""
    port = free_port()
    proxy = await mesh.proxy(f"127.0.0.1:{port}")
    sets = [f"transports.tcp.port={port}", f"transports.tcp.advertise={proxy.address}"]
    server = await mesh.host("server", Echo, sets=sets)
    driver = await mesh.driver()
    await meets(driver, "echo", 1)
    return server.node.hosted[0].instance, driver, proxy


def left_behind(driver, echo):
    """Calls that wait at the caller, calls in flight there, entries of its connection, handlers that run."""
    client = driver.node.clients[-1]
    links = [each.link.best.channel.waiting for each in client.target.instances if each.link.best.channel is not None]
    in_flight = sum(each.in_flight for each in client.target.instances)
    return len(client.pending), in_flight, sum(map(len, links)), echo.running


# ---- C1 ----------------------------------------------------------------------------------------------------------------
async def test_C1_ten_thousand_cancels_over_one_link_leave_it_in_step_and_nothing_behind(new_mesh, timeline):
    mesh = new_mesh(UNSCALED)
    echo, driver, proxy = await behind_a_proxy(mesh)
    client, chance = driver.client(Echo), timeline.random
    assert await client.echo(-1) == -1  # the connection is there
    proxy.slow(latency=0.002, jitter=0.002)
    given_up, wrong, right, ids = dict[int, float](), [], 0, iter(range(10 * CANCELS))

    async def caller():
        nonlocal right
        while len(given_up) < CANCELS:
            id = next(ids)
            call = asyncio.ensure_future(client.echo.using(timeout=60.0)(id, chance.uniform(0.0, 0.03)))
            # one in four is patient, so that answers win now and then on a slow machine too
            await asyncio.wait({call}, timeout=chance.uniform(0.0, chance.choice((0.02, 0.02, 0.02, 0.1))))
            if call.cancel():
                given_up[id] = time.monotonic()
                await asyncio.wait({call})
            elif call.result() == id:
                right += 1
            else:
                wrong.append((id, call.result()))

    slack, began = mesh.slack(), time.monotonic()
    await asyncio.gather(*(caller() for _ in range(64)))
    await eventually(lambda: left_behind(driver, echo) == (0, 0, 0, 0), 10.0)
    heard = [echo.cancelled[id] - at for id, at in given_up.items() if id in echo.cancelled]
    timeline.note(
        "C1", cancels=len(given_up), answered=right, wrong=len(wrong), heard=len(heard),
        p99=percentile(heard, 0.99), dialled=proxy.accepted, seconds=time.monotonic() - began,
    )  # fmt: skip
    assert wrong == []
    assert right > 100  # a race is one only where both sides win now and then
    assert len(heard) > CANCELS / 4
    assert percentile(heard, 0.99) <= 0.5 + slack()
    assert proxy.accepted == 1
    assert await client.echo(-2) == -2


# ---- C2 ----------------------------------------------------------------------------------------------------------------
async def test_C2_answers_that_come_late_are_dropped_and_counted(new_mesh, timeline):
    echo, driver, proxy = await behind_a_proxy(new_mesh(UNSCALED))
    client = driver.client(Echo)
    assert await client.echo(-1) == -1
    counters = driver.node.clients[-1].target.instances[0].link.best.channel._counters
    proxy.to_client.latency = 1.0
    calls = [client.echo.using(timeout=0.2)(each) for each in range(200)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(each) for each in outcomes} == {DeadlineExceeded}
    assert {each.executed for each in outcomes} == {"unknown"}
    proxy.to_client.latency = 0.0
    late = list(range(1000, 1200))
    assert await asyncio.gather(*(client.echo(each) for each in late)) == late  # each its own, whatever came before
    finished = len(echo.finished & set(range(200)))
    await eventually(lambda: counters.late_answers == finished, 10.0)
    timeline.note("C2", finished=finished, late=counters.late_answers)
    assert finished == 200
    assert left_behind(driver, echo) == (0, 0, 0, 0)


# ---- C8 ----------------------------------------------------------------------------------------------------------------
async def test_C8_a_service_that_is_down_is_not_called_more_than_a_fifth_more(new_mesh, timeline):
    mesh = new_mesh(UNSCALED)
    servers = await mesh.hosts(3, Echo, prefix="s")
    driver = await mesh.driver()
    await meets(driver, "echo", 3)
    client = driver.client(Echo)
    assert await client.echo(-1) == -1
    routes = [next(each for each in host.node.dispatcher.routes if each.endpoint.service == "echo") for host in servers]
    for route in routes:
        route.open, route.closed_reason = False, "out of order"
    outcomes, began = Counter[str](), time.monotonic()

    async def caller():
        while time.monotonic() - began < 5.0:
            try:
                await client.echo(1)
            except CallError as error:
                outcomes[f"{error.code} {error.executed}"] += 1
            await asyncio.sleep(0.05)

    await asyncio.gather(*(caller() for _ in range(10)))
    calls = outcomes.total() + 1  # the one before
    extra = sum(route.counters.codes["UNAVAILABLE"] for route in routes) - outcomes.total()
    decided = driver.node.statistics()["clients"]["echo.echo"]["decisions"]
    timeline.note("C8", calls=calls, extra=extra, decided=decided, outcomes=dict(outcomes))
    assert set(outcomes) == {"UNAVAILABLE not_executed"}
    assert calls > 100
    assert 30 <= extra <= 0.2 * calls + 30
    assert decided["retries"] == extra
    assert decided["withheld"] > 0


# ---- P1 ----------------------------------------------------------------------------------------------------------------
async def test_P1_a_slow_and_narrow_network_is_slow_and_fails_nothing(new_mesh, timeline):
    """200 ms each way, give or take 100, and 1 Mbit/s: 96 calls of 1 KiB, 24 at once, and one of 64 KiB among them."""
    mesh = new_mesh(UNSCALED)
    _, driver, proxy = await behind_a_proxy(mesh)
    client, gate, took = driver.client(Echo), asyncio.Semaphore(24), []

    async def one(id, size=1024):
        async with gate:
            began = time.monotonic()
            assert await client.echo(id, ballast="x" * size) == id
            took.append(time.monotonic() - began)

    await one(0)
    proxy.slow(latency=0.2, jitter=0.1, bandwidth=125_000)
    await asyncio.gather(one(1, 64 << 10), *(one(each) for each in range(2, 98)))
    timeline.note("P1", calls=len(took), slowest=max(took))
    assert max(took) >= 0.4, "the network was as slow as it should be"
