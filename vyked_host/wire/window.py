"""How much of a stream may be under way: credit counts items, and large ones for as many as they are pieces.

32 items of a few bytes cost nothing; 32 of 16 MiB would be half a GiB in the memory of whoever is slow. So the credit of an item
is its size in whole pieces, at least one.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from ..model.message import INITIAL_CREDIT
from .pieces import PIECE_BYTES

_BATCH: Final = INITIAL_CREDIT // 2


def cost(size: int) -> int:
    """The credit that an item of `size` bytes takes."""
    return size // PIECE_BYTES or 1


class Window:
    """The side of a stream that receives. `left`: the credit that the sender has, as far as is known here."""

    __slots__ = ("_costs", "_held", "left")

    def __init__(self) -> None:
        self.left = INITIAL_CREDIT
        self._costs: deque[int] = deque()
        self._held = 0

    def arrived(self, size: int) -> int:
        """An item came: the credit to grant now, mostly 0. One that comes while `left` is 0 or less breaks the rules."""
        units = cost(size)
        self.left -= units
        self._costs.append(units)
        return self._release()

    def taken(self, items: int) -> int:
        """Its reader took `items` items, or can take so many more: the credit to grant now. Less than half a window is held
        back while the sender is not waiting for it."""
        costs = self._costs
        known = min(items, len(costs))
        self._held += items - known + sum(costs.popleft() for _ in range(known))
        return self._release()

    def _release(self) -> int:
        if self._held < _BATCH and self.left > 0:
            return 0
        units, self._held = self._held, 0
        self.left += units
        return units
