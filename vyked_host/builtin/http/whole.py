"""An answer of one piece, as nearly all are: headers and body in one write.

What `web.Response` can do besides - cookies, compression, chunks, a body that comes later - takes it a quarter of the whole request;
answers of typed methods and calls need none of it. aiohttp's connection asks an answer for what stands here. Where the request is plain,
its head is a text with two gaps; else it goes through aiohttp's own writer.
"""

from __future__ import annotations

import re
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final, cast

from aiohttp import hdrs, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpVersion10, HttpVersion11
from multidict import CIMultiDict

from .request import EdgeRequest

PRODUCT = "vyked-host"
BODILESS = frozenset({204, 205, 304})
"""Statuses of answers that may have no body: those are web.Response's matter."""
_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in HTTPStatus}
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_END = f"\r\n{hdrs.SERVER}: {PRODUCT}\r\n\r\n"


class Whole:
    """`status` with `body`, which is of the media type `content_type`. `headers` may be added to until it is sent."""

    __slots__ = ("_body", "_closes", "_content_type", "_headers", "_writer", "keep_alive", "prepared", "status")
    __http_exception__: Final = False
    """aiohttp asks every answer for it."""

    def __init__(self, status: int, body: bytes, content_type: str) -> None:
        self.status, self._body, self._content_type = status, body, content_type
        self._headers: CIMultiDict[str] | None = None
        self.keep_alive: bool | None = None
        self.prepared = self._closes = False
        self._writer: Any = None

    @property
    def headers(self) -> CIMultiDict[str]:
        """What it says."""
        found = self._headers
        if found is None:
            found = self._headers = CIMultiDict({hdrs.CONTENT_TYPE: self._content_type})
        return found

    def force_close(self) -> None:
        """The connection ends with this answer."""
        self._closes = True

    async def prepare(self, request: EdgeRequest) -> None:
        """aiohttp begins to send it. Raises ConnectionError when nobody is there any more."""
        self.prepared = True
        keeps = request.keep_alive and not self._closes
        if keeps and request.is_plain and request.version is HttpVersion11 and not request.stamper.draining:
            self.keep_alive = True
            connection, body = request.connection, self._body
            head = f"{_begin(self.status, self._content_type)}{len(body)}\r\nDate: {rfc822_formatted_time()}{_END}"
            connection.send(b"".join((head.encode(), body)))
            if connection.writing_paused:
                await request.writer.drain()
        else:
            await self._prepare(request)

    async def _prepare(self, request: EdgeRequest) -> None:
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
        if self._writer is not None:
            await self._writer.write_eof(self._body)


@lru_cache(maxsize=1024)
def _begin(status: int, content_type: str) -> str:
    """The head up to the number of bytes. Raises ValueError for a media type that would not stay in its line."""
    if _PRINTABLE.fullmatch(content_type) is None:
        raise ValueError(f"{content_type!r} is no media type")
    return f"{_LINES[status]}\r\n{hdrs.CONTENT_TYPE}: {content_type}\r\n{hdrs.CONTENT_LENGTH}: "


def comes_whole(status: int) -> bool:
    """Can answers with `status` be a Whole, where the request is none of HEAD?"""
    return status in _LINES and status not in BODILESS


def answer(request: EdgeRequest, status: int, body: bytes, content_type: str) -> web.StreamResponse:
    """`body` with `status` for `request`: a Whole wherever that can be."""
    if comes_whole(status) and request.method != "HEAD":
        return cast(web.StreamResponse, Whole(status, body, content_type))
    return web.Response(body=body, status=status, content_type=content_type)
