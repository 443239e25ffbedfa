"""Pages of other origins: preflights, and headers on every real answer. Off unless origins are configured."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from aiohttp import web
from multidict import CIMultiDict

from .options import Options
from .refusal import Refused


class CrossOrigin:
    """What `cors` of vyked.toml allows."""

    def __init__(self, options: Options) -> None:
        self._origins = options.allowed_origins()
        self._cors = options.cors

    def allows(self, origin: str) -> bool:
        """May a page of `origin` read answers?"""
        return "*" in self._origins or origin in self._origins

    def stamp(self, origin: str | None, headers: CIMultiDict[str]) -> None:
        """Put on an answer what tells the browser so."""
        if not self._origins:
            return
        named = "*" not in self._origins
        if named:
            headers.add("Vary", "Origin")
        if origin is None or not self.allows(origin):
            return
        headers["Access-Control-Allow-Origin"] = origin if named else "*"
        if named and self._cors.credentials:
            headers["Access-Control-Allow-Credentials"] = "true"
        if self._cors.expose:
            headers["Access-Control-Expose-Headers"] = ", ".join(self._cors.expose)

    def options(self, request: web.BaseRequest, methods: Iterable[str]) -> web.Response:
        """The answer to OPTIONS for a path that has `methods`: Allow, and what a preflight asks for."""
        allow = ", ".join(sorted({*methods, "OPTIONS"}))
        headers = {"Allow": allow}
        asked = "Access-Control-Request-Method" in request.headers
        if asked and self.allows(request.headers.get("Origin", "")):
            headers["Access-Control-Allow-Methods"] = allow
            headers["Access-Control-Allow-Headers"] = ", ".join(self._cors.headers)
            headers["Access-Control-Max-Age"] = str(self._cors.max_age)
        return web.Response(status=204, headers=headers)

    def check_caller(self, request: web.BaseRequest) -> None:
        """Calls are not for pages of other origins: a browser sends some requests without asking first. Raises Refused."""
        origin = request.headers.get("Origin")
        if origin is not None and not is_same_origin(request, origin) and not self.allows(origin):
            raise Refused(
                "PERMISSION_DENIED", f"a page of {origin[:200]} may not call here; allow it with cors.origins"
            )


def is_same_origin(request: web.BaseRequest, origin: str) -> bool:
    """Did a page of this very host send the request?"""
    return urlsplit(origin).netloc.lower() == request.host.lower()
