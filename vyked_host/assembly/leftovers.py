"""Tasks that somebody started beside the host and left running: named when it ends, cancelled, and never waited for in vain.

A task that swallows its cancellation would keep the event loop, and with it the process, for ever: no signal reaches the host
any more at that point. So would the thread of a blocking handler, which nobody can interrupt. Those that don't go within a
moment are named, and the process ends without them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Iterable

from ..errors import EXIT_FAILED
from .build import BLOCKING_THREADS

LEAVING_S = 2.0
log = logging.getLogger("vyked")


async def end_leftovers() -> None:
    """Cancel every task but this one, wait for the threads of handlers; end the process (1) when some refuse."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    clinging: set[asyncio.Task[object]] = set()
    if left:
        log.warning("tasks that nobody ended: %s", _names(left))
        for task in left:
            task.cancel()
        _, clinging = await asyncio.wait(left, timeout=LEAVING_S)
    if clinging:
        log.error("tasks that would not be cancelled, the process ends without them: %s", _names(clinging))
    threads = _busy_threads()
    if threads:
        log.error("threads that still run, the process ends without them: %s", ", ".join(threads))
    if clinging or threads:
        sys.stdout.flush()
        logging.shutdown()
        os._exit(EXIT_FAILED)


def _busy_threads() -> list[str]:
    """Threads of blocking handlers that are not done a moment after their host; idle ones have ended with their pool."""
    until = time.monotonic() + LEAVING_S
    threads = [each for each in threading.enumerate() if each.name.startswith(BLOCKING_THREADS)]
    for each in threads:
        each.join(max(0.0, until - time.monotonic()))
    return sorted(each.name for each in threads if each.is_alive())


def _names(tasks: Iterable[asyncio.Task[object]]) -> str:
    return ", ".join(sorted(task.get_name() for task in tasks))
