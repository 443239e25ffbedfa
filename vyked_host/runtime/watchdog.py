"""Sees a blocked event loop from outside: a thread that looks whether the loop still turns, and logs where it is stuck.

The loop itself can't tell: what blocks it also blocks every timer. The stack is logged once per blockage, a second after it
began, with the line that blocks on top. Where the whole process stood still nothing in it is to blame, and that is said instead: the
watching thread itself came late, and hardly a processor was used meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback

BLOCKED_S = 1.0
_LOOK_S = 0.25
STILL_SHARE = 0.1
"""Of a processor: what used less while even the watching thread had no turn did not compute."""


class Watchdog:
    """Watches the loop of the thread it is started in."""

    def __init__(self, log: logging.Logger, *, blocked_s: float = BLOCKED_S) -> None:
        self._log, self._blocked_s = log, blocked_s
        self._turned = time.monotonic()
        self._thread_id = threading.get_ident()
        self._stop = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._watch, name="vyked-watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._turn()
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_LOOK_S * 2)

    def _turn(self) -> None:
        self._turned = time.monotonic()
        self._timer = asyncio.get_running_loop().call_later(_LOOK_S, self._turn)

    def _watch(self) -> None:
        told, came_back = False, 0.0
        looked, used = time.monotonic(), time.process_time()
        while not self._stop.wait(_LOOK_S):
            gap, spent = time.monotonic() - looked, time.process_time() - used
            looked, used = looked + gap, used + spent
            late, own = looked - max(self._turned, came_back), gap - _LOOK_S
            is_for_own = own >= self._blocked_s or (late >= self._blocked_s and own > late / 2)
            if is_for_own and spent < STILL_SHARE * gap:
                came_back = looked  # if the loop is blocked beside, it is so from here
                self._log.error(
                    "this process stood still for %.1f s: it was stopped (SIGSTOP, a debugger, a suspended machine), or the machine "
                    "gave it no processor", gap,
                )  # fmt: skip
            elif late < self._blocked_s:
                told = False
            elif not told:
                told = True
                self._log.error("the event loop is blocked for %.1f s by:\n%s", late, self._where())

    def _where(self) -> str:
        frame = sys._current_frames().get(self._thread_id)
        return "".join(traceback.format_stack(frame)[-12:]) if frame is not None else "(no stack)"
