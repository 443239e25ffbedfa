"""Time that passes only when nothing else can happen: a test of a timer takes no time and never races.

The running loop's clock stands still while anything is ready; when all wait, it jumps to the next timer. Work in threads is
waited for in real time, during which the clock stands still too.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import UsageError

_THREADS_S = 0.01
"""Between two looks whether a thread has come to its end."""


class JumpingSelector:
    """Stands before a loop's selector. `now` is the loop's time."""

    def __init__(self, real: selectors.BaseSelector, now: float) -> None:
        self._real, self.now = real, now
        self._unix_at_0 = time.time() - now
        self.threads = 0

    def select(self, timeout: float | None = None) -> Any:
        """What is ready now; else the clock jumps over `timeout` seconds."""
        found = self._real.select(0)
        if found or (timeout is not None and timeout <= 0):
            return found
        if timeout is None:
            return self._real.select(None)  # no timer: only I/O or another thread can go on
        if self.threads:
            return self._real.select(_THREADS_S)
        self.now += timeout
        return found

    def time(self) -> float:
        """The loop's clock."""
        return self.now

    def unix(self) -> float:
        """Seconds since 1970, which move with that clock."""
        return self._unix_at_0 + self.now

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@contextmanager
def virtual_time() -> Iterator[None]:
    """Let the running loop's time be virtual meanwhile. Raises UsageError on a loop that is not asyncio's own."""
    found = asyncio.get_running_loop()
    if not isinstance(found, asyncio.SelectorEventLoop):
        raise UsageError(f"virtual time needs asyncio's own event loop, this is {type(found).__name__}")
    loop: Any = found
    real = loop._selector
    jumping = JumpingSelector(real, loop.time())
    loop._selector, loop.time, loop.run_in_executor = jumping, jumping.time, _counted(loop.run_in_executor, jumping)
    loop.unix = jumping.unix
    try:
        yield
    finally:
        loop._selector = real
        del loop.time, loop.run_in_executor, loop.unix


def _counted(run: Callable[..., asyncio.Future[Any]], jumping: JumpingSelector) -> Callable[..., asyncio.Future[Any]]:
    def over(_done: object) -> None:
        jumping.threads -= 1

    def counted(*arguments: Any) -> asyncio.Future[Any]:
        found = run(*arguments)
        jumping.threads += 1
        found.add_done_callback(over)
        return found

    return counted
