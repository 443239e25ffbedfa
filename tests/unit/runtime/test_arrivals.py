"""When deliveries are begun: within the step in which a connection brought them, or in the next turn."""

import asyncio
import contextvars
import gc
import logging
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from vyked_host.runtime.arrivals import Arrivals
from vyked_host.runtime.inside import LONGEST_S, Share
from vyked_host.runtime.tasks import TaskScope
from vyked_host.runtime.turns import Begin

SEEN: contextvars.ContextVar[str] = contextvars.ContextVar("seen")


class Run:
    """One delivery; `body` is what its handler does."""

    reason = None
    ended = False

    def __init__(self, under: "Under", name: str, body: Any = None) -> None:
        self.began, self._under, self._name, self._body = time.monotonic(), under, name, body

    async def run(self) -> None:
        self._under.begun.append(self._name)
        if self._body is not None:
            await self._body()
        self.ended = True
        self._under.ended.append(self._name)

    def started(self, task: asyncio.Task[None]) -> None:
        self._under.scope.adopt(task, f"event {self._name}")

    def abandoned(self, task: asyncio.Task[None]) -> None:
        """Python's own eager tasks say so of those that are over."""


class Under:
    """What is under test, and what happened."""

    def __init__(self, most: int = 16, share: Share | None = None) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.scope = TaskScope(logging.getLogger("vyked.test"))
        begin: Begin = self._begin
        loop = asyncio.get_running_loop()
        self.arrivals = Arrivals(loop, begin, most, share or Share(loop))

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return contextvars.Context().run(self.scope.begin, work, "events")

    async def over(self, count: int) -> None:
        """So many have ended, after as many turns of the loop at most."""
        for _ in range(2 * count):
            await asyncio.sleep(0)
        assert len(self.ended) == count

    def come(self, name: str, body: Any = None) -> None:
        self.arrivals.start(Run(self, name, body))


async def brought(step: Any) -> None:
    """`step` as a connection does it: in no task."""
    done = asyncio.get_running_loop().create_future()

    def now() -> None:
        try:
            step()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(None)

    asyncio.get_running_loop().call_soon(now)
    await done


async def test_what_a_connection_brings_is_over_within_that_step_where_its_handler_does_not_suspend() -> None:
    under = Under()

    def step() -> None:
        under.come("one")
        assert under.ended == ["one"]
        under.come("two")
        assert under.ended == ["one", "two"]
        assert asyncio.current_task(asyncio.get_running_loop()) is None

    await brought(step)


async def test_within_a_task_nothing_is_begun_before_the_next_turn() -> None:
    under = Under()
    under.come("one")
    under.come("two")
    assert not under.begun
    await asyncio.sleep(0)
    assert under.ended == ["one", "two"]


async def test_what_comes_later_does_not_overtake_what_waits() -> None:
    under = Under(most=2)
    names = [str(at) for at in range(7)]
    for name in names[:5]:
        under.come(name)
    await brought(lambda: [under.come(name) for name in names[5:]])
    await under.over(len(names))
    assert under.begun == names


async def test_what_suspends_goes_on_in_a_task_of_the_scope_with_its_own_context() -> None:
    under = Under()
    go_on = asyncio.Event()
    tasks: list[asyncio.Task[Any] | None] = []

    async def body() -> None:
        assert SEEN.get("nothing") == "nothing"
        SEEN.set("it")
        tasks.append(asyncio.current_task())
        await go_on.wait()
        tasks.append(asyncio.current_task())
        assert SEEN.get() == "it"

    await brought(lambda: [under.come("one", body), under.come("two", body)])
    assert (under.begun, under.ended) == (["one", "two"], [])
    assert under.scope.names() == ["event one", "event two"]
    go_on.set()
    await asyncio.wait_for(under.scope.idle(), 5)
    assert under.ended == ["one", "two"]
    assert tasks[0] is tasks[2]
    assert tasks[1] is tasks[3]
    assert len(set(tasks)) == 2


async def test_a_handler_that_suspended_can_be_cancelled_by_the_scope() -> None:
    under = Under()
    await brought(lambda: under.come("one", asyncio.Event().wait))
    assert await under.scope.cancel(5) == []
    assert under.ended == []


async def test_a_turn_is_not_held_up_for_longer_than_its_share() -> None:
    under = Under()

    async def long() -> None:
        time.sleep(LONGEST_S)  # noqa: ASYNC251 - it computes

    def step() -> None:
        for name in ("one", "two", "three"):
            under.come(name, long)
        assert under.begun == ["one"]

    await brought(step)
    await under.over(3)
    assert under.begun == ["one", "two", "three"]


async def test_all_handlers_together_hold_a_turn_up_for_no_longer_than_their_share() -> None:
    share = Share(asyncio.get_running_loop())
    one, other = Under(share=share), Under(share=share)

    async def long() -> None:
        time.sleep(LONGEST_S)  # noqa: ASYNC251 - it computes

    def step() -> None:
        one.come("one", long)
        other.come("two")
        assert (one.begun, other.begun) == (["one"], [])

    await brought(step)
    await other.over(1)
    await brought(lambda: other.come("three"))
    assert other.ended == ["two", "three"]


async def test_what_a_first_step_raises_is_told_and_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    """By the scope, where Python begins tasks itself, else by the loop once the task is gone."""
    under = Under()
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, said: told.append(str(said["exception"])))

    async def body() -> None:
        raise ValueError("what no handler's end covers")

    await brought(lambda: [under.come("one", body), under.come("two")])
    assert under.ended == ["two"]
    await under.over(1)
    gc.collect()
    # by this scope: the collector may find what another test left behind, which asyncio logs
    told += [str(each.exc_info[1]) for each in caplog.records if each.exc_info and each.name == "vyked.test"]
    assert told == ["what no handler's end covers"]
