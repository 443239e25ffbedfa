"""Tasks that somebody started beside the host and left running: named when it ends, cancelled, and never waited for in vain.

A task that swallows its cancellation would keep the event loop, and with it the process, for ever: no signal reaches the host
any more at that point. So those that don't go within a moment are named, and the process ends without them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Iterable

from ..errors import EXIT_FAILED

LEAVING_S = 2.0
log = logging.getLogger("vyked")


async def end_leftovers() -> None:
    """Cancel every task but this one; end the process (1) when some refuse."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if not left:
        return
    log.warning("tasks that nobody ended: %s", _names(left))
    for task in left:
        task.cancel()
    _, clinging = await asyncio.wait(left, timeout=LEAVING_S)
    if clinging:
        log.error("tasks that would not be cancelled, the process ends without them: %s", _names(clinging))
        sys.stdout.flush()
        logging.shutdown()
        os._exit(EXIT_FAILED)


def _names(tasks: Iterable[asyncio.Task[object]]) -> str:
    return ", ".join(sorted(task.get_name() for task in tasks))
