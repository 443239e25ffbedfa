"""Pages of other origins: preflights, and headers on every real answer. Off unless origins are configured.

Two say who may read answers: `cors` of vyked.toml for the whole listener, and the origins of a single route, beside it. Only
origins that vyked.toml names may send cookies: the file's owner consents to that, not the author of a route.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from aiohttp import web
from multidict import CIMultiDict

from .options import Options
from .refusal import Refused

ALLOW_ORIGIN = "Access-Control-Allow-Origin"
ASKED_METHOD = "Access-Control-Request-Method"
NOBODY: frozenset[str] = frozenset()
EVERYBODY = "*"
Verbs = Mapping[str, frozenset[str]]
"""The verbs of one path, each with the origins of its route."""


class CrossOrigin:
    """Who may read what: `route` is always the origins of one route, beside those of vyked.toml."""

    def __init__(self, options: Options) -> None:
        self._origins = options.allowed_origins()
        self._open = EVERYBODY in self._origins
        self._cors = options.cors

    def allows(self, origin: str, route: frozenset[str] = NOBODY) -> bool:
        """May a page of `origin` read answers?"""
        return bool(self._permission(origin, route))

    def _permission(self, origin: str, route: frozenset[str]) -> str:
        """The origin as it is told to the browser; empty: none."""
        if self._open or (EVERYBODY in route and origin not in self._origins):
            return EVERYBODY
        return origin if origin in self._origins or origin in route else ""

    def concerns(self, route: frozenset[str]) -> bool:
        """Do answers of such a route say anything of this?"""
        return bool(self._origins or route)

    def stamp(self, origin: str | None, headers: CIMultiDict[str], route: frozenset[str] = NOBODY) -> None:
        """Put on an answer what tells the browser so; what the handler said itself stays."""
        if ALLOW_ORIGIN in headers:
            return
        if self._depends(route):
            headers.add("Vary", "Origin")
        permission = "" if origin is None else self._permission(origin, route)
        if not permission:
            return
        headers[ALLOW_ORIGIN] = permission
        if self._cors.credentials and permission in self._origins and permission != EVERYBODY:
            headers["Access-Control-Allow-Credentials"] = "true"
        if self._cors.expose:
            headers["Access-Control-Expose-Headers"] = ", ".join(self._cors.expose)

    def _depends(self, route: frozenset[str]) -> bool:
        """Do answers differ from origin to origin?"""
        return not self._open and (bool(self._origins) or EVERYBODY not in route)

    def readers(self, request: web.BaseRequest, verbs: Verbs) -> frozenset[str]:
        """The origins of what the host answers itself at a path: of the verb that a preflight asks for, else of all verbs."""
        asked = request.headers.get(ASKED_METHOD, "")
        return verbs[asked] if asked in verbs else NOBODY.union(*verbs.values())

    def options(self, request: web.BaseRequest, verbs: Verbs) -> web.Response:
        """The answer to OPTIONS for a path that has `verbs`: Allow, and what a preflight asks for."""
        headers = {"Allow": allow(verbs)}
        origin, asked = request.headers.get("Origin", ""), request.headers.get(ASKED_METHOD)
        if asked is not None and self.allows(origin, self.readers(request, verbs)):
            open_ones = {verb: route for verb, route in verbs.items() if self.allows(origin, route)}
            headers["Access-Control-Allow-Methods"] = allow(open_ones)
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


def allow(verbs: Verbs) -> str:
    """The value of Allow: OPTIONS is answered everywhere."""
    return ", ".join(sorted({*verbs, "OPTIONS"}))


def is_same_origin(request: web.BaseRequest, origin: str) -> bool:
    """Did a page of this very host send the request?"""
    try:
        return urlsplit(origin).netloc.lower() == request.host.lower()
    except ValueError:  # no address at all, such as "http://["
        return False
