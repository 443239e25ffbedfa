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

    def __call__(self, body: Coroutine[Any, Any, None], name: str) -> Callable[[], None]:
        """Start `body`; the answer cancels it. Nobody awaits it, so its failure is logged at once."""
        task = self.spawn(body, name)
        task.add_done_callback(self._tell)

        def cancel() -> None:
            task.cancel()

        return cancel

    def spawn(self, body: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Start `body` as a task for somebody who may await it; asyncio logs its failure when nobody ever does."""
        task = asyncio.get_running_loop().create_task(body, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _tell(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("task %s failed", task.get_name(), exc_info=error)

    def names(self) -> list[str]:
        """Names of the tasks that run, sorted."""
        return sorted(task.get_name() for task in self._tasks)

    async def idle(self) -> None:
        """Wait until none runs."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def cancel(self, within_s: float = GRACE_S) -> list[str]:
        """Cancel all and wait for them, `within_s` seconds at most; the names of those that did not let themselves be
        cancelled."""
        loop, told = asyncio.get_running_loop(), set[asyncio.Task[Any]]()
        until = loop.time() + within_s
        while self._tasks and loop.time() < until:
            tasks = set(self._tasks)
            for task in tasks - told:
                task.cancel()
            told |= tasks
            # one that ends may have started another: look again then
            await asyncio.wait(tasks, timeout=until - loop.time(), return_when=asyncio.FIRST_COMPLETED)
        return self.names()
