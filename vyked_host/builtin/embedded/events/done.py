"""Something to await that is over already: no Future, no Task, no turn of the loop."""

from __future__ import annotations

from collections.abc import Generator


class _Done:
    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        return
        yield  # a generator that yields nothing


DONE = _Done()
"""Awaiting it returns None at once, as often as wanted."""
