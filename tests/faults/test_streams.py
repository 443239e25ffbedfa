"""Events in streams of a server on bad days: the scenarios of E1, with the server as one more that may be killed. The ack wait is
30 s times the scale: 1.2 s."""

from __future__ import annotations

import asyncio

import pytest

from tests.valkey import Valkey
from vyked_host.testing.waiting import eventually

from .history import breaches_of_delivery, duplicates
from .load import comes
from .test_events import all_finished, finished, published, two_publishers


@pytest.fixture
def streams():
    """A server that writes every command to its log before it answers."""
    server = Valkey("appendonly yes", "appendfsync always").start()
    yield server
    server.close()


def on(server):
    return f'[pubsub]\nuse = "redis-streams"\n[pubsub.redis-streams]\nurl = "{server.url}"\n'


async def test_D1_D11_consumers_and_server_are_killed_nothing_is_lost_and_repetitions_say_so(
    new_mesh, streams, timeline
):
    mesh = new_mesh(on(streams))
    await mesh.start("hub", "source")
    consumers = [await mesh.start(f"c{each}", "stock", "mail", options="delay=0.05") for each in range(3)]
    _, sources, sending = await two_publishers(mesh, 2000, pause=0.005, timeout=10, tries=5)
    for turn in range(3):
        await eventually(lambda turn=turn: len(published(sources)) > 400 * (turn + 1), 30)
        victim = timeline.random.randrange(3)
        consumers[victim].kill()
        timeline.note(f"kill -9 {consumers[victim].name}")
        consumers[victim] = await mesh.start(f"c{victim}x{turn}", "stock", "mail", options="delay=0.05")
        if turn:
            streams.kill()
            timeline.note("kill -9 of the server")
            await asyncio.to_thread(streams.start)
    await sending
    await all_finished(mesh, published(sources), within=30)
    wanted = {each.id for each in published(sources) if each.acked}
    await comes(lambda: not wanted - finished(mesh, "mail"), 20)
    handled = mesh.handlings()
    timeline.note("D", accepted=len(wanted), refused=[dict(each.errors) for each in sources], again=duplicates(handled))
    assert breaches_of_delivery(published(sources), handled, ["stock", "mail"], {}, {}) == []
    assert len(wanted) == 2000  # publishers wait for the server to be back, and publish again under the same id


async def test_D3_a_server_that_hangs_costs_time_and_no_event(new_mesh, streams, timeline):
    mesh = new_mesh(on(streams))
    await mesh.start("hub", "source")
    await mesh.start("c1", "stock")
    _, sources, sending = await two_publishers(mesh, 600, pause=0.01, timeout=20)
    await eventually(lambda: len(published(sources)) > 200, 20)
    streams.freeze()
    timeline.note("SIGSTOP of the server")
    before = len(finished(mesh))
    await eventually(lambda: len(published(sources)) > 210 or len(finished(mesh)) >= before, 5)
    streams.thaw()
    await sending
    await all_finished(mesh, published(sources))
    assert breaches_of_delivery(published(sources), mesh.handlings(), ["stock"], {}, {}) == []
