"""What `publish` gives where the bus answers with a future or a coroutine of its own, and not with a `contracts.Receipt`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from typing import TYPE_CHECKING, Any

from ..service.endpoints import Published
from .trail import Published as Entry

if TYPE_CHECKING:
    from .publisher import Publisher


class Answer(asyncio.Future[None]):
    """Of a bus that answers out of a coroutine: who gives up does not wait until that one has taken notice."""

    def __init__(self, accepted: asyncio.Task[None]) -> None:
        super().__init__()
        self._accepted = accepted
        accepted.add_done_callback(self._told)

    def _told(self, accepted: asyncio.Task[None]) -> None:
        if self.done():
            return
        if accepted.cancelled():
            super().cancel()
        elif (error := accepted.exception()) is not None:
            self.set_exception(error)
            self.exception()  # whoever waits for it or not: it is logged
        else:
            self.set_result(None)

    def cancel(self, msg: Any = None) -> bool:
        """Nobody waits any more."""
        self._accepted.cancel(msg)
        return super().cancel(msg)


class Followed:
    """Of one event. Who gives up waiting for the bus's own answer takes the event back at once, where it has not gone out."""

    __slots__ = ("_answer", "_entry", "_publisher")

    def __init__(self, publisher: Publisher, answer: Awaitable[None], entry: Entry) -> None:
        self._publisher, self._entry = publisher, entry
        if isinstance(answer, asyncio.Future):
            self._answer = answer
            answer.add_done_callback(self._settled)
        else:
            task = asyncio.ensure_future(answer)
            self._answer = Answer(task)
            task.add_done_callback(self._settled)

    def __await__(self) -> Generator[Any, None, Published]:
        """Wait for what the bus says itself: `_settled` is told of it first."""
        yield from self._answer.__await__()
        return self._publisher.published_as(self._entry)

    def _settled(self, accepted: asyncio.Future[None]) -> None:
        """The bus has said what became of the event."""
        error = asyncio.CancelledError() if accepted.cancelled() else accepted.exception()
        if error is None:
            self._publisher.succeeded(self._entry)
        else:
            self._publisher.failure(self._entry, error)
