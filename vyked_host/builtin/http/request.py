"""The request as this transport knows it: aiohttp's, and what its answer has to say beside what the handler says."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web
from multidict import CIMultiDict

from ...contracts import Peer
from ...wire.proof import Seal
from .connection import Connection
from .cors import NOBODY
from .exposed import Exposed


class Answer(Protocol):
    """What is asked of an answer before it is sent."""

    @property
    def headers(self) -> CIMultiDict[str]:
        """What it says so far."""
        ...

    def force_close(self) -> None:
        """The connection ends with this answer."""


class Stamper(Protocol):
    """Puts on an answer what every answer carries."""

    draining: bool

    def stamp(self, request: EdgeRequest, response: Answer) -> None:
        """Add headers to `response` before they are sent."""
        ...


class EdgeRequest(web.Request):
    """aiohttp's request, with our headers on whatever answers it, also on what a handler prepares itself."""

    ATTRS = web.Request.ATTRS | frozenset({"exposed", "is_plain", "origins", "peer", "says_more", "seal", "stamper"})
    stamper: Stamper
    exposed: Exposed | None = None
    """What it calls, once that is known."""
    peer: Peer | None = None
    """Who asks, where that was looked at; else what the connection says."""
    says_more: bool = False
    """A header of `headers` may be among its own."""
    seal: Seal | None = None
    """The mesh secret that it is signed with."""
    origins: frozenset[str] = NOBODY
    """The pages that may read the answer, beside those of `cors`: the route says so."""
    is_plain: bool = False
    """`stamp` puts nothing on its answer but who made it, unless the host drains."""

    @property
    def connection(self) -> Connection:
        """What it came over."""
        return self._protocol  # type: ignore[return-value]

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        self.stamper.stamp(self, response)
