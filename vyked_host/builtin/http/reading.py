"""Bodies of requests: whole, with their cap, or as a stream of items."""

from __future__ import annotations

from collections import deque

from aiohttp import web

from .framing import Splitter
from .refusal import Refused


def content_type(request: web.Request) -> str:
    """The media type of the body; empty when there is no body or the client did not say (aiohttp would make one up)."""
    return request.content_type if "Content-Type" in request.headers and request.can_read_body else ""


async def invite(request: web.Request) -> None:
    """Answer ``Expect: 100-continue``: the client waits with its body until it is told to send it."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


def whole_already(request: web.Request) -> bytes | None:
    """The body where all of it has come, as a small one has when its headers have; None: wait for :func:`whole_body`. Raises
    Refused."""
    content, limit = request.content, request.client_max_size
    if request._read_bytes is not None or not content.is_eof() or content.exception() is not None:
        return None
    body = request._read_bytes = content.read_nowait()  # as request.read() does it: handlers may read it, too
    if limit and len(body) > limit:
        raise _too_large(None, limit)
    return body


async def whole_body(request: web.Request) -> bytes:
    """The body, inflated when it came compressed, never over ``[limits] message``. Raises Refused."""
    limit = request.client_max_size
    if limit and (request.content_length or 0) > limit:
        raise _too_large(request.content_length or 0, limit)
    await invite(request)
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise _too_large(None, limit) from None
    except web.RequestPayloadError as error:
        raise Refused("INVALID_ARGUMENT", f"the body can't be read: {error}") from None


def _too_large(size: int | None, limit: int) -> Refused:
    said = f"{size} bytes are" if size else "the body is"
    return Refused(
        "TOO_LARGE", f"{said} over [limits] message = {limit}: send less, or as a stream",
        details={"limit": limit}, headers={"Connection": "close"},
    )  # fmt: skip


class Inlet:
    """The items of a body, one after the other, read no faster than they are taken."""

    def __init__(self, request: web.Request, splitter: Splitter) -> None:
        self._content = request.content
        self._splitter = splitter
        self._ready: deque[bytes] = deque()
        self._ended = False

    async def next(self) -> bytes | None:
        """The next item; None: the body has ended. Raises ValueError for an item that is too long or cut off,
        web.RequestPayloadError for a broken body."""
        while not self._ready and not self._ended:
            data = await self._content.readany()
            if data:
                self._ready.extend(self._splitter.feed(data))
            elif self._content.at_eof():
                self._ended = True
                rest = self._splitter.rest()
                self._ready.extend([rest] if rest else [])
        return self._ready.popleft() if self._ready else None
