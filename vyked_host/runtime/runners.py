"""How a handler is run. In each way it runs in a real Task, with a Context of its own, from its first line to its last:
`current_task`, `timeout`, `TaskGroup`, contextvars and cancellation are true in every handler.

`task` is the reference: ``create_task``, begun in the next turn of the loop. `turn` begins then too, and makes fewer tasks than there
are handlers (:mod:`turns`). `eager` begins at once (CPython 3.12 and later); a handler that does not suspend is then answered within
the turn its call came in. So it is with `ahead` (:mod:`ahead`), which stands for it on 3.11 where a call comes alone.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextvars import Context
from typing import Any

from ..errors import UsageError
from .ahead import Ahead
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
    return Turn(loop).start


def eagerly(loop: asyncio.AbstractEventLoop) -> Start:
    """Begun at once."""
    make: Any = asyncio.Task

    def start(run: Run) -> None:
        task: asyncio.Task[None] = make(run.run(), loop=loop, context=Context(), eager_start=True)
        if not run.ended:
            task.add_done_callback(run.abandoned)
            run.started(task)

    return start


def ahead(loop: asyncio.AbstractEventLoop) -> Start:
    """Begun at once, one after the other in a task, until one of them suspends."""
    return Ahead(loop, otherwise=by_turn(loop)).start


RUNNERS: dict[str, Callable[[asyncio.AbstractEventLoop], Start]] = {"task": by_task, "turn": by_turn}
if sys.version_info >= (3, 12):
    RUNNERS["eager"] = eagerly
else:
    RUNNERS["ahead"] = ahead


def runner(name: str, loop: asyncio.AbstractEventLoop) -> Start:
    """The way called `name`; "auto" is the best of this Python for calls that come many at once. Raises UsageError for one it does
    not have."""
    chosen = ("eager" if "eager" in RUNNERS else "turn") if name == "auto" else name
    if chosen not in RUNNERS:
        raise UsageError(f"handlers can't be run {name!r} on this Python; it has: {', '.join(RUNNERS)}")
    return RUNNERS[chosen](loop)


def runner_inside(name: str, loop: asyncio.AbstractEventLoop) -> Start:
    """The same for calls inside this process, which come one by one, each within the step of its caller."""
    return runner("ahead" if name == "auto" and "ahead" in RUNNERS else name, loop)
