"""A streamed answer in the hands of its caller."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from .answers import Reply


class Stream:
    """A `Reply` as an async iterator. Leaving ``async with`` early, `aclose`, or letting go of it cancels the handler; iterating to the end
    needs none of them. What answers holds the reply, and nobody but the caller holds this."""

    __slots__ = ("_reply",)

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Any:
        reply = self._reply
        if not reply.begun and not reply.over:
            await reply.begin()
        while not reply.items:
            if reply.over:
                if reply.error is not None:
                    raise reply.error
                raise StopAsyncIteration
            await reply.more()
        item = reply.items.popleft()
        reply.take()
        return item

    async def aclose(self) -> None:
        """Give up what has not come yet."""
        self._reply.leave()

    async def __aenter__(self) -> Stream:
        if not self._reply.begun and not self._reply.over:
            await self._reply.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> None:
        self._reply.leave()

    def __del__(self) -> None:
        self._reply.let_go()
