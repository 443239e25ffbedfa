"""What a back end may give for what it was handed: awaitable, and nothing of asyncio before somebody awaits it."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import msgspec


class Confirmation(msgspec.Struct, eq=False, kw_only=True):
    """Of one thing that was handed over: a `Receipt` of an event, a `Settlement` of a verdict. `waiter` is there once somebody awaits, `error`
    where it failed."""

    waiter: asyncio.Future[None] | None = None
    error: BaseException | None = None
    is_over: bool = False

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait until it is over. Raises what it failed for."""
        if not self.is_over:
            yield from self.future()
        if self.error is not None:
            try:
                raise self.error
            finally:
                del self  # the error leads to this frame: a ring, which would wait for the collector

    def future(self) -> asyncio.Future[None]:
        """Done when it is over, however that ended."""
        if self.waiter is None or self.waiter.cancelled():
            self.waiter = asyncio.get_running_loop().create_future()
            if self.is_over:
                self.waiter.set_result(None)
        return self.waiter

    def fail(self, error: BaseException) -> None:
        """It is over, unless it was before: whoever waits gets this error."""
        if not self.is_over:
            self.is_over, self.error = True, error
            self.wake()
            self.has_failed(error)

    def wake(self) -> None:
        """It is over: who waits goes on."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def has_failed(self, error: BaseException) -> None:
        """Called once, where it failed."""
