"""Done when 4: the same over mutual TLS, on loopback. `make chaos` has it between two network namespaces."""

from __future__ import annotations

import asyncio

import pytest

from vyked_host.errors import StartError
from vyked_host.testing.waiting import eventually

from .certificates import TABLE, issue
from .history import breaches_of_calls, breaches_of_delivery
from .load import Calls, Events, comes
from .mesh import H, T, hub_of, meets
from .test_events import DURABLE, all_finished, finished


@pytest.fixture
def secure(new_mesh):
    """A mesh that speaks TLS only, whose queues outlive a holder."""
    mesh = new_mesh(TABLE + DURABLE)
    issue(mesh.folder, "127.0.0.1")
    return mesh


async def test_done_when_4_kill_9_of_any_one_under_load_over_loopback_tls(secure, timeline):
    mesh = secure
    nodes = [await mesh.start(f"n{each}", "worker", "source", "stock") for each in range(3)]
    driver = await mesh.driver()
    await meets(driver, "worker", 3)
    source = Events(driver, "p", timeout=10)
    kills = []
    async with Calls(driver, rate=200) as load:
        sending = asyncio.ensure_future(source.send(800, pause=0.004))
        for which in ("a guest", "the holder"):
            sent = len(source.published)
            await eventually(lambda sent=sent: len(source.published) > sent + 150, 20)
            holder = hub_of(driver).holder
            victim = next(each for each in nodes if (each.node_id == holder) == (which == "the holder"))
            kills.append(victim.kill())
            timeline.note(f"kill -9 of {which}, {victim.name}")
            nodes.remove(victim)
            nodes.append(await mesh.start(f"{victim.name}x", "worker", "source", "stock"))
            await meets(driver, "worker", 3)
        await sending
    await all_finished(mesh, source.published)
    wanted = {each.id for each in source.published if each.acked}
    timeline.note(
        "TLS", calls=len(load.made), failures=load.failures(), accepted=len(wanted), refused=dict(source.errors)
    )
    assert breaches_of_calls(load.made, mesh.executions()) == []
    assert breaches_of_delivery(source.published, mesh.handlings(), ["stock"], {}, {}) == []
    assert wanted
    assert [each for each in load.failed if each.idempotent] == []
    assert {each.outcome for each in load.failed} <= {"unknown"}


async def test_done_when_4_a_graceful_stop_of_the_holder_over_loopback_tls_loses_nothing_at_all(secure, timeline):
    mesh = secure
    nodes = [await mesh.start(f"n{each}", "worker", "source", "stock") for each in range(3)]
    driver = await mesh.driver()
    await meets(driver, "worker", 3)
    source = Events(driver, "p", timeout=10)
    async with Calls(driver, rate=200) as load:
        sending = asyncio.ensure_future(source.send(400, pause=0.004))
        await eventually(lambda: len(source.published) > 100, 20)
        holder = next(each for each in nodes if each.node_id == hub_of(driver).holder)
        holder.terminate()
        assert await holder.ended() == 0
        await sending
    await comes(lambda: {each.id for each in source.published} == finished(mesh), 15)
    timeline.note("TLS", calls=len(load.made), failures=load.failures(), refused=dict(source.errors))
    assert breaches_of_calls(load.made, mesh.executions()) == []
    assert breaches_of_delivery(source.published, mesh.handlings(), ["stock"], {}, {}) == []
    assert source.acked == 400
    assert load.failed == []


async def test_done_when_4_who_has_another_authority_is_not_let_in_and_harms_nobody(secure, new_mesh, timeline):
    mesh = secure
    await mesh.start("n1", "worker")
    driver = await mesh.driver()
    await meets(driver, "worker", 1)
    stranger = new_mesh(TABLE, name=mesh.name)
    issue(stranger.folder, "127.0.0.1")
    rogue = stranger.spawn("rogue", "worker", sets=[f"registry.embedded.address={mesh.address}"])
    async with Calls(driver, tasks=10, rate=100) as load:
        code = await rogue.ended(60)
        await eventually(lambda: len(load.made) > 20 * T / H)
    timeline.note("rogue", code=code, said=rogue.lines[-1:])
    assert code == 3
    assert load.failed == []
    assert set(load.nodes) == {"n1"}
    with pytest.raises(StartError):
        await stranger.driver(f"registry.embedded.address={mesh.address}")
