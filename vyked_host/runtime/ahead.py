"""Handlers begun at once on Python 3.11, within the step of whoever calls, as eager tasks are since 3.12.

Most handlers are answered in their first step. It is taken here, with a task made current that has not begun: nobody waits for a turn
of the loop, and the task serves the next call. A handler that suspends keeps it: what it waits for is told to the loop when the
task begins, in the next turn. A task that nobody kept ends then; one in which anything was left behind is given to nobody else.

A task is made current where asyncio itself does it: 3.11 has one table for its tasks in C and those of others, and `_enter_task` and
`_leave_task` (docs.python.org/3/library/asyncio-extending.html) do no more than to look into it, twice for each of the two tasks.
"""

from __future__ import annotations

import asyncio
import math
from asyncio.tasks import _current_tasks  # type: ignore[attr-defined]  # of 3.11
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from sys import getrefcount
from typing import Any
from weakref import getweakrefcount

from .turns import ENDED, Run, state


class Ahead:
    """Of one loop. Where so many are in their first step, each within that of another, that `most` tasks are in use, the next one is
    begun `otherwise`."""

    __slots__ = ("_loop", "_otherwise", "left", "spares")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, most: float = math.inf, otherwise: Callable[[Run], None] | None = None
    ) -> None:  # fmt: skip
        self._loop, self._otherwise = loop, otherwise
        self.left = most
        """Tasks that may be made beside those that are there."""
        self.spares: list[Spare] = []
        """Whose tasks have not begun, the one that was used last at the end."""

    def start(self, run: Run) -> None:
        """Take its first step."""
        loop, spares = self._loop, self.spares
        if spares:
            spare = spares.pop()
        elif self.left > 0:
            self.left -= 1
            spare = Spare(self, loop)
        else:
            assert self._otherwise is not None  # without one there is no end of tasks
            self._otherwise(run)
            return
        task, context = spare.task, spare.context
        if (
            getrefcount(task), getweakrefcount(task), len(context) < 2, state(task), task.get_name()
        ) != spare.untouched:  # fmt: skip
            spare = Spare(self, loop)  # nobody else meets what was left behind: that task ends in the next turn
            task, context = spare.task, spare.context
        body, caller = run.run(), _current_tasks.get(loop)
        _current_tasks[loop] = task
        try:
            awaited = context.run(next, body.__await__(), ENDED)  # no StopIteration is made this way
        except BaseException as error:  # noqa: BLE001 - its task's, which raises it
            spare.rest.error = error
            self.left += 1
            del spare, task, run, body  # as in turns
        else:
            if awaited is ENDED:
                spares.append(spare)
            else:
                self.left += 1
                spare.rest.keep(body, awaited)
                run.started(task)
        finally:
            if caller is None:
                del _current_tasks[loop]
            else:
                _current_tasks[loop] = caller


class Spare:
    """A task that has not begun, and what tells whether a handler left anything in it (:data:`turns.state`), put together where it is
    asked for: within another function the count of references is another one."""

    __slots__ = ("context", "rest", "task", "untouched")

    def __init__(self, of: Ahead, loop: asyncio.AbstractEventLoop) -> None:
        self.context, self.rest = Context(), Rest(of, self)
        task = self.task = asyncio.Task(self.rest, loop=loop, context=self.context)
        self.untouched = (getrefcount(task), getweakrefcount(task), True, state(task), task.get_name())


class Rest(Coroutine[Any, Any, None]):
    """The coroutine of such a task: nothing, an `error`, or the rest of a body whose first step was taken."""

    __slots__ = ("_awaited", "_body", "_of", "_spare", "_waits", "error")

    def __init__(self, of: Ahead, spare: Spare) -> None:
        self._of, self._waits = of, False
        self._spare: Spare | None = spare
        self._body: Any = None
        self._awaited: Any = None
        self.error: BaseException | None = None

    def keep(self, body: Coroutine[Any, Any, None], awaited: Any) -> None:
        """The task is that of `body`, which waits for `awaited`; others may come to wait for the same before the task begins."""
        self._body, self._awaited = body, awaited
        self._waits = getattr(awaited, "_asyncio_future_blocking", None) is True
        if self._waits:
            awaited._asyncio_future_blocking = False

    def __getattr__(self, name: str) -> Any:
        """To whoever looks at tasks (their frames, their names) it is its body."""
        return getattr(self._body, name)

    def __await__(self) -> Generator[Any, Any, None]:
        """Nobody awaits it: a task steps it."""
        raise RuntimeError("it is the coroutine of a task")

    def send(self, value: Any) -> Any:
        """A step of the task."""
        if self._spare is None:
            return self._body.send(value)
        self._begin()
        if self._body is not None:
            return self._wait()
        if self.error is None:
            raise StopIteration
        try:
            raise self.error
        finally:
            self.error = None  # as in turns

    def throw(self, error: Any, *_rest: Any) -> Any:
        """A step of the task, which was cancelled, or waited for what failed."""
        if self._spare is not None:
            self._begin()
            if self._waits and self._awaited.cancel(*error.args):
                return self._wait()  # as `Task.cancel` does it: what was waited for is cancelled, and tells
            self._awaited = None
        if self._body is None:
            raise error
        return self._body.throw(error)

    def close(self) -> None:
        """The task is dropped."""
        if self._body is not None:
            self._body.close()

    def _begin(self) -> None:
        spare, self._spare = self._spare, None  # its task has this: a ring
        if spare in self._of.spares:
            self._of.spares.remove(spare)
            self._of.left += 1

    def _wait(self) -> Any:
        awaited, self._awaited = self._awaited, None
        if self._waits:
            awaited._asyncio_future_blocking = True
        return awaited
