"""A second attempt beside one that takes long (Dean and Barroso, The Tail at Scale: https://research.google/pubs/the-tail-at-scale/).
The first answer counts, the other attempt is cancelled. Only for methods that may run twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import CallError
from ..service.clients import CallOptions
from .outgoing import PLAIN
from .tried import Tried

if TYPE_CHECKING:
    from .attempts import Attempts


class Hedged:
    """Calls of one endpoint, hedged after `after_s` seconds where the call itself says nothing else."""

    def __init__(self, attempts: Attempts, after_s: float) -> None:
        self._attempts, self._after_s = attempts, after_s

    async def call(self, arguments: Any, _inbound: Any, options: CallOptions | None) -> Any:
        """One call."""
        given = options.hedge_after if options is not None else None
        return await race(self._attempts, arguments, options or PLAIN, self._after_s if given is None else given)


async def race(attempts: Attempts, arguments: Any, options: CallOptions, after_s: float) -> Any:
    """The call, and after `after_s` seconds once more at another instance, where there is one and the budget has room."""
    tried, until = Tried(), attempts.deadline(options)
    name, spawn = f"call of {attempts.endpoint.path}", attempts.client.tasks.spawn
    running = [spawn(attempts.beside(arguments, options, tried), name)]
    try:
        await asyncio.wait(running, timeout=after_s)
        left = until - attempts.client.clock.now()
        if not running[0].done() and left > 0 and attempts.may_double(tried):
            second = msgspec.structs.replace(options, timeout=left)
            running.append(spawn(attempts.beside(arguments, second, tried), name))
        return (await _first_answer(running)).result()
    finally:
        tried.is_over, tried.doubt = True, None
        for each in running:
            each.cancel()
            each.add_done_callback(_read)
        del running[:], each  # the error leads to this frame: a ring, which would wait for the collector


async def _first_answer(running: Collection[asyncio.Future[Any]]) -> asyncio.Future[Any]:
    """The first of them that has one; a failure of one counts only when no other is left."""
    pending: Collection[asyncio.Future[Any]] = running
    while True:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            if not pending or _is_answer(each):
                return each


def _is_answer(attempt: asyncio.Future[Any]) -> bool:
    """Did the method itself answer, with a result or an error of its own?"""
    error = None if attempt.cancelled() else attempt.exception()
    return not isinstance(error, CallError) or error.executed == "executed"


def _read(attempt: asyncio.Future[Any]) -> None:
    """What the slower attempt ended with is nobody's concern."""
    if not attempt.cancelled():
        attempt.exception()
