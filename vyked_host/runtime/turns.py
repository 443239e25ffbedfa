"""Handlers of one turn of the loop, one after the other in one task, for as long as nobody can tell.

A task of its own costs a call more than all else of the host's (docs/benchmarks.md), and most handlers of a busy host are answered in
their first step; events are no different. So a task takes up the calls that wait, in order; the first handler that suspends keeps
it, and another task goes on with the others. After each handler that did not suspend the task is looked at: where anything of it is left behind - a context
variable, a reference, a callback, a cancellation - nobody else gets it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from itertools import repeat
from operator import attrgetter
from sys import getrefcount
from types import FrameType, coroutine
from typing import Any, Protocol
from weakref import getweakrefcount

from ..model.message import Fault

ENDED = object()
state = attrgetter("_must_cancel", "_callbacks")
"""Of a task. This, references to it, its name, and variables in its context are all that a handler may leave behind which others or the next one
would meet. (A task that cancelled itself must cancel, also where that was taken back. One variable is there, CURRENT, which the next one
sets.) Whoever asks puts it together where it asks: within another function the count of references is another one."""
Begin = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
"""Make a task of it, with a context of its own."""


class Run(Protocol):
    """One call that is to be run."""

    @property
    def ended(self) -> bool:
        """Is it over?"""

    @property
    def reason(self) -> Fault | None:
        """Why it was cancelled."""

    def run(self) -> Coroutine[Any, Any, None]:
        """Its handler and its outcome."""

    def started(self, task: asyncio.Task[None]) -> None:
        """It goes on in `task`, which is its own."""

    def abandoned(self, task: asyncio.Task[None]) -> None:
        """It will not be run; or it is over, and may have told its outcome."""


class Turn:
    """The calls that wait for a task. In one turn of the loop `most` of them are begun by a task, where there is a limit."""

    __slots__ = ("_apart", "_begin", "_called", "_most", "waiting")

    def __init__(self, begin: Begin, most: int = 0) -> None:
        self._begin, self._most = begin, most
        self.waiting: deque[Run] = deque()
        self._called: set[asyncio.Task[None]] = set()  # tasks that have not begun
        self._apart = False  # the last handler suspended: those that come now will, too, and get a task each

    def start(self, run: Run) -> None:
        """Run it in the next turn of the loop."""
        self.waiting.append(run)
        if self._apart or not self._called:
            self._call()

    def _call(self) -> None:
        task = self._begin(self._work())
        self._called.add(task)
        task.add_done_callback(self._not_begun)

    def _not_begun(self, task: asyncio.Task[None]) -> None:
        """A task was cancelled before its first line, by somebody who cancels all there are."""
        self._called.discard(task)
        if not self._called:
            while self.waiting:
                self.waiting.popleft().abandoned(task)

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._called.discard(task)
        task.remove_done_callback(self._not_begun)
        try:
            await self._run_in(task)
        finally:
            del task  # as in _run_in
            if self.waiting and not self._called:
                self._call()

    @coroutine
    def _run_in(self, task: asyncio.Task[None]) -> Generator[Any, Any, None]:
        waiting = self.waiting
        as_before = (getrefcount(task), getweakrefcount(task), len(copy_context()) < 2, state(task), task.get_name())
        run: Run | None = None
        body: Coroutine[Any, Any, None] | None = None
        try:
            for _ in repeat(None, self._most) if self._most else repeat(None):
                if not waiting:
                    return
                run = waiting.popleft()
                if run.reason is not None:  # cancelled before its first line
                    run.abandoned(task)
                    continue
                body = run.run()
                awaited = next(body.__await__(), ENDED)  # the first step; no StopIteration is made this way
                if awaited is not ENDED:
                    self._apart = True
                    run.started(task)
                    for _ in range(len(waiting) - len(self._called)):
                        self._call()
                    yield from rest(body, awaited)
                    return
                self._apart = False
                if (
                    waiting
                    and (
                        getrefcount(task),
                        getweakrefcount(task),
                        len(copy_context()) < 2,
                        state(task),
                        task.get_name(),
                    )
                    != as_before
                ):
                    return
        finally:  # an error that ends the task refers to this frame, and the task keeps the error: a ring, which would wait for the collector
            run = body = None
            del task


@coroutine
def rest(body: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """``yield from body``, whose first step was taken: it waits for `awaited`."""
    while True:
        thrown: BaseException | None = None
        try:
            yield awaited
        except BaseException as error:  # noqa: BLE001 - it is the handler's, as if it had been awaited here
            thrown = error
        if thrown is None:
            yield from body
            return
        try:
            awaited = body.throw(thrown)
        except StopIteration:
            return
        finally:
            del thrown  # its traceback leads back here


def driven(frame: FrameType) -> object:
    """What waits by way of `rest` in `frame` of a task, and is not awaited by it yet; None: nothing does."""
    return frame.f_locals.get("body") if frame.f_globals is globals() else None
