"""Calls inside one process: what they spare, and what a caller and a handler may take for granted all the same."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Any

import pytest

from vyked_host import Service, api
from vyked_host.assembly.run import dump
from vyked_host.errors import CallError, DeadlineExceeded
from vyked_host.testing import running

from .waiting import until

VARIABLE: ContextVar[str] = ContextVar("variable", default="unset")
SEEN: list[Any] = []
KEPT: list[Any] = []
LEAVE_SOMETHING: dict[str, Callable[[asyncio.Task[Any]], object]] = {
    "a reference": KEPT.append,
    "a weak reference": lambda task: KEPT.append(weakref.ref(task)),
    "a callback": lambda task: task.add_done_callback(KEPT.append),
    "a name": lambda task: task.set_name("taken"),
    "a variable": lambda _task: VARIABLE.set("left"),
    "a cancellation": lambda task: task.cancel(),
    "one that was taken back": lambda task: (task.cancel(), task.uncancel()),
    "nothing": lambda _task: None,
}
"""What a handler may do with its task."""


class Inner(Service, name="inner", version="1.0.0"):
    @api
    async def own(self) -> str:
        SEEN.append(asyncio.current_task())
        before = VARIABLE.get()
        VARIABLE.set("handler's")
        return before

    @api
    async def plain(self) -> int:
        return 1

    @api
    async def leaves(self, what: str) -> None:
        LEAVE_SOMETHING[what](me())

    @api
    async def finds(self) -> list[bool]:
        mine = me()
        found = [mine in KEPT, mine in [each() for each in KEPT if isinstance(each, weakref.ref)]]
        found += [mine.get_name() == "taken", VARIABLE.get() != "unset", mine.cancelling() > 0]
        await asyncio.sleep(0)
        return found

    @api
    async def waits(self) -> None:
        SEEN.append(asyncio.current_task())
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            SEEN.append("cancelled")
            raise

    @api
    async def cancels_itself(self) -> None:
        asyncio.current_task().cancel()  # type: ignore[union-attr]
        await asyncio.sleep(0)

    @api
    async def fails(self) -> None:
        raise ValueError

    @api
    async def deep(self, n: int) -> int:
        return 0 if n == 0 else 1 + await CLIENT[-1].deep(n - 1)


CLIENT: list[Any] = []


@pytest.fixture
async def client() -> AsyncIterator[Any]:
    SEEN.clear()
    async with running(Inner, over="local") as mesh:
        CLIENT[:] = [mesh.client(Inner)]
        await CLIENT[0].own()
        SEEN.clear()
        yield CLIENT[0]


def me() -> asyncio.Task[Any]:
    found = asyncio.current_task()
    assert found is not None
    return found


async def test_a_handler_that_does_not_suspend_is_answered_within_the_turn_of_its_caller(client: Any) -> None:
    turned: list[bool] = []
    asyncio.get_running_loop().call_soon(turned.append, True)
    await client.own()
    assert turned == []


async def test_the_handler_has_a_task_and_a_context_of_its_own(client: Any) -> None:
    VARIABLE.set("caller's")
    before = me()
    assert [await client.own() for _ in range(3)] == ["unset"] * 3
    assert (me(), VARIABLE.get()) == (before, "caller's")
    assert len({*SEEN, before}) == 4


async def test_who_cancels_the_caller_cancels_the_handler(client: Any) -> None:
    caller = asyncio.create_task(client.waits())
    await until(lambda: SEEN)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await until(lambda: SEEN[1:] == ["cancelled"])
    assert SEEN[0] is not caller


async def test_a_timeout_of_the_caller_cancels_the_handler_and_leaves_no_trace(client: Any) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.waits()
    await until(lambda: SEEN[1:] == ["cancelled"])
    assert me().cancelling() == 0


async def test_the_deadline_is_the_callers_error_and_no_cancellation_of_its_task(client: Any) -> None:
    with pytest.raises(DeadlineExceeded):
        await client.waits.using(timeout=1.0)()
    await until(lambda: SEEN[1:] == ["cancelled"])
    assert me().cancelling() == 0
    await asyncio.sleep(0)


async def test_a_handler_that_cancels_itself_does_not_cancel_its_caller(client: Any) -> None:
    with pytest.raises(CallError):
        await client.cancels_itself()
    assert me().cancelling() == 0
    assert await client.own() == "unset"


async def test_the_failure_of_a_handler_is_its_callers_and_the_next_call_runs(client: Any) -> None:
    for _ in range(3):
        with pytest.raises(CallError):
            await client.fails()
    assert await client.own() == "unset"


async def test_handlers_may_call_each_other_deeper_than_one_stack_would_go(client: Any) -> None:
    assert await client.deep(100) == 100


async def test_many_callers_at_once_are_each_answered(client: Any) -> None:
    waiting = [asyncio.create_task(client.waits()) for _ in range(20)]
    assert await asyncio.gather(*(client.own() for _ in range(20))) == ["unset"] * 20
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await until(lambda: SEEN.count("cancelled") == 20)


async def test_calls_one_after_the_other_share_a_task_where_nothing_is_left_in_it(client: Any) -> None:
    before = asyncio.all_tasks()
    assert [await client.plain() for _ in range(50)] == [1] * 50
    assert len(asyncio.all_tasks() - before) < 10


@pytest.mark.parametrize("what", LEAVE_SOMETHING)
async def test_what_a_handler_leaves_behind_in_its_task_the_next_one_does_not_meet(client: Any, what: str) -> None:
    KEPT.clear()
    await client.leaves(what)
    assert await client.finds() == [False] * 5
    if what == "a callback":
        await until(lambda: [each.done() for each in KEPT] == [True])
    KEPT.clear()


async def test_no_task_stays_behind(client: Any) -> None:
    before = asyncio.all_tasks()
    for _ in range(10):
        await client.own()
    await until(lambda: asyncio.all_tasks() <= before)


async def test_who_makes_one_call_after_the_other_lets_the_loop_go_on(client: Any) -> None:
    turned: list[bool] = []
    asyncio.get_running_loop().call_later(0.05, turned.append, True)
    calls = 0
    while not turned and calls < 1_000_000:
        await client.own()
        SEEN.clear()
        calls += 1
    assert turned


async def test_a_waiting_handler_is_among_the_tasks_that_are_told_with_their_frames(
    client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caller = asyncio.create_task(client.waits())
    await until(lambda: SEEN)
    await asyncio.sleep(0)
    with caplog.at_level(logging.WARNING):
        dump()
    assert " waits" in caplog.text
    assert "waits" in repr(SEEN[0]) or "run" in repr(SEEN[0])
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
