"""When nodes are forgotten that a registry which started anew was not told of: after the warm-up, and never because this host slept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from vyked_host.model.topology import Change, Generation, NodeRecord
from vyked_host.runtime.directory import Directory
from vyked_host.runtime.dispatcher import Dispatcher
from vyked_host.runtime.links import Link
from vyked_host.runtime.membership import Membership
from vyked_host.runtime.tasks import TaskScope
from vyked_host.testing.waiting import eventually

LOG = logging.getLogger("test")
WARM_UP_S = 15.0


def record(node_id: str) -> NodeRecord:
    return NodeRecord(node_id=node_id, namespace="m", addresses=(), instances=())


def snapshot(epoch: int, *node_ids: str, revision: int = 0) -> Change:
    nodes = tuple((Generation(epoch=epoch, counter=1), record(each)) for each in node_ids)
    return Change(epoch=epoch, revision=revision, snapshot=not revision, nodes=nodes, gone=(), doubts={})


class Clock:
    """Goes when it is told to; a timer fires when `fire` is called, however late that is."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.timer: tuple[float, Callable[[], None]] | None = None

    def now(self) -> float:
        return self.time

    def unix(self) -> float:
        return self.time

    def expire(self, when: float, expired: Callable[[], None]) -> Callable[[], None]:
        self.timer = (when, expired)
        return lambda: setattr(self, "timer", None)

    def fire(self, *, late: float = 0.0) -> None:
        assert self.timer is not None
        (when, expired), self.timer = self.timer, None
        self.time = when + late
        expired()


class Told:
    """A registry whose changes come when the test says so."""

    def __init__(self) -> None:
        self.changes: asyncio.Queue[Change] = asyncio.Queue()

    async def announce(self, record: NodeRecord) -> Any:
        self.record = record
        return self

    async def aclose(self) -> None:
        pass

    @property
    def generation(self) -> Generation:
        return Generation(epoch=1, counter=9)

    @property
    def lost(self) -> asyncio.Future[str]:
        return asyncio.get_running_loop().create_future()

    async def withdraw(self) -> None:
        pass

    async def watch(self, services: frozenset[str] | None) -> AsyncIterator[Change]:
        assert services is None
        while True:
            yield await self.changes.get()


async def after_a_restart(clock: Clock, tasks: TaskScope) -> tuple[Told, Directory, Membership]:
    """This node knew `a` and `b`; the registry that started anew was told of nobody yet."""

    async def dial(_address: Any, _limit: float) -> Any:
        raise AssertionError("nobody dials here")

    home, registry = record("home"), Told()
    directory = Directory(Link(home, dial, 1.0), warm_up_s=WARM_UP_S)
    directory.dial_with(lambda found: Link(found, dial, 1.0))
    membership = Membership(
        record=home, registry=registry, directory=directory, dispatcher=Dispatcher.__new__(Dispatcher), hosted=(),
        tasks=tasks, clock=clock, log=LOG, first_s=5.0,
    )  # fmt: skip
    registry.changes.put_nowait(snapshot(1, "a", "b"))
    await membership.join(())
    registry.changes.put_nowait(snapshot(2))
    await eventually(lambda: directory.view.epoch == 2)
    return registry, directory, membership


async def test_who_does_not_come_back_is_forgotten_after_the_warm_up() -> None:
    clock, tasks = Clock(), TaskScope(LOG)
    _, directory, membership = await after_a_restart(clock, tasks)
    assert set(directory.nodes) == {"home", "a", "b"}
    clock.fire(late=0.05)
    assert set(directory.nodes) == {"home"}
    await membership.leave()
    await tasks.cancel()


async def test_a_host_that_was_held_up_hears_first_what_was_said_meanwhile() -> None:
    clock, tasks = Clock(), TaskScope(LOG)
    registry, directory, membership = await after_a_restart(clock, tasks)
    registry.changes.put_nowait(snapshot(2, "a", revision=1))
    clock.fire(late=3.0)
    assert set(directory.nodes) == {"home", "a", "b"}
    assert clock.timer is not None
    assert clock.timer[0] == clock.time + 3.0
    await eventually(lambda: directory.view.revision == 1)
    clock.fire()
    assert set(directory.nodes) == {"home", "a"}
    await membership.leave()
    await tasks.cancel()
