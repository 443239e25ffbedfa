"""The hub: a native listener that one node of a mesh holds and every node calls, without anything else to install.

What a back end keeps at the holder is a *desk*: a service class like any other, so that its calls have every limit,
deadline, error and counter that calls have, and no second protocol is needed. The first node of a mesh opens the hub, later
ones join; when the holder goes, a survivor opens it anew: a new *term* begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

S = TypeVar("S")


class Term(Protocol):
    """The time in which one node holds the hub. `node_id` is the holder, `is_here` whether that is this node; `over`
    resolves with the reason once the holder is lost, left or gave the hub up."""

    node_id: str
    is_here: bool
    over: asyncio.Future[str]

    def desk(self, contract: type[S], /) -> S:
        """The desk of this class at the holder: the object itself where that is this node, else a client of it with the
        same methods. Its calls raise errors.CallError; NotFound where the holder has no such desk."""
        ...


class Desk(Protocol):
    """A service (a class with @api methods) that runs at the holder, made anew for each term of this node."""

    async def open(self) -> None:
        """The term begins; calls come once this returns. Raises errors.StartError when it can't."""

    async def close(self, heir: Term | None) -> None:
        """The term has ended and no call comes any more. `heir`: who holds the hub now, for what should live on; None:
        nobody took over."""


class Hub(Protocol):
    """One hub, shared by all back ends of a host that name the same address."""

    def offer(self, contract: type, make: Callable[[], Desk], /) -> None:
        """Serve `make()`, an instance of `contract`, whenever this node holds the hub. Only before the hub is first used."""

    async def term(self) -> Term:
        """The term that runs now; waits for one while none does. Raises errors.StartError when this host may not join: the
        address is held by another mesh, or by something else."""
        ...
