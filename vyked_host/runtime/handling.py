"""One delivery on its way through its handler."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from ..contracts import Delivery
from ..model.message import SENSITIVE, Call, Fault
from ..service.context import Context
from ..service.context import Delivery as Told
from ..wire import metadata as headers

if TYPE_CHECKING:
    from .subscriber import Subscriber


UNREAD: Any = object()
"""What nobody has looked at."""


class Handling(Context, eq=False, kw_only=True):
    """A delivery, which is its own context, and its own `inside.Come`. One that is cancelled before its first line is the bus's again. `began`:
    when it came, and `deadline`, in monotonic seconds; `payload`: what it is called with; `seen`: its metadata."""

    subscriber: Subscriber
    taken: Delivery
    began: float
    deadline: float
    payload: Any = UNREAD
    seen: bytes | None = UNREAD
    ended: bool = False
    reason: Fault | None = None

    def run(self) -> Coroutine[Any, Any, None]:
        """The handler, and what the bus is told."""
        return self.subscriber.handle(self)

    # ---- service.context.Context -------------------------------------------------------------------------------------
    @property
    def packed(self) -> bytes | None:
        """What of an event's headers its handler sees, packed when somebody asks."""
        if self.seen is UNREAD:
            metadata = self.taken.event.metadata
            self.seen = headers.pack({name: value for name, value in metadata.items() if name != SENSITIVE})
        return self.seen

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
