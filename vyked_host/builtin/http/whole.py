"""An answer of one piece, as nearly all are: headers and body in one write.

What `web.Response` can do besides - cookies, compression, chunks, a body that comes later - takes it a quarter of the whole request;
answers of typed methods and calls need none of it. aiohttp's connection asks an answer for what stands here, and writes
through its own writer.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast

from aiohttp import hdrs, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpVersion10
from multidict import CIMultiDict

from .request import EdgeRequest

_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in HTTPStatus}
BODILESS = frozenset({204, 205, 304})
"""Statuses of answers that may have no body: those are web.Response's matter."""


class Whole:
    """`status` with `body`, which is of the media type `content_type`. `headers` may be added to until it is sent."""

    __slots__ = ("_body", "_closes", "_writer", "headers", "keep_alive", "status")

    def __init__(self, status: int, body: bytes, content_type: str) -> None:
        self.status, self._body = status, body
        self.headers: CIMultiDict[str] = CIMultiDict({hdrs.CONTENT_TYPE: content_type})
        self.keep_alive: bool | None = None
        self._closes = False
        self._writer: Any = None

    @property
    def prepared(self) -> bool:
        """Has its head been handed over?"""
        return self._writer is not None

    def force_close(self) -> None:
        """The connection ends with this answer."""
        self._closes = True

    async def prepare(self, request: EdgeRequest) -> None:
        """aiohttp begins to send it: hand over status and headers."""
        said = self.headers
        said[hdrs.CONTENT_LENGTH] = str(len(self._body))
        said[hdrs.DATE] = rfc822_formatted_time()
        request.stamper.stamp(request, self)
        keeps = self.keep_alive = request.keep_alive and not self._closes
        if hdrs.CONNECTION not in said and not keeps:
            said[hdrs.CONNECTION] = "close"
        elif keeps and request.version == HttpVersion10:
            said[hdrs.CONNECTION] = "keep-alive"
        self._writer = request.writer
        await self._writer.write_headers(_LINES[self.status], said)

    async def write_eof(self) -> None:
        """aiohttp ends it: the body, with the head in one write."""
        await self._writer.write_eof(self._body)


def answer(request: EdgeRequest, status: int, body: bytes, content_type: str) -> web.StreamResponse:
    """`body` with `status` for `request`: a Whole wherever that can be."""
    if status in _LINES and status not in BODILESS and request.method != "HEAD":
        return cast(web.StreamResponse, Whole(status, body, content_type))
    return web.Response(body=body, status=status, content_type=content_type)
