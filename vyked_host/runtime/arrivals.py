"""Deliveries begun as they come in.

Most handlers are done in their first step. What a connection brings is begun within the step in which it was read, as calls inside this
process are (:mod:`inside`): nothing of it waits for a turn of the loop, nor for a place among those that may run at once. All handlers of
a host together may take so long of one turn as calls inside it may; what comes later, of whichever of them, begins in the next one. And what
comes up within a task - its publisher is on the same host, or a handler has made room for the next - begins then, too: nobody's handler runs
while somebody else's code is half through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .ahead import Work, each
from .inside import Come, Share
from .runners import alone, current_task
from .turns import Begin, Turn


class Arrivals:
    """Of one handler, which may run `most` at once: so many are begun in a turn of the loop, where they are not begun as they come.
    `share` is that of all handlers; `work` is the body of a task that begins them as they come."""

    __slots__ = ("_alone", "_current", "_in_turn", "_loop", "_share")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, begin: Begin, most: int, share: Share, work: Work = each
    ) -> None:  # fmt: skip
        self._loop, self._share, self._in_turn = loop, share, Turn(begin, most)
        self._alone: Callable[[Come], None] = alone(loop, work)
        self._current = current_task

    def start(self, run: Come) -> None:
        """Begin it, behind those that came before."""
        share = self._share
        if (
            self._in_turn.waiting
            or self._current(self._loop) is not None
            or (run.began >= share.until and not share.has_room(run.began))
        ):
            self._in_turn.start(run)
        else:
            self._alone(run)
