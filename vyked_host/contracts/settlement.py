"""What a bus may give for a verdict on a delivery: awaitable, and nothing of asyncio before somebody awaits. Most are never awaited: the host
goes on, and hears of it only where the back end could not be told.

A bus derives what it has to know of one delivery from `Settlement`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator

import msgspec


class Settlement(msgspec.Struct, eq=False, kw_only=True):
    """Of one delivery. `failed` is called once where the back end could not be told; whoever sets it looks at `error` first, for it may have
    failed before."""

    failed: Callable[[Exception], None] | None = None
    waiter: asyncio.Future[None] | None = None
    error: Exception | None = None
    is_over: bool = False

    def __await__(self) -> Generator[object, None, None]:
        """Wait until the back end has dealt with it. Raises what it failed for."""
        if not self.is_over:
            yield from self.future()
        if (error := self.error) is not None:
            try:
                raise error
            finally:
                del self, error  # it leads to this frame: a ring, which would wait for the collector

    def future(self) -> asyncio.Future[None]:
        """Done when it is over, however that ended."""
        if self.waiter is None or self.waiter.cancelled():
            self.waiter = asyncio.get_running_loop().create_future()
            if self.is_over:
                self.waiter.set_result(None)
        return self.waiter

    def done(self) -> bool:
        """Is it over?"""
        return self.is_over

    def confirm(self) -> None:
        """The back end has dealt with it. Idempotent."""
        self.is_over = True
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def fail(self, error: Exception) -> None:
        """It could not be told, or did not confirm in time, unless it was over before."""
        if not self.is_over:
            self.error = error
            self.confirm()
            if self.failed is not None:
                self.failed(error)
