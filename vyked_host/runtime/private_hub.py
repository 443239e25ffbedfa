"""A hub that never leaves this process: it is held from the start, nothing listens, nobody else can join."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from ..contracts import Desk
from ..errors import UsageError

S = TypeVar("S")


class OwnTerm:
    """`contracts.Term` of this node: desks are called as objects."""

    is_here = True

    def __init__(self, node_id: str, desks: dict[type, Desk]) -> None:
        self.node_id, self._desks = node_id, desks
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def desk(self, contract: type[S], /) -> S:
        """The desk itself. Raises UsageError when none was offered."""
        found = self._desks.get(contract)
        if not isinstance(found, contract):
            raise UsageError(f"no {contract.__name__} was offered to this hub")
        return found


class PrivateHub:
    """`contracts.Hub` of one process."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._offers: dict[type, Callable[[], Desk]] = {}
        self._desks: dict[type, Desk] = {}
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
                self._desks = {contract: make() for contract, make in self._offers.items()}
                for desk in self._desks.values():
                    await desk.open()
                self._term = OwnTerm(self._node_id, self._desks)
        return self._term

    async def aclose(self) -> None:
        """The term ends; desks are closed in reverse. Idempotent."""
        term, self._term = self._term, None
        if term is None:
            return
        if not term.over.done():
            term.over.set_result("the host stops")
        for desk in reversed(self._desks.values()):
            await desk.close(None)
