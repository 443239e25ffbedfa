"""A method bound to something: what calling it looks like, and how it runs on one's own instance, as plain Python."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, Protocol, Self, TypeVar, cast

from ..errors import UsageError
from ..routing.priority import Priority

if TYPE_CHECKING:
    from .endpoints import Decorated

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
T_co = TypeVar("T_co", covariant=True)


class BoundEndpoint(Protocol[P, R_co]):
    """`self.identity.create` (a client: a call, a function) or `self.create` (own instance: the body itself, no middleware)."""

    __slots__ = ()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R_co]:
        """Call it; awaiting gives the result. Raises the declared errors of the endpoint, and CallError."""
        raise NotImplementedError

    def using(
        self, *, timeout: float | None = None, entity: str | None = None, idempotency_key: str | None = None,
        hedge_after: float | None = None, metadata: Mapping[str, str] | None = None, instance: str | None = None,
        priority: Priority | None = None,
    ) -> BoundEndpoint[P, R_co]:  # fmt: skip
        """The same method with options for this call, times in seconds; raises UsageError on one's own instance."""
        raise NotImplementedError


class Reply(Protocol[T_co]):
    """A streamed answer, an async iterator. Leaving ``async with`` early cancels the handler; ``async for`` to the end
    does not need it."""

    def __aiter__(self) -> Self: ...

    def __anext__(self) -> Awaitable[T_co]: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> None: ...

    async def aclose(self) -> None:
        """Cancel what is left of it. Idempotent."""


class BoundStream(Generic[P, T_co]):
    """Like :class:`BoundEndpoint`, for a method that answers with a stream."""

    __slots__ = ()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Reply[T_co]:
        """Start it; nothing is sent before the first item is asked for."""
        raise NotImplementedError

    def using(
        self, *, timeout: float | None = None, entity: str | None = None, metadata: Mapping[str, str] | None = None,
        instance: str | None = None, priority: Priority | None = None,
    ) -> BoundStream[P, T_co]:  # fmt: skip
        """The same method with options for this call; raises UsageError on one's own instance."""
        raise NotImplementedError


# ---- on one's own instance --------------------------------------------------------------------------------------------
def _own_has_no_options(name: str) -> NoReturn:
    raise UsageError(
        f"{name} is a method of this very instance: there is no call to give options to; "
        "call it plainly, or declare a client(...) of the service to go through the host"
    )


class OwnEndpoint(BoundEndpoint[P, R_co]):
    """An endpoint on one's own instance: plain Python. A plain def is awaited here too, a blocking one in a thread."""

    __slots__ = ("_endpoint", "_instance")

    def __init__(self, endpoint: Decorated, instance: object) -> None:
        self._endpoint = endpoint
        self._instance = instance

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R_co]:
        """The body's own coroutine, or one that runs the body when awaited."""
        endpoint = self._endpoint
        if endpoint.is_coroutine:
            return cast("Coroutine[Any, Any, R_co]", endpoint.body(self._instance, *args, **kwargs))
        return self._run(args, kwargs)

    async def _run(self, args: Any, kwargs: Any) -> R_co:
        body: Callable[..., Any] = self._endpoint.body
        if self._endpoint.marks.blocking:
            return cast("R_co", await asyncio.to_thread(body, self._instance, *args, **kwargs))
        result = body(self._instance, *args, **kwargs)
        return cast("R_co", await result if inspect.isawaitable(result) else result)

    def using(self, **_options: Any) -> NoReturn:
        """Always raises UsageError."""
        _own_has_no_options(self._endpoint.name)


class OwnReply(Generic[T_co]):
    """The stream of one's own method, with the face of a :class:`Reply`."""

    __slots__ = ("_items",)

    def __init__(self, items: AsyncIterator[T_co]) -> None:
        self._items = items

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[T_co]:
        return self._items.__anext__()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the generator, where it is one."""
        close = getattr(self._items, "aclose", None)
        if close is not None:
            await close()


class OwnStream(BoundStream[P, T_co]):
    """A streaming endpoint on one's own instance."""

    __slots__ = ("_endpoint", "_instance")

    def __init__(self, endpoint: Decorated, instance: object) -> None:
        self._endpoint = endpoint
        self._instance = instance

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Reply[T_co]:
        """The items that the body yields."""
        return OwnReply(aiter(self._endpoint.body(self._instance, *args, **kwargs)))

    def using(self, **_options: Any) -> NoReturn:
        """Always raises UsageError."""
        _own_has_no_options(self._endpoint.name)
