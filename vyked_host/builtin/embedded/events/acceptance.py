"""What became of a batch of events: how many of them, from its start, are accepted, and why the next one is not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from ....errors import CallError
from .letters import Refusal, Taken


async def outcome(accepting: Sequence[Awaitable[None]], refused: Refusal | None) -> Taken:
    """Wait for each; the first that fails ends the batch, else `refused` does."""
    for at, each in enumerate(accepting):
        try:
            await each
        except CallError as error:
            error.__traceback__ = None  # it leads here, to who holds the error: a ring with all that was to be published
            again = error.code == "UNAVAILABLE"
            for rest in accepting[at + 1 :]:
                _unheard(rest)
            return Taken(at, Refusal(error.code, str(error), again, error.retry_after))
    return Taken(len(accepting), refused)


def _unheard(accepting: Awaitable[None]) -> None:
    """Its outcome is told when the event comes again."""
    if isinstance(accepting, asyncio.Future):
        accepting.add_done_callback(lambda done: done.cancelled() or done.exception())
