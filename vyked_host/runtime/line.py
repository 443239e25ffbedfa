"""Handlers that compute hold up everything else of their loop. So in one turn of it calls are begun for 10 ms; whose turn comes later
waits in line, sockets are read in between, and who would wait too long hears so within some turns: an answer of "come again" is
of use only while the caller has time left to ask elsewhere.

How long the line takes is what the last full turns took of the processor, by the middle one of three: a single handler that takes long
says nothing of the others, and neither does a turn that was short, after which twice as many are begun, or a machine that has other
things to do. Handlers that sleep on the loop are not foreseen so; what has waited for a second is refused in any case.

Nothing is asked of a call but whether the turn is over, by a time that it has read anyway. The start of a turn is not known; so the
first who comes after that time has the next turn told, and the turn is over if others still come 10 ms later.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

TURN_S = 0.01
"""A fifth of what a refusal may take, 50 ms: it takes two turns, and what the last handlers in them take longer."""
PATIENT_S, IMPATIENT_S = 0.8, 0.1
"""The longest line, in seconds: what waits for a second is refused in any case; where the limit adapts, calls are not to wait."""
MOST = 256
"""Calls that are begun in one turn out of the line."""
_TURNS = 3


class Line:
    """Of one loop. `longest_s` bounds it; `processor` is the time that this thread has had of it, in seconds; `changed` is told when there
    is one, and when there is none any more."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, now: Callable[[], float], longest_s: float,
        changed: Callable[[bool], None], processor: Callable[[], float] = time.thread_time,
    ) -> None:  # fmt: skip
        self._loop, self._now, self.longest_s, self._changed, self.processor = loop, now, longest_s, changed, processor
        self.until = now() + TURN_S
        """From then on it has to be asked whether a call may be begun."""
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._is_told = False
        self._begun, self._most = 0, 1
        self._busy_s = self._began_at = 0.0
        self._lately: deque[float] = deque(maxlen=_TURNS)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def seconds(self) -> float:
        """How long who comes now would wait; 0.0 while nobody knows."""
        known = sorted(self._lately)
        return len(self._waiting) * known[len(known) // 2] if len(known) == _TURNS else 0.0

    async def wait(self, now: float) -> bool:
        """Wait until a call may be begun that came at `now`. False: it may not, the line is too long."""
        if not self._is_over(now):
            return True
        turn: asyncio.Future[bool] = self._loop.create_future()
        if not self._waiting:
            self.until = 0.0
            self._changed(True)
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            with suppress(ValueError):  # its turn has come in this very moment
                self._waiting.remove(turn)
            raise

    def _is_over(self, now: float) -> bool:
        """Is this turn of the loop over for calls that are to be begun?"""
        if self._waiting or (self._is_told and now >= self.until):
            return True
        if not self._is_told:
            self._is_told, self.until = True, now + TURN_S
            self._loop.call_soon(self._turned)
        return False

    def _turned(self) -> None:
        """The next turn of the loop."""
        now = self._now()
        self._is_told = bool(self._waiting or self._begun)
        if not self._is_told:
            self.until = now + TURN_S
            return
        self._learn(now)
        if self._waiting:
            self._loop.call_soon(self._begin)
        while self._waiting and self._begun < self._most:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(True)
                self._begun += 1
        self._loop.call_soon(self._turned)  # after those that are begun now
        self._shorten()
        if not self._waiting and not self._begun:
            self._lately.clear()
            self._most, self.until = 1, now + TURN_S
            self._changed(False)

    def _begin(self) -> None:
        """Those that are begun in this turn come next."""
        self._began_at = self._now()

    def _learn(self, now: float) -> None:
        """How many are begun goes by how long they take, how long the line is by all that there is to do in a turn."""
        busy_s = self.processor()
        took_s, turn_s = now - self._began_at, busy_s - self._busy_s
        if self._begun and took_s < TURN_S / 2 and self._most < MOST:
            self._most = min(MOST, 2 * self._most)
        elif self._begun:
            self._lately.append(turn_s / self._begun)
            self._most = max(1, self._most - (took_s > TURN_S))
        self._begun, self._busy_s = 0, busy_s

    def _shorten(self) -> None:
        """Who came last has waited least."""
        while self._waiting and self.seconds > self.longest_s:
            turn = self._waiting.pop()
            if not turn.done():
                turn.set_result(False)
