"""Who of many can take a call now. Which instances there are at all is `catalog.query.serving`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol, TypeVar


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


class Placed(Usable, Protocol):
    """A candidate at a node."""

    @property
    def node_id(self) -> str:
        """The id of its node."""
        ...


T = TypeVar("T", bound=Placed)


def another(candidates: Sequence[T], tried: Collection[str], chance: float) -> T | None:
    """One of the usable candidates whose node was not tried; `chance` in [0, 1) decides which. None: there is none. A balancer is
    not asked: those that go in turn would give the turn of the next call to this one."""
    left = [each for each in candidates if each.usable and each.node_id not in tried]
    return left[int(chance * len(left))] if left else None
