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


def another(candidates: Sequence[T], chosen: T, tried: Collection[str]) -> T:
    """`chosen`, unless its node was tried already: then the first usable one after it that was not; `chosen` when there is none."""
    if chosen.node_id not in tried:
        return chosen
    start = next((at for at, each in enumerate(candidates) if each is chosen), 0)
    around = (candidates[(start + step) % len(candidates)] for step in range(1, len(candidates) + 1))
    return next((each for each in around if each.usable and each.node_id not in tried), chosen)
