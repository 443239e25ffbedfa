"""What happens to each request: find what answers it, run it, and turn every failure into the one error body."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus
from itertools import chain
from operator import itemgetter

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

from ...contracts import Calls, Environment, Fault, Surface
from ...errors import Code
from . import headers
from .control import Control
from .cors import NOBODY, CrossOrigin, Verbs, allow
from .guard import OPEN, Guard, guard_of
from .hosts import Hosts
from .negotiation import Negotiation
from .options import Options
from .refusal import Refused, failure
from .request import Answer, EdgeRequest
from .routes import Makes
from .running import Runner
from .table import CALLS, RESERVED, Found, Table
from .websocket.census import Sockets
from .whole import PRODUCT

WEB_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"})
"""The verbs that routes may have."""
_CODES: dict[int, Code] = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "TOO_LARGE",
    503: "UNAVAILABLE",
}
_first = itemgetter(0)


class Edge:
    """The request handler of one listener."""

    def __init__(self, calls: Calls, env: Environment, options: Options, control: Control) -> None:
        self._env, self.control = env, control
        self._negotiation = Negotiation(env.serializers())
        self._guard = guard_of(env)
        self._hosts = Hosts(options, env.log)
        self._runner = Runner(calls, env)
        self._since = f"@{int(env.clock.unix())}"  # RFC 9745 wants a date: what is deprecated is so at least since now
        self._cors = CrossOrigin(options)
        self._is_plain = not self._cors.concerns(NOBODY)
        self.sockets = Sockets(env, options)
        limits = env.limits
        self._header_bytes = None if limits.header_bytes == "none" else limits.header_bytes
        self.body_limit = 0 if limits.message == "none" else limits.message
        self.draining = False
        self.table: Table

    def expose(self, surface: Surface) -> None:
        """Serve `surface` from now on. Raises UsageError when a route of it can't work."""
        makes = Makes(self._runner, self._negotiation, self.sockets)
        self.table = Table(surface, makes, limit=self.body_limit, log=self._env.log)

    def drain(self) -> None:
        """Refuse new work, close every WebSocket; the host's own paths go on answering."""
        self.draining = self.control.draining = True
        self.sockets.leave()

    def request(
        self, message: object, payload: object, protocol: web.RequestHandler, writer: AbstractStreamWriter, task: object
    ) -> web.BaseRequest:
        """aiohttp's request factory."""
        made = EdgeRequest(
            message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=self.body_limit,  # type: ignore[arg-type]
        )  # fmt: skip
        made.stamper = self
        return made

    # ---- per request -----------------------------------------------------------------------------------------------
    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer `request`, whatever happens."""
        assert isinstance(request, EdgeRequest)
        connection = request.connection
        connection.began(request)
        try:
            return await self._answer(request)
        except Refused as refused:
            return refused.answer()
        except web.HTTPException as answer:
            return self._from_aiohttp(answer)
        finally:
            connection.ended()

    def _answer(self, request: EdgeRequest) -> Awaitable[web.StreamResponse]:
        self._check_headers(request)
        self._hosts.check(request.headers.get(hdrs.HOST))
        found = self.table.known(request)
        if found is None or self._guard is not None or self.draining:
            return self._sought(request)
        route = found.route
        assert route is not None
        request.origins, request.exposed, request._match_info = route.origins, route.exposed, found.match
        request.is_plain = found.is_plain and self._is_plain
        return route.answer(request)

    async def _sought(self, request: EdgeRequest) -> web.StreamResponse:
        """What there is more to say of: a path of the host itself, of a template, or of nobody."""
        control = self.control.paths.get(path := request.path)
        if self._guard is not None:
            await self._admit(self._guard, request, own=control is not None)
        if control is not None and (self.draining or not self.table.has(path)):
            return await self._controlled(request, control)
        if self.draining:
            raise Refused("UNAVAILABLE", "this host is draining: ask another one", retry_after=1.0)
        if path == "*":
            return self._cors.options(request, dict.fromkeys(WEB_METHODS, NOBODY))
        found = self.table.known(request) or await self._found(request)
        if found is None:
            await self._member(request)
            return await self._controlled(request, self.control.index)
        if found.route is None:
            return self._other_verb(request, found.verbs)
        request.origins, request.exposed = found.route.origins, found.route.exposed
        if path.startswith(CALLS):
            self._cors.check_caller(request)
        if found.match is not None:
            request._match_info = found.match  # as aiohttp's Application does: handlers read request.match_info
        return await found.route.answer(request)

    async def _found(self, request: EdgeRequest) -> Found | None:
        """None: the index of this host, where no service has that path. Raises Refused."""
        try:
            return await self.table.find(request)
        except Refused:
            if request.path != "/":
                raise
            return None

    async def _admit(self, guard: Guard, request: EdgeRequest, *, own: bool) -> None:
        """Calls and what the host tells of itself are for members of the mesh; routes are for whom their services let in."""
        if request.path in OPEN or request.method == "OPTIONS":
            return
        if own or request.path.startswith(RESERVED):
            await self._member(request)
        else:
            guard.guest(request, request.connection.peer)

    async def _member(self, request: EdgeRequest) -> None:
        if self._guard is not None:
            await self._guard.member(request, request.connection.peer)

    async def _controlled(self, request: EdgeRequest, answer: object) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return self._other_verb(request, {"GET": NOBODY, "HEAD": NOBODY})
        assert callable(answer)
        made: web.StreamResponse = await answer(request, self.table)
        if self._guard is not None and isinstance(made, web.Response):
            self._guard.prove(request, made)
        return made

    def _other_verb(self, request: EdgeRequest, verbs: Verbs) -> web.StreamResponse:
        """OPTIONS is answered for every path; any other verb that the path has not is refused naming those it has."""
        request.origins = self._cors.readers(request, verbs)
        if request.method == "OPTIONS":
            return self._cors.options(request, verbs)
        taken = allow(verbs)
        text = f"{request.path[:200]} does not take {request.method}; it takes {taken}"
        raise Refused("NOT_SUPPORTED", text, status=405, headers={"Allow": taken}, details={"allow": sorted(verbs)})

    def _check_headers(self, request: EdgeRequest) -> None:
        raw = request.raw_headers
        if not headers.BEGINNINGS.isdisjoint(map(_first, map(_first, raw))):
            request.says_more = True
        size = sum(map(len, chain.from_iterable(raw))) + 4 * len(raw)
        if self._header_bytes is not None and size > self._header_bytes:
            text = f"{size} bytes of headers are over [limits] header_bytes = {self._header_bytes}"
            raise Refused("TOO_LARGE", text, status=431, headers={"Connection": "close"})

    def _from_aiohttp(self, answer: web.HTTPException) -> web.StreamResponse:
        """A handler raised one of aiohttp's exceptions: redirects and bodies of its own stay, an error gets our body."""
        if answer.status < HTTPStatus.BAD_REQUEST or answer.content_type != "text/plain":
            raise answer
        code = _CODES.get(answer.status, "INTERNAL" if answer.status >= 500 else "INVALID_ARGUMENT")
        fault = Fault(code=code, message=answer.text or answer.reason, executed="executed")
        return failure(fault, status=answer.status, headers=_kept(answer))

    def stamp(self, request: EdgeRequest, response: Answer) -> None:
        """What every answer carries."""
        said = response.headers
        said[hdrs.SERVER] = PRODUCT
        if self._cors.concerns(request.origins):
            self._cors.stamp(request.headers.get(hdrs.ORIGIN), said, request.origins)
        if request.exposed is not None and request.exposed.endpoint.deprecated:
            said.setdefault("Deprecation", self._since)
        if request.path.startswith(RESERVED):
            said[headers.REVISION] = str(self.table.surface.revision)
        if self.draining:
            said[headers.DRAINING] = "1"
        if self.draining or said.get(hdrs.CONNECTION) == "close":
            response.force_close()
            said[hdrs.CONNECTION] = "close"


def _kept(answer: web.HTTPException) -> dict[str, str]:
    return {
        name: value for name, value in answer.headers.items() if name in ("Allow", "WWW-Authenticate", "Retry-After")
    }
