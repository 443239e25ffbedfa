"""Waits that end: whoever was promised an answer has it, or an error, within a time that is the same for all. Decided here; the clock and
what is told are the owner's."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Promised(Protocol):
    """What is waited for: a future, say."""

    def done(self) -> bool:
        """Is there an answer, or nobody who waits for it?"""
        ...


P = TypeVar("P", bound=Promised)


class Patience(Generic[P]):
    """`now` and `expire` are those of a `contracts.Clock`; `within_s` in seconds; `expired` gets those that are not done by then, oldest
    first."""

    def __init__(
        self, now: Callable[[], float], expire: Callable[[float, Callable[[], None]], Callable[[], None]], within_s: float,
        expired: Callable[[list[P]], None],
    ) -> None:  # fmt: skip
        self._now, self._expire, self.within_s, self._expired = now, expire, within_s, expired
        self._waiting: deque[tuple[float, P]] = deque()
        self._forget_look: Callable[[], None] | None = None

    def watch(self, promised: P) -> None:
        """From now on it is waited for."""
        waiting = self._waiting
        while waiting and waiting[0][1].done():
            waiting.popleft()
        waiting.append((self._now() + self.within_s, promised))
        if self._forget_look is None:
            self._forget_look = self._expire(waiting[0][0], self._look)

    def open(self) -> set[P]:
        """Those that are waited for."""
        return {promised for _, promised in self._waiting if not promised.done()}

    def _look(self) -> None:
        """All wait equally long: the first is the oldest."""
        self._forget_look = None
        waiting, now, late = self._waiting, self._now(), list[P]()
        while waiting and (waiting[0][0] <= now or waiting[0][1].done()):
            _, promised = waiting.popleft()
            if not promised.done():
                late.append(promised)
        if waiting:
            self._forget_look = self._expire(waiting[0][0], self._look)
        if late:
            self._expired(late)

    def close(self) -> set[P]:
        """Nobody is waited for any more: those that were. Idempotent."""
        left = self.open()
        self._waiting.clear()
        if self._forget_look is not None:
            self._forget_look()
            self._forget_look = None
        return left
