"""What a bus may give for a verdict on a delivery: a `Confirmation`. Most are never awaited: the host goes on, and hears of it only where the back
end could not be told.

A bus derives what it has to know of one delivery from `Settlement`.
"""

from __future__ import annotations

from collections.abc import Callable

from .confirmation import Confirmation


class Settlement(Confirmation, eq=False, kw_only=True):
    """Of one delivery. `failed` is called once where the back end could not be told; whoever sets it looks at `error` first, for it may have
    failed before."""

    failed: Callable[[BaseException], None] | None = None

    def confirm(self) -> None:
        """The back end has dealt with it. Idempotent."""
        self.is_over = True
        self.wake()

    def has_failed(self, error: BaseException) -> None:
        """Who follows it is told."""
        if self.failed is not None:
            self.failed(error)
