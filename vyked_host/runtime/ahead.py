"""Handlers begun at once on Python 3.11, within the step of whoever calls, as eager tasks are since 3.12.

Most handlers are answered in their first step. It is taken here, with a task made current that has not begun: nobody waits for a turn
of the loop, and the task serves the next call. A handler that suspends keeps it: what it waits for is told to the loop when the
task begins, in the next turn. A task that nobody kept ends then; one in which anything was left behind is given to nobody else.

A task is made current where asyncio itself does it: 3.11 has one table for its tasks in C and those of others, and `_enter_task` and
`_leave_task` (docs.python.org/3/library/asyncio-extending.html) do no more than to look into it, twice for each of the two tasks.
"""

from __future__ import annotations

import asyncio
from asyncio.tasks import _current_tasks  # type: ignore[attr-defined]  # of 3.11
from collections.abc import Coroutine, Generator
from contextvars import Context
from operator import attrgetter
from sys import getrefcount
from typing import Any
from weakref import getweakrefcount

from .turns import ENDED, Run

_state = attrgetter("_must_cancel", "_callbacks")


class Ahead:
    """Of one loop."""

    __slots__ = ("_loop", "spares")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.spares: list[Spare] = []
        """Whose tasks have not begun, the one that was used last at the end."""

    def start(self, run: Run) -> None:
        """Take its first step."""
        loop, spares = self._loop, self.spares
        spare = spares.pop() if spares else Spare(self, loop)
        task, context = spare.task, spare.context
        if (
            getrefcount(task),
            getweakrefcount(task),
            len(context) < 2,
            _state(task),
            task.get_name(),
        ) != spare.untouched:
            spare = Spare(self, loop)  # nobody else meets what was left behind: that task ends in the next turn
            task, context = spare.task, spare.context
        body, caller = run.run(), _current_tasks.get(loop)
        _current_tasks[loop] = task
        try:
            awaited = context.run(next, body.__await__(), ENDED)  # no StopIteration is made this way
        except BaseException as error:  # noqa: BLE001 - its task's, which raises it
            spare.error = error
            del spare, task, run, body  # as in turns
        else:
            if awaited is ENDED:
                spares.append(spare)
            else:
                spare.keep(body, awaited)
                run.started(task)
        finally:
            if caller is None:
                del _current_tasks[loop]
            else:
                _current_tasks[loop] = caller


class Spare(Coroutine[Any, Any, None]):
    """The coroutine of a task that has not begun: nothing, an `error`, or the rest of a body whose first step was taken."""

    __slots__ = ("_awaited", "_begun", "_body", "_of", "_waits", "context", "error", "task", "untouched")

    def __init__(self, of: Ahead, loop: asyncio.AbstractEventLoop) -> None:
        self._of, self._begun, self._waits = of, False, False
        self._body: Any = None
        self._awaited: Any = None
        self.error: BaseException | None = None
        self.context = Context()
        self.task: asyncio.Task[None] = asyncio.Task(self, loop=loop, context=self.context)
        task = self.task
        self.untouched = (getrefcount(task), getweakrefcount(task), True, _state(task), task.get_name())
        """What tells whether a handler left anything in the task (:func:`turns.traces`), put together where it is asked for: within
        another function the count of references is another one."""

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
        if self._begun:
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
        if not self._begun:
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
        self._begun = True
        if self in self._of.spares:
            self._of.spares.remove(self)
        del self.task, self.context, self.untouched  # the task has this: a ring

    def _wait(self) -> Any:
        awaited, self._awaited = self._awaited, None
        if self._waits:
            awaited._asyncio_future_blocking = True
        return awaited
