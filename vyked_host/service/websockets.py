"""@websocket, the socket that its method gets, and what a transport hands to the method's surroundings before it is open."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from .decorators import texts
from .subscriptions import WebSocketRoute, note

P = ParamSpec("P")
S = TypeVar("S")
In_co = TypeVar("In_co", covariant=True)
Out_contra = TypeVar("Out_contra", contravariant=True)


def websocket(
    path: str | Sequence[str], *, origins: Sequence[str] = (), required_params: str | Sequence[str] | None = None,
    timeout: float | None = None,
) -> Callable[[Callable[Concatenate[S, P], Awaitable[None]]], Callable[Concatenate[S, P], Awaitable[None]]]:  # fmt: skip
    """Serve a WebSocket at `path`. The method runs as long as the socket is open; it gets the socket in the parameter that is
    annotated ``WebSocket[In, Out]``, and the others from path and query. `origins` are the pages of other origins that may
    open it ("*": all); those of this host always may. `timeout` in seconds bounds the life of a socket; without one it has
    no end of its own."""
    route = WebSocketRoute(
        paths=texts(path), origins=tuple(origins), required_params=texts(required_params), timeout=timeout
    )

    def decorate(handler: Callable[Concatenate[S, P], Awaitable[None]]) -> Callable[Concatenate[S, P], Awaitable[None]]:
        note(handler, route)
        return handler

    return decorate


class WebSocket(Protocol[In_co, Out_contra]):
    """One open socket. `In` is what it receives, `Out` what it sends: `str` is a text message, `bytes` a binary one, and
    everything else (a Struct, a union of tagged ones, a list) is JSON in a text message. `id` names it in logs; `request` is
    the web framework's request that opened it."""

    id: str
    request: Any

    @property
    def close_code(self) -> int | None:
        """How it ended, by RFC 6455, 7.4 (1000 normally, 1001 a drain or a page that was left, 1006 connection lost); None
        while it is open."""
        ...

    def __aiter__(self) -> AsyncIterator[In_co]:
        """Messages as they come. The iteration ends when the socket does, whoever ended it and however."""
        ...

    async def send(self, message: Out_contra, /) -> None:
        """Send one message; waits while the peer is slow. Raises Closed when the peer is gone, TooLarge when the message is
        over ``[limits] message``, TypeError when its type can't be sent."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it, telling the peer why: 1000 to 1014 as RFC 6455 has them, or 3000 to 4999 as the two agree. Idempotent.
        Waits until the peer has answered, ``[timing] pong`` at most. Raises UsageError for another code."""


class Opening(Protocol):
    """A request for a socket, before it is answered: what middlewares get around a @websocket method. What they raise is the
    answer, with its HTTP status; the socket is open once they have let the request through to the method."""

    request: Any
    arguments: Any

    async def accept(self) -> WebSocket[Any, Any]:
        """Open the socket. Raises Closed when the peer has gone meanwhile."""
        ...

    def ended(self) -> dict[str, Any]:
        """Close code and messages received and sent, for logs; empty when it never was open."""
        ...
