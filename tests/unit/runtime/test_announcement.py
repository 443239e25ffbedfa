"""A node in the registry: announced again when its lease is lost, and gone when it has left, whatever was under way then."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from vyked_host.contracts import Anew
from vyked_host.errors import Unavailable
from vyked_host.model.topology import Generation, NodeRecord
from vyked_host.runtime.announcement import Announcement
from vyked_host.runtime.tasks import TaskScope
from vyked_host.testing.waiting import eventually

RECORD = NodeRecord(node_id="n", namespace="m", addresses=(), instances=())
LOG = logging.getLogger("test")


class Granted:
    """A lease of the registry below."""

    def __init__(self, registry: "Far", counter: int) -> None:
        self.generation = Generation(epoch=1, counter=counter)
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._registry = registry

    async def update(self, record: NodeRecord) -> None:
        self._registry.nodes[record.node_id] = self.generation

    async def withdraw(self) -> None:
        if self._registry.nodes.get("n") == self.generation:
            del self._registry.nodes["n"]


class Far:
    """A registry that takes in at once what it is told, and whose answer is under way for as long as `answers` is not set."""

    def __init__(self) -> None:
        self.nodes: dict[str, Generation] = {}
        self.leases: list[Granted] = []
        self.heard, self.answers = asyncio.Event(), asyncio.Event()
        self.failure: Exception | None = None

    async def announce(self, record: NodeRecord) -> Granted:
        lease = Granted(self, len(self.leases) + 1)
        self.leases.append(lease)
        self.nodes[record.node_id] = lease.generation
        self.heard.set()
        await self.answers.wait()
        if self.failure is not None:
            raise self.failure
        return lease

    def watch(self, _services: frozenset[str] | None) -> AsyncIterator[Any]:
        raise NotImplementedError

    async def aclose(self) -> None:
        self.nodes.clear()


def announcement(registry: Far, tasks: TaskScope) -> Announcement:
    now = asyncio.get_running_loop().time
    return Announcement(RECORD, registry=registry, tasks=tasks, log=LOG, now=now, scale=0.01)


async def announced_again(registry: Far, tasks: TaskScope) -> Announcement:
    """A node whose lease was lost, while its second announcement is under way."""
    registry.answers.set()
    node = announcement(registry, tasks)
    await node.begin(RECORD)
    registry.answers.clear()
    registry.heard.clear()
    registry.leases[0].lost.set_result("the registry started anew")
    await registry.heard.wait()
    return node


async def test_a_node_that_leaves_while_it_is_announced_again_is_not_left_behind_in_the_registry() -> None:
    registry, tasks = Far(), TaskScope(LOG)
    node = await announced_again(registry, tasks)
    leaving = asyncio.ensure_future(node.withdraw())
    await asyncio.sleep(0)
    registry.answers.set()
    await leaving
    await tasks.idle()
    assert registry.nodes == {}
    assert node.generation is None


async def test_a_start_that_is_given_up_during_the_first_word_leaves_nothing_behind() -> None:
    registry, tasks = Far(), TaskScope(LOG)
    node = announcement(registry, tasks)
    starting = asyncio.ensure_future(node.begin(RECORD))
    await registry.heard.wait()
    starting.cancel()
    leaving = asyncio.ensure_future(node.withdraw())
    await asyncio.sleep(0)
    registry.answers.set()
    await leaving
    await tasks.idle()
    assert starting.cancelled()
    assert registry.nodes == {}


async def test_the_first_word_is_said_again_as_long_as_a_start_may_take() -> None:
    registry, tasks = Far(), TaskScope(LOG)
    registry.failure = Unavailable("no answer in time", executed="unknown")
    registry.answers.set()
    node = announcement(registry, tasks)
    starting = asyncio.ensure_future(node.begin(RECORD, patience_s=60.0))
    await eventually(lambda: len(registry.leases) >= 3)
    registry.failure = None
    await starting
    assert node.generation == registry.nodes["n"]
    await node.withdraw()


@pytest.mark.parametrize(("executed", "patience_s"), [("not_executed", 60.0), ("unknown", 0.0)])
async def test_who_is_refused_or_has_no_time_left_is_not_announced(executed: Any, patience_s: float) -> None:
    registry, tasks = Far(), TaskScope(LOG)
    registry.failure = Unavailable("no", executed=executed)
    registry.answers.set()
    node = announcement(registry, tasks)
    with pytest.raises(Unavailable):
        await node.begin(RECORD, patience_s=patience_s)
    assert len(registry.leases) == 1
    await node.withdraw()


async def test_an_announcement_that_fails_while_the_node_leaves_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    registry, tasks = Far(), TaskScope(LOG)
    node = await announced_again(registry, tasks)
    registry.failure = Unavailable("the registry is away", executed="unknown")
    leaving = asyncio.ensure_future(node.withdraw())
    await asyncio.sleep(0)
    registry.answers.set()
    await leaving
    await tasks.idle()
    assert node.generation is None
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


async def test_who_has_left_is_not_announced_again() -> None:
    registry, tasks = Far(), TaskScope(LOG)
    registry.answers.set()
    node = announcement(registry, tasks)
    await node.begin(RECORD)
    await node.withdraw()
    registry.leases[0].lost.set_result("the registry started anew")
    await tasks.idle()
    assert len(registry.leases) == 1
    await node.withdraw()


@pytest.mark.parametrize(("reason", "level"), [(Anew("it started anew"), "INFO"), ("no sign of life", "WARNING")])
async def test_a_registry_that_started_anew_is_no_cause_for_a_warning(
    reason: str, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    registry, tasks = Far(), TaskScope(LOG)
    registry.answers.set()
    node = announcement(registry, tasks)
    await node.begin(RECORD)
    registry.heard.clear()
    registry.leases[0].lost.set_result(reason)
    await registry.heard.wait()
    await node.withdraw()
    assert [each.levelname for each in caplog.records if "announcing again" in each.message] == [level]
