"""The only place that starts tasks: each has a name, its failure is logged, and drain can wait for it and name it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
GRACE_S = 5.0
"""What a cancelled task gets to clean up before it is named and left behind."""


class TaskScope:
    """The tasks of one owner. Calling it is `contracts.TaskScope`."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._tasks: set[asyncio.Task[Any]] = set()
        self._kept: dict[asyncio.Future[Any], str] = {}

    def __call__(self, body: Coroutine[Any, Any, None], name: str) -> Callable[[], None]:
        """Start `body`; the answer cancels it. Nobody awaits it, so its failure is logged at once."""
        task = self.begin(body, name)

        def cancel() -> None:
            task.cancel()

        return cancel

    def begin(self, body: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """The same; the answer is its task."""
        task = self.spawn(body, name)
        task.add_done_callback(self._tell)
        return task

    def spawn(self, body: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Start `body` as a task for somebody who may await it; asyncio logs its failure when nobody ever does."""
        task = asyncio.get_running_loop().create_task(body, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def adopt(self, task: asyncio.Task[None], name: str) -> None:
        """The same of a task that somebody else began. Idempotent."""
        if task not in self._tasks:
            task.set_name(name)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(self._tell)

    def keep(self, future: asyncio.Future[Any], name: str) -> None:
        """What `future` stands for belongs to the owner's work, too, though no task of its own waits for it: until it is `let_go`, when
        it is done."""
        self._kept[future] = name

    def let_go(self, future: asyncio.Future[Any]) -> None:
        """It is done."""
        self._kept.pop(future, None)

    def _tell(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("task %s failed", task.get_name(), exc_info=error)

    def names(self) -> list[str]:
        """Names of the tasks that run and of what is kept, sorted."""
        return sorted([*(task.get_name() for task in self._tasks), *self._kept.values()])

    async def idle(self) -> None:
        """Wait until none runs."""
        while self._tasks or self._kept:
            await asyncio.wait({*self._tasks, *self._kept})

    async def cancel(self, within_s: float = GRACE_S) -> list[str]:
        """Cancel all and wait for them, `within_s` seconds at most; the names of those that did not let themselves be
        cancelled."""
        loop, told = asyncio.get_running_loop(), set[asyncio.Future[Any]]()
        until = loop.time() + within_s
        while (self._tasks or self._kept) and loop.time() < until:
            tasks: set[asyncio.Future[Any]] = {*self._tasks, *self._kept}
            for task in tasks - told:
                task.cancel()
            told |= tasks
            # one that ends may have started another: look again then
            await asyncio.wait(tasks, timeout=until - loop.time(), return_when=asyncio.FIRST_COMPLETED)
        return self.names()
