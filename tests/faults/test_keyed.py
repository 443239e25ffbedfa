"""Calls with an idempotency key on a bad day: an instance is killed while it runs some, and every call is made twice."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter

import pytest

from tests.valkey import Valkey
from vyked_host.testing.waiting import eventually

from .fleet import Ledger
from .mesh import UNSCALED, meets

CALLS, AT_ONCE, KILL_AFTER = 300, 30, 100


@pytest.fixture(params=["sqlite", "redis"])
def store(request):
    """The settings of a store that three instances share."""
    if request.param == "sqlite":
        yield ["results.use=sqlite", "results.sqlite.path=results.db"]
        return
    server = Valkey().start()
    yield ["results.use=redis", f"results.redis.url={server.url}"]
    server.close()


async def test_calls_with_a_key_run_once_although_an_instance_is_killed(new_mesh, timeline, store):
    mesh = new_mesh(f"{UNSCALED}key_lease = 1.5\n")
    await mesh.start("hub", "gauge")
    # one after the other: they make the ledger's own file, and who changes its mode waits for the others
    workers = [await mesh.start(f"w{each}", "ledger", options="delay=0.01", sets=store) for each in (1, 2, 3)]
    driver = await mesh.driver("clients.default.timeout=20")
    await meets(driver, "ledger", 3)
    victim = timeline.random.choice(workers)
    first = await entered(driver, lambda done: victim.kill() if done == KILL_AFTER else None)
    again = await entered(driver, lambda _done: None)

    ran = Counter(each.id for each in mesh.executions())
    twice = {id for id, count in ran.items() if count > 1}
    timeline.note("killed while it ran", calls=len(twice), of=CALLS)
    assert not victim.is_alive
    assert first == again, "whoever comes again gets what the call gave"
    assert sorted(first.values()) == entries(mesh), "each is one entry"
    assert len(entries(mesh)) == CALLS
    assert set(ran) == set(first)
    assert all(count <= 2 for count in ran.values())
    begun = {each.id for each in mesh.executions() if each.node == victim.name}
    assert twice <= begun, "only what the killed one had begun was begun again"
    assert len(twice) <= AT_ONCE


async def entered(driver, told):
    """Make every call, some at once; the answers by id. `told` hears how many are done."""
    answers, gate = {}, asyncio.Semaphore(AT_ONCE)
    enter = driver.client(Ledger).enter

    async def one(id):
        async with gate:
            answers[id] = await enter.using(idempotency_key=f"key-{id}")(id)
        told(len(answers))

    await asyncio.gather(*(one(f"c{each}") for each in range(CALLS)))
    return answers


def entries(mesh):
    """The numbers of all entries."""
    with sqlite3.connect(mesh.journals / "ledger.db") as db:
        found = [number for (number,) in db.execute("SELECT number FROM entry ORDER BY number")]
    db.close()
    return found


async def test_who_was_taken_for_dead_and_wakes_up_changes_nothing(mesh, store):
    """A frozen instance loses its key after the lease; what it gives when it thaws is not what is given again."""
    await mesh.start("hub", "gauge")
    workers = {name: await mesh.start(name, "ledger", options="delay=0.2", sets=store) for name in ("w1", "w2")}
    driver = await mesh.driver("clients.default.timeout=20")
    await meets(driver, "ledger", 2)
    enter = driver.client(Ledger).enter.using(idempotency_key="k")
    first = asyncio.ensure_future(enter("a"))
    await eventually(lambda: mesh.executions())
    frozen = workers.pop(mesh.executions()[0].node)
    frozen.freeze()
    assert await first == 1, "the connection is given up, the key taken over"
    frozen.thaw()
    await eventually(lambda: frozen.has_said("taken for dead"))
    assert await enter("a") == 1
    assert [each.node for each in mesh.executions()] == [frozen.name, *workers]
