"""What stands for a service that is not under test: any object whose methods are called like the service's."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Any


class StandIn:
    """An object in a client's place: its methods can be awaited, streamed and given options, as a client's can."""

    def __init__(self, service: str, fake: object) -> None:
        self._service, self._fake = service, fake

    def __getattr__(self, name: str) -> StandInMethod:
        """The method. Raises AttributeError naming the fake when it has none of that name."""
        body = getattr(self._fake, name, None)
        if body is None:
            raise AttributeError(f"the fake of {self._service!r}, {self._fake!r}, has no method {name!r}")
        return StandInMethod(body)


class StandInMethod:
    """A fake's method. What it raises reaches the caller as it is."""

    def __init__(self, body: Callable[..., Any]) -> None:
        self._body = body

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it: a coroutine of the result, or a stream where the body is an async generator."""
        if inspect.isasyncgenfunction(self._body):
            return StandInReply(self._body(*args, **kwargs))
        return self._answer(args, kwargs)

    async def _answer(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        found = self._body(*args, **kwargs)
        return await found if inspect.isawaitable(found) else found

    def using(self, **_options: Any) -> StandInMethod:
        """Options of a call mean nothing to a fake."""
        return self


class StandInReply:
    """A fake's stream, with the face of a client's."""

    def __init__(self, items: AsyncGenerator[Any, None]) -> None:
        self._items = items

    def __aiter__(self) -> StandInReply:
        return self

    async def __anext__(self) -> Any:
        return await anext(self._items)

    async def __aenter__(self) -> StandInReply:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave it."""
        await self._items.aclose()
