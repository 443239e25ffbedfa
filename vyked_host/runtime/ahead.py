"""Handlers begun at once, within the step of whoever calls, as eager tasks are since Python 3.12; and with less to do for each.

Most handlers are answered in their first step. It is taken here, with a task made current that has not begun: nobody waits for a turn
of the loop, and the task serves the next call. A handler that suspends keeps it: what it waits for is told to the loop when the
task begins, in the next turn. A task that nobody kept ends then; one in which anything was left behind is given to nobody else.

A task is made current where asyncio itself does it: up to Python 3.13 there is one table for its tasks in C and those of others, and
`_enter_task` and `_leave_task` (docs.python.org/3/library/asyncio-extending.html) do no more than to look into it, twice for each of the
two tasks.
"""

from __future__ import annotations

import asyncio
import math
from asyncio.tasks import _current_tasks  # type: ignore[attr-defined]  # up to 3.13
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from functools import partial
from sys import getrefcount
from types import coroutine
from typing import Any, Generic, Protocol, TypeVar
from weakref import getweakrefcount

from .turns import ENDED, Run


class Begun(Protocol):
    """One call."""

    def started(self, task: asyncio.Task[None]) -> None:
        """It goes on in `task`, which is its own."""


current_tasks: dict[asyncio.AbstractEventLoop, asyncio.Task[Any]] = _current_tasks
"""The one that is current in each loop."""
current: Callable[[asyncio.AbstractEventLoop], asyncio.Task[Any] | None] = current_tasks.get
"""The task that is current in a loop, without asking which loop that is."""
B = TypeVar("B", bound=Begun)
Work = Callable[["Rest"], Generator[Any, Any, None]]
"""The body of a task, which is sent one call after the other, each for a yield of `ENDED`, and ends once the task is kept by one."""


@coroutine
def each(rest: Rest) -> Generator[Any, Any, None]:
    """The work on calls that say themselves what to do (:class:`turns.Run`)."""
    while not rest.is_kept:
        run: Run = yield ENDED
        yield from run.run()
        del run


class Ahead(Generic[B]):
    """Of one loop. Where so many are in their first step, each within that of another, that `most` tasks are in use, the next one is
    begun `otherwise`."""

    __slots__ = ("_otherwise", "left", "loop", "spares", "work")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, work: Work = each, most: float = math.inf,
        otherwise: Callable[[B], None] | None = None,
    ) -> None:  # fmt: skip
        self.loop, self._otherwise = loop, otherwise
        self.work = work
        self.left = most
        """Tasks that may be made beside those that are there."""
        self.spares: list[Spare] = []
        """Whose tasks have not begun, the one that was used last at the end."""

    def start(self, run: B) -> None:
        """Take its first step."""
        loop, spares = self.loop, self.spares
        if not spares and not self.one_more():
            assert self._otherwise is not None  # without one there is no end of tasks
            self._otherwise(run)
            return
        spare = spares.pop()
        task = spare.task
        if getrefcount(task) != spare.references or getweakrefcount(task) != spare.weak or len(spare.context) > 1:
            spare = Spare(self, loop)  # nobody else meets what was left behind: that task ends in the next turn
            task = spare.task
        caller = current(loop)
        current_tasks[loop] = task
        try:
            awaited = spare.step(run)
        except BaseException as error:  # noqa: BLE001 - its task's, which raises it
            spare.rest.error = error
            self.left += 1
            del spare, task, run  # as in turns
        else:
            if awaited is ENDED:
                spares.append(spare)
            else:
                self.left += 1
                spare.rest.keep(awaited)
                run.started(task)
        finally:
            if caller is None:
                del current_tasks[loop]
            else:
                current_tasks[loop] = caller

    def start_alone(self, run: B) -> None:
        """The same, while no task is current: no other first step is half through, and the task that was used last is free."""
        loop, spares = self.loop, self.spares
        if not spares:
            spares.append(Spare(self, loop))
        spare = spares[-1]
        task = spare.task
        if getrefcount(task) != spare.references or getweakrefcount(task) != spare.weak or len(spare.context) > 1:
            spares[-1] = spare = Spare(self, loop)
            task = spare.task
        current_tasks[loop] = task
        try:
            awaited = spare.step(run)
        except BaseException as error:  # noqa: BLE001 - as in start
            spares.remove(spare)
            spare.rest.error = error
            del spare, task, run
        else:
            if awaited is not ENDED:
                spares.remove(spare)
                spare.rest.keep(awaited)
                run.started(task)
        finally:
            del current_tasks[loop]

    def one_more(self) -> bool:
        """Make one more task, if there may be one more."""
        if self.left > 0:
            self.left -= 1
            self.spares.append(self.fresh())
            return True
        return False

    def fresh(self) -> Spare:
        """A task that nobody has had."""
        return Spare(self, self.loop)


class OwnTask(asyncio.Task[None]):
    """A task that says itself where anything was done to it that the next handler would meet."""

    __slots__ = ()

    def cancel(self, msg: Any = None) -> bool:
        """It must cancel, also where that is taken back."""
        self._touched()
        return super().cancel(msg)

    def add_done_callback(self, *args: Any, **kwargs: Any) -> None:
        """Somebody waits for its end."""
        self._touched()
        super().add_done_callback(*args, **kwargs)

    def set_name(self, value: object, /) -> None:
        """It is called by another name."""
        self._touched()
        super().set_name(value)

    def _touched(self) -> None:
        rest = self.get_coro()
        if isinstance(rest, Rest) and rest.spare is not None:
            rest.spare.spoil()


class Spare:
    """A task that has not begun, and what tells whether a handler left anything in it: itself, and the references to it, counted where a
    call is begun; within another function their count is another one."""

    __slots__ = ("context", "references", "rest", "step", "task", "weak")

    def __init__(self, of: Ahead[Any], loop: asyncio.AbstractEventLoop) -> None:
        self.context, self.rest = Context(), Rest(of, self)
        run: Any = self.context.run
        self.step: Callable[[Any], Any] = partial(run, self.rest.body.send)
        """Take the first step of a call; answers ENDED, or what the call waits for."""
        self.step(None)  # to the yield that takes the first one
        task = self.task = OwnTask(self.rest, loop=loop, context=self.context)
        self.references, self.weak = getrefcount(task), getweakrefcount(task)

    def spoil(self) -> None:
        """Something was done to the task: nobody else gets it."""
        self.references = -1

    def retire(self) -> None:
        """Its task has begun."""


class Rest(Coroutine[Any, Any, None]):
    """The coroutine of such a task: nothing, an `error`, or the rest of its `body` once that waits. `is_kept`: by a call."""

    __slots__ = ("_awaited", "_of", "_waits", "body", "error", "is_kept", "spare")

    def __init__(self, of: Ahead[Any], spare: Spare) -> None:
        self._of, self._waits = of, False
        self.spare: Spare | None = spare
        """Until the task begins."""
        self._awaited: Any = None
        self.error: BaseException | None = None
        self.is_kept = False
        self.body = of.work(self)

    def keep(self, awaited: Any) -> None:
        """The task is that of the call that waits for `awaited`; others may come to wait for the same before the task begins."""
        self.is_kept, self._awaited = True, awaited
        self._waits = getattr(awaited, "_asyncio_future_blocking", None) is True
        if self._waits:
            awaited._asyncio_future_blocking = False

    def __getattr__(self, name: str) -> Any:
        """To whoever looks at tasks (their frames, their names) it is its body."""
        return getattr(self.body, name)

    def __await__(self) -> Generator[Any, Any, None]:
        """Nobody awaits it: a task steps it."""
        raise RuntimeError("it is the coroutine of a task")

    def send(self, value: Any) -> Any:
        """A step of the task."""
        if self.spare is None:
            return self.body.send(value)
        self._begin()
        if self.is_kept:
            return self._wait()
        self.body.close()  # it has this: a ring
        if self.error is None:
            raise StopIteration
        try:
            raise self.error
        finally:
            self.error = None  # as in turns

    def throw(self, error: Any, *_rest: Any) -> Any:
        """A step of the task, which was cancelled, or waited for what failed."""
        if self.spare is not None:
            self._begin()
            if self._waits and self._awaited.cancel(*error.args):
                return self._wait()  # as `Task.cancel` does it: what was waited for is cancelled, and tells
            self._awaited = None
        if not self.is_kept:
            self.body.close()
            raise error
        return self.body.throw(error)

    def close(self) -> None:
        """The task is dropped."""
        self.body.close()

    def _begin(self) -> None:
        spare, self.spare = self.spare, None  # its task has this: a ring
        if spare in self._of.spares:
            self._of.spares.remove(spare)
            self._of.left += 1
            spare.retire()

    def _wait(self) -> Any:
        awaited, self._awaited = self._awaited, None
        if self._waits:
            awaited._asyncio_future_blocking = True
        return awaited
