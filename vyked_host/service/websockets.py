"""The socket that a @websocket method gets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol, TypeVar

In_co = TypeVar("In_co", covariant=True)
Out_contra = TypeVar("Out_contra", contravariant=True)


class WebSocket(Protocol[In_co, Out_contra]):
    """One open socket: `str`, `bytes` or a Struct each way. `request` is the web framework's request that opened it."""

    id: str
    request: Any

    def __aiter__(self) -> AsyncIterator[In_co]:
        """Messages as they come, until the peer closes."""
        ...

    async def send(self, message: Out_contra, /) -> None:
        """Send one message; waits while the peer is slow. Raises Unavailable when it is gone."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it, telling the peer why. Idempotent."""
