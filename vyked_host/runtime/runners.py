"""How a handler is run. In each way it runs in a real Task, with a Context of its own, from its first line to its last:
`current_task`, `timeout`, `TaskGroup`, contextvars and cancellation are true in every handler.

`task` is the reference: ``create_task``, begun in the next turn of the loop. `eager` begins at once (CPython 3.12 and later);
a handler that does not suspend is then answered within the turn its call came in.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from ..errors import UsageError

Start = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


def by_task(loop: asyncio.AbstractEventLoop) -> Start:
    """The reference."""

    def start(body: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return loop.create_task(body, context=Context())

    return start


def eagerly(loop: asyncio.AbstractEventLoop) -> Start:
    """Begun at once."""
    make: Any = asyncio.Task

    def start(body: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        found: asyncio.Task[None] = make(body, loop=loop, context=Context(), eager_start=True)
        return found

    return start


RUNNERS: dict[str, Callable[[asyncio.AbstractEventLoop], Start]] = {"task": by_task}
if sys.version_info >= (3, 12):
    RUNNERS["eager"] = eagerly


def runner(name: str, loop: asyncio.AbstractEventLoop) -> Start:
    """The way called `name`; "auto" is the best of this Python. Raises UsageError for one it does not have."""
    chosen = ("eager" if "eager" in RUNNERS else "task") if name == "auto" else name
    if chosen not in RUNNERS:
        raise UsageError(f"handlers can't be run {name!r} on this Python; it has: {', '.join(RUNNERS)}")
    return RUNNERS[chosen](loop)
