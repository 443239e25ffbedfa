"""The loops that keep a node at its bus and its registry outlive an error that nobody expected, and tell of it once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from vyked_host.builtin.embedded.events import bus as buses
from vyked_host.builtin.embedded.events.desk import BusDesk
from vyked_host.builtin.embedded.events.journal import Journal
from vyked_host.builtin.embedded.events.letters import Succession
from vyked_host.builtin.embedded.events.links import Away
from vyked_host.builtin.embedded.lease import EmbeddedLease
from vyked_host.builtin.embedded.messages import Answer, Speaker
from vyked_host.builtin.embedded.options import BusOptions
from vyked_host.contracts import Generation
from vyked_host.testing import environment
from vyked_host.testing.conformance.pubsub import Inbox, to
from vyked_host.testing.waiting import eventually

from .party import Party

SPEAKER = Speaker(node_id="node", generation=Generation(epoch=1, counter=1), life=1)


def fails_first(times: int, then: Callable[..., Any]) -> Callable[..., Any]:
    """Raises what is no error of ours so often, then does what it should."""
    left = [times]

    async def failing(*arguments: Any, **more: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise ZeroDivisionError("a defect")
        return await then(*arguments, **more)

    return failing


async def test_a_node_follows_its_bus_after_a_defect(
    party: Party, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await party.member()
    monkeypatch.setattr(buses.EmbeddedBus, "_opened", fails_first(3, buses.EmbeddedBus._opened))
    away = await party.member()
    await away.publish()
    assert away.bus.mishaps.count == 3
    assert [each.message for each in caplog.records if each.exc_info] == ["following the event bus failed and goes on"]


async def test_a_stream_of_events_is_opened_again_after_a_defect(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    holder, away = await party.member(), await party.member()
    monkeypatch.setattr(Away, "_stream", fails_first(3, Away._stream))
    inbox = Inbox()
    link: Any = away.bus._link
    await away.bus.subscribe(to("g", "m"), inbox)
    link.close()
    link._is_listening = False
    link._listen()
    await eventually(lambda: link.mishaps.count == 3)
    sent = await holder.publish()
    await eventually(lambda: inbox.ids == [sent.id])


async def test_a_file_is_opened_again_after_a_defect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    restore, left = Journal.restore, [2]

    def failing(journal: Journal, broker: Any) -> None:
        restore(journal, broker)
        if left[0]:
            left[0] -= 1
            raise ZeroDivisionError("a defect")

    monkeypatch.setattr(Journal, "restore", failing)
    async with environment() as env:
        desk = BusDesk.furnished(BusOptions(), env, str(tmp_path / "events.db"), before=Succession())
        await desk.open()
        await desk.ready()
        await desk.finish(1.0)
        await desk.close(None)
    assert left == [0]
    assert sum(bool(each.exc_info) for each in caplog.records) == 1


async def test_heartbeats_go_on_after_a_defect(caplog: pytest.LogCaptureFixture) -> None:
    async with environment() as env:
        registry = Registry(env)
        lease = EmbeddedLease(registry, SPEAKER, 0.01)  # type: ignore[arg-type]
        await eventually(lambda: registry.beats > 3)
        lease.close()
        assert lease.mishaps.count >= 3
    assert sum(bool(each.exc_info) for each in caplog.records if "lease of node" in each.message) == 2  # one each loop


class Registry:
    """As a lease sees it; it answers the heartbeat after some defects."""

    def __init__(self, env: Any) -> None:
        self.log, self.chance, self.scale = env.log, env.rng.random, 0.001
        self.spawn, self.beats = env.tasks, 0

    async def desk(self) -> Any:
        raise ZeroDivisionError("a defect")

    async def ask(self, _question: Any) -> Answer:
        self.beats += 1
        if self.beats <= 3:
            raise ZeroDivisionError("a defect")
        return Answer(epoch=1, revision=1, heartbeat_s=1.0)

    def closed(self, _lease: Any) -> None:
        """Nothing is kept here."""


async def test_a_term_that_ends_while_a_node_says_goodbye_does_not_bring_it_back(party: Party) -> None:
    _holder, away, other = [await party.member() for _ in range(3)]
    await away.publish()
    link, hub = cast(Any, away.bus._link), cast(Any, away.hub)
    quits, before = link.quit, hub._term

    async def quit_late(within: float) -> None:
        before.over.set_result("it ended")
        await eventually(lambda: hub._term is not before)
        for _ in range(20):
            await other.publish()  # time enough to join
        await quits(within)

    link.quit = quit_late
    await away.bus.aclose()
    assert away.bus._terms == 1
    assert away.bus._link is None
