"""What a test left behind: tasks, threads, sockets and other file descriptors."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from .waiting import eventually

_OPEN = Path("/proc/self/fd")


@asynccontextmanager
async def leaks(within: float | None = None) -> AsyncIterator[None]:
    """A block that leaves nothing behind. Raises AssertionError naming the tasks, threads and descriptors that are still
    there after `within` seconds."""
    before = _there()

    def left() -> frozenset[str]:
        found = _there() - before
        if (
            found
        ):  # a whole collection takes a second in a process that has run a thousand tests: only where it can tell more
            gc.collect()
            found = _there() - before
        return found

    yield
    try:
        await eventually(lambda: not left(), within)
    except AssertionError:
        raise AssertionError(f"left behind: {', '.join(sorted(left()))}") from None


def _there() -> frozenset[str]:
    running = asyncio.all_tasks() - {asyncio.current_task()}
    tasks = {f"task {task.get_name()} ({task.get_coro()!r})" for task in running if not task.done()}
    threads = {f"thread {thread.name}" for thread in threading.enumerate()}
    return frozenset(tasks | threads | _descriptors())


def _descriptors() -> set[str]:
    """Open sockets and files by their descriptor; none where the system does not tell (not Linux)."""
    found = set()
    for each in _OPEN.iterdir() if _OPEN.exists() else ():
        try:
            found.add(f"descriptor {each.name} ({os.readlink(each)})")
        except FileNotFoundError:  # the one that listing the folder itself had open
            continue
    return found
