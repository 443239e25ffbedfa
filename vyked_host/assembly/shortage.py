"""No file descriptors left: asyncio pauses accepting by itself, but reports each of up to 128 attempts a second with a
traceback. Here it is said once in a while, with what to do; whatever else the loop reports is told as ever.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
from typing import Any

EVERY_S = 10.0
_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
log = logging.getLogger("vyked")


class Shortage:
    """An exception handler for `loop.set_exception_handler`."""

    def __init__(self) -> None:
        self._told = -math.inf

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Tell people of `context`, which is asyncio's."""
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _SHORT or "accept" not in context.get("message", ""):
            loop.default_exception_handler(context)
        elif loop.time() - self._told >= EVERY_S:
            self._told = loop.time()
            text = "new connections have to wait (%s): open ones are served; raise `ulimit -n`, or lower [limits] connections"
            log.error(text, error.strerror)
