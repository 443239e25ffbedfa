"""Calls inside this process: begun at once, within the step of their caller, unless that would hold up others.

Who makes one call after the other would not let the loop go on before the last, where no handler suspends; so some begin in the next turn
of the loop. And handlers that call each other, each within the first step of another, would need a stack for all of them.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Protocol

from .turns import Run

LONGEST_S = 0.01
"""Of a turn of the loop, from its first call: what comes later begins in the next one."""
DEEPEST = 16
"""Calls within the first steps of others."""


class Come(Run, Protocol):
    """A call; `began`: when it came, in monotonic seconds."""

    began: float


class Inside:
    """Of one loop. `at_once` begins a call now, `in_turn` in the next turn."""

    __slots__ = ("_at_once", "_deep", "_in_turn", "_loop", "_until")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, at_once: Callable[[Come], None], in_turn: Callable[[Come], None]
    ) -> None:
        self._loop, self._at_once, self._in_turn = loop, at_once, in_turn
        self._until, self._deep = math.inf, 0

    def start(self, run: Come) -> None:
        """Begin it."""
        if run.began >= self._until or self._deep >= DEEPEST:
            self._in_turn(run)
            return
        if self._until == math.inf:
            self._until = run.began + LONGEST_S
            self._loop.call_soon(self._turned)
        self._deep += 1
        try:
            self._at_once(run)
        finally:
            self._deep -= 1

    def _turned(self) -> None:
        self._until = math.inf
