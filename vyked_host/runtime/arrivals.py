"""Deliveries begun as they come in.

Most handlers are done in their first step. What a connection brings is begun within the step in which it was read, as calls inside this
process are (:mod:`inside`): nothing of it waits for a turn of the loop, nor for a place among those that may run at once. What comes up
within a task - its publisher is on the same host, or a handler has made room for the next - begins in the next turn: nobody's handler
runs while somebody else's code is half through.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .inside import DEEPEST, Come, Inside
from .runners import at_once
from .turns import Begin, Turn

if TYPE_CHECKING:
    from .runners import Start


class Arrivals:
    """Of one handler, which may run `most` at once: so many are begun in a turn of the loop, where they are not begun as they come."""

    __slots__ = ("_in_turn", "_inside", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, begin: Begin, most: int) -> None:
        self._loop, self._in_turn = loop, Turn(begin, most)
        start: Start = self._in_turn.start
        self._inside = Inside(loop, at_once=at_once(loop, DEEPEST, start), in_turn=start)

    def start(self, run: Come) -> None:
        """Begin it, behind those that came before."""
        if self._in_turn.waiting or asyncio.current_task(self._loop) is not None:
            self._in_turn.start(run)
        else:
            self._inside.start(run)
