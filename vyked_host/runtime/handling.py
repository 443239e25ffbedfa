"""One delivery on its way through its handler."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from ..contracts import Delivery
from ..model.message import Call, Fault
from ..service.context import Context
from ..service.context import Delivery as Told

if TYPE_CHECKING:
    from .subscriber import Subscriber


class Handling(Context, eq=False, kw_only=True):
    """A delivery, which is its own context, and its own `inside.Come`. One that is cancelled before its first line is the bus's again. `began`:
    when it came, and `deadline`, in monotonic seconds; `packed`: the metadata that its handler sees; `payload`: what it is called with."""

    subscriber: Subscriber
    taken: Delivery
    began: float
    deadline: float
    packed: bytes | None = None
    payload: Any = None
    ended: bool = False
    reason: Fault | None = None

    def run(self) -> Coroutine[Any, Any, None]:
        """The handler, and what the bus is told."""
        return self.subscriber.handle(self)

    # ---- service.context.Context -------------------------------------------------------------------------------------
    @property
    def delivery(self) -> Told:
        """What its handler may know of it and do with it, made when it asks."""
        return Told(self)  # not kept: it has this one, so that would be a ring

    def make(self) -> Call:
        """The call as others are."""
        return Call(0, 0, "object", self.payload, self.deadline, None, self.packed, self.taken.count)

    def until(self, deadline: float) -> None:
        """It has more time."""
        self.deadline = deadline
        if self.made is not None:
            self.made.deadline = deadline

    # ---- service.context.Handled -------------------------------------------------------------------------------------
    @property
    def event_id(self) -> str:
        """The event's."""
        return self.taken.event.id

    @property
    def count(self) -> int:
        """How often it was delivered, at least."""
        return self.taken.count

    async def extend(self) -> None:
        """The handler is still at it."""
        await self.subscriber.extend(self)

    # ---- turns.Run -----------------------------------------------------------------------------------------------------
    def started(self, task: asyncio.Task[None]) -> None:
        """It goes on in a task of the host's events."""
        self.subscriber.goes_on(task)

    def abandoned(self, task: asyncio.Task[None]) -> None:
        """It was not settled, so the bus brings it again, where it keeps events."""
