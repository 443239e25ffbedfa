"""Calls inside this process: begun at once, within the step of their caller, unless that would hold up others.

Who makes one call after the other would not let the loop go on before the last, where no handler suspends; so some begin in the next turn
of the loop. And handlers that call each other, each within the first step of another, would need a stack for all of them.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from .turns import Run

if TYPE_CHECKING:
    from .seats import Seats

LONGEST_S = 0.01
"""Of a turn of the loop, from its first call: what comes later begins in the next one."""
DEEPEST = 16
"""Calls within the first steps of others."""


class Come(Run, Protocol):
    """A call; `began`: when it came, in monotonic seconds."""

    began: float


class Share:
    """What may be begun at once in one turn of a loop, by all who ask this one."""

    __slots__ = ("_is_armed", "_loop", "until")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._is_armed = loop, False
        self.until = -math.inf
        """From then on it has to be asked whether this turn `has_room`."""

    def has_room(self, now: float) -> bool:
        """May what comes at `now`, which is not before `until`, begin in this turn of the loop? It may where it is the first."""
        if self._is_armed:
            return False
        self._is_armed, self.until = True, now + LONGEST_S
        self._loop.call_soon(self._turned)
        return True

    def _turned(self) -> None:
        self._is_armed, self.until = False, -math.inf


class Inside(Share):
    """Of one loop. `at_once` begins a call now, within the first steps of at most `DEEPEST` others, and `in_turn` in the next turn.
    `seats`, as many at most, are for calls that are composed (:mod:`nearby`), where that can be done."""

    __slots__ = ("_at_once", "_in_turn", "seats")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, at_once: Callable[[Come], None], in_turn: Callable[[Come], None],
        seats: Seats | None = None,
    ) -> None:  # fmt: skip
        super().__init__(loop)
        self._at_once, self._in_turn, self.seats = at_once, in_turn, seats

    def start(self, run: Come) -> None:
        """Begin it."""
        if run.began >= self.until and not self.has_room(run.began):
            self._in_turn(run)
        else:
            self._at_once(run)
