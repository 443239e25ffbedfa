"""A hub that never leaves this process: it is held from the first use on, nothing listens, nobody else can join."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..contracts import Desk, Hub
from ..errors import UsageError
from .terms import OwnTerm, opened


class PrivateHub(Hub):
    """`contracts.Hub` of one process."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._offers: dict[type, Callable[[], Desk]] = {}
        self._opening = asyncio.Lock()
        self._term: OwnTerm | None = None

    def offer(self, contract: type, make: Callable[[], Desk], /) -> None:
        """Serve `make()` from the first use on. Raises UsageError after it."""
        if self._term is not None:
            raise UsageError("this hub is in use already: offer desks before")
        self._offers[contract] = make

    async def term(self) -> OwnTerm:
        """The one term there is."""
        async with self._opening:
            if self._term is None:
                self._term = OwnTerm(self._node_id, await opened(self._offers))
        return self._term

    async def open(self) -> None:
        """Nothing to find or bind: `term` does it all."""
        await self.term()

    async def aclose(self) -> None:
        """The term ends. Idempotent."""
        term, self._term = self._term, None
        if term is not None:
            await term.close("the host stops", None)
