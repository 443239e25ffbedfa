"""How a handler is run. In each way it runs in a real Task, with a Context of its own, from its first line to its last:
`current_task`, `timeout`, `TaskGroup`, contextvars and cancellation are true in every handler.

`task` is the reference: ``create_task``, begun in the next turn of the loop. `turn` begins then too, and makes fewer tasks than there
are handlers (:mod:`turns`). `eager` begins at once: a handler that does not suspend is answered within the turn its call came in. CPython
does so itself since 3.12, :mod:`ahead` on 3.11, where that is the best for calls that come one by one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from ..errors import UsageError
from .ahead import Ahead, Work, current, each
from .inside import DEEPEST, Inside
from .seats import Seats
from .turns import Run, Turn

Start = Callable[[Run], None]
"""Begin it, now or in the next turn of the loop, and tell it its task once it goes on by itself."""


def by_task(loop: asyncio.AbstractEventLoop) -> Start:
    """The reference."""

    def start(run: Run) -> None:
        task = loop.create_task(run.run(), context=Context())
        task.add_done_callback(run.abandoned)
        run.started(task)

    return start


def by_turn(loop: asyncio.AbstractEventLoop) -> Start:
    """A task for those that come together, until one of them suspends."""

    def begin(body: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.Task(body, loop=loop, context=Context())

    return Turn(begin).start


def eagerly(loop: asyncio.AbstractEventLoop) -> Start:
    """Begun at once."""
    return Ahead[Run](loop).start if sys.version_info < (3, 12) else Eager(loop).start


current_task = asyncio.current_task if sys.version_info >= (3, 12) else current
"""Of a loop."""


def alone(loop: asyncio.AbstractEventLoop, work: Work = each) -> Start:
    """The same of what begins while no task is current; `work` is how, where a task is none of Python's own eager ones."""
    return Ahead[Run](loop, work).start_alone if sys.version_info < (3, 12) else Eager(loop).start


def at_once(loop: asyncio.AbstractEventLoop, deepest: int, otherwise: Start) -> Start:
    """The same, within the first steps of `deepest` others at most."""
    if sys.version_info < (3, 12):
        return Ahead(loop, most=deepest, otherwise=otherwise).start
    return Bounded(Eager(loop).start, deepest, otherwise).start


class Eager:
    """Tasks that begin at once, of Python itself."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._make: Any = asyncio.Task

    def start(self, run: Run) -> None:
        """Take its first step."""
        task: asyncio.Task[None] = self._make(run.run(), loop=self._loop, context=Context(), eager_start=True)
        if not run.ended:
            task.add_done_callback(run.abandoned)
            run.started(task)


class Bounded:
    """What begins at once, until `left` no more may be begun within another."""

    def __init__(self, start: Start, left: int, otherwise: Start) -> None:
        self._start, self._left, self._otherwise = start, left, otherwise

    def start(self, run: Run) -> None:
        """Begin it."""
        if not self._left:
            self._otherwise(run)
            return
        self._left -= 1
        try:
            self._start(run)
        finally:
            self._left += 1


RUNNERS: dict[str, Callable[[asyncio.AbstractEventLoop], Start]] = {"task": by_task, "turn": by_turn, "eager": eagerly}


def runner(name: str, loop: asyncio.AbstractEventLoop) -> Start:
    """The way called `name`; "auto" is the best of this Python for calls that come many at once. Raises UsageError for one that is
    not there."""
    chosen = ("eager" if sys.version_info >= (3, 12) else "turn") if name == "auto" else name
    if chosen not in RUNNERS:
        raise UsageError(f"handlers can't be run {name!r}; the ways are: {', '.join(RUNNERS)}")
    return RUNNERS[chosen](loop)


def inside(name: str, loop: asyncio.AbstractEventLoop, now: Callable[[], float]) -> Inside | None:
    """The same for calls inside this process, which come one by one, each within the step of its caller; None: as the others are run."""
    if name not in ("auto", "eager"):
        return None
    in_turn = by_turn(loop)
    seats = None
    if sys.version_info < (3, 14):  # which has no table of tasks
        seats = Seats(loop, now, DEEPEST)
    return Inside(loop, at_once=at_once(loop, DEEPEST, in_turn), in_turn=in_turn, seats=seats)
