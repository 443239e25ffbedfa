"""Who of many can take a call now. Which instances there are at all is `catalog.query.serving`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Usable(Protocol):
    """Anything that may or may not take a call now."""

    @property
    def usable(self) -> bool:
        """Can it take a call now?"""
        ...


def usable_from(candidates: Sequence[Usable], start: int) -> int:
    """Position of the first usable candidate at or after `start`, around the end; `start` when none is usable."""
    if candidates[start].usable:
        return start
    count = len(candidates)
    around = ((start + step) % count for step in range(1, count))
    return next((at for at in around if candidates[at].usable), start)
