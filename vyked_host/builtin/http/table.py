"""All routes of one surface: built when it is exposed, looked up per request, never changed: a new surface is a new table."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterator
from types import MappingProxyType

from aiohttp import web

from ...contracts import Kind, Surface
from ...errors import UsageError
from .cors import NOBODY, Verbs
from .exposed import Exposed
from .refusal import Refused
from .routes import CallRoute, Makes, Route, make_route

CALLS = "/-/call/"
RESERVED = "/-/"
NEAREST = 5


class Found:
    """What a request met: a route, or only the verbs that its path has. `is_plain`: answers of it say nothing that others don't."""

    __slots__ = ("is_plain", "match", "route", "verbs")

    def __init__(
        self, route: Route | CallRoute | None, match: web.UrlMappingMatchInfo | None = None, verbs: Verbs = MappingProxyType({})
    ) -> None:  # fmt: skip
        self.route, self.match, self.verbs = route, match, verbs
        exposed = None if route is None else route.exposed
        self.is_plain = route is not None and exposed is not None and not (route.origins or exposed.endpoint.deprecated)


class Table:
    """Routes in order of definition; aiohttp matches a fixed path before a template."""

    def __init__(
        self, surface: Surface, makes: Makes, *, limit: int, log: logging.Logger
    ) -> None:  # fmt: skip
        self.surface = surface
        self.exposed = tuple(
            Exposed(index, endpoint, makes.negotiation.serializers)
            for index, endpoint in enumerate(surface.endpoints)
            if endpoint is not None
        )
        self.calls = CallRoute(self.exposed, makes.runner, makes.negotiation, limit)
        self._dispatcher = web.UrlDispatcher()
        self._routes: dict[web.AbstractRoute, Route] = {}
        self._methods: dict[str, set[str]] = {}
        self._known: dict[tuple[str, str], Found] = {}
        for each in self.exposed:
            for binding in each.endpoint.http:
                self._add(make_route(each, binding, makes), binding.method, log)
        self._answer_head()
        self._known = dict(self._fixed())
        self._call = Found(self.calls)

    # ---- composition -----------------------------------------------------------------------------------------------
    def _add(self, route: Route, method: str, log: logging.Logger) -> None:
        binding, endpoint = route.binding, route.exposed.endpoint
        method = "GET" if endpoint.kind is Kind.WEBSOCKET else method
        if _is_reserved(binding.path):
            raise UsageError(f"{endpoint.path}: {binding.path!r} is the host's own path; choose another")
        known = self._methods.setdefault(binding.path, set())
        if method in known:
            log.warning("%s: %s %s is taken by an earlier route", endpoint.path, method, binding.path)
            return
        known.add(method)
        try:
            made = self._dispatcher.add_route(method, binding.path, _never)
        except ValueError as error:
            raise UsageError(f"{endpoint.path}: {binding.path!r} is no path for a route: {error}") from None
        self._routes[made] = route

    def _answer_head(self) -> None:
        """HEAD for every GET that has none of its own."""
        for route in list(self._routes.values()):
            known = self._methods[route.binding.path]
            if "GET" in known and "HEAD" not in known and route.binding.method == "GET" and not _is_socket(route):
                known.add("HEAD")
                self._routes[self._dispatcher.add_route("HEAD", route.binding.path, _never)] = route

    def _fixed(self) -> Iterator[tuple[tuple[str, str], Found]]:
        """(verb, path) and route, of those without a template: aiohttp takes the first one that was added, too."""
        for made, route in self._routes.items():
            if isinstance(made.resource, web.PlainResource):
                yield (made.method, made.resource.canonical), Found(route, web.UrlMappingMatchInfo({}, made))

    # ---- per request -----------------------------------------------------------------------------------------------
    def known(self, request: web.Request) -> Found | None:
        """The route of `request` where it takes no more than a look."""
        return self._known.get((request.method, request.rel_url.raw_path))

    def has(self, path: str) -> bool:
        """Is there a route of a service at `path`, as it was written, whatever its verb?"""
        return path in self._methods

    async def find(self, request: web.Request) -> Found:
        """The route of `request`. Raises Refused (404) naming the nearest ones."""
        if request.path.startswith(CALLS):
            return self._call if request.method == "POST" else Found(None, verbs={"POST": NOBODY})
        match = await self._dispatcher.resolve(request)
        error = match.http_exception
        if error is None:
            return Found(self._routes[match.route], match)
        if isinstance(error, web.HTTPMethodNotAllowed):
            return Found(None, verbs={verb: await self._origins(request, verb) for verb in error.allowed_methods})
        raise self._nothing(request)

    async def _origins(self, request: web.Request, verb: str) -> frozenset[str]:
        """The origins of the route that `verb` would have met at the same path."""
        return self._routes[(await self._dispatcher.resolve(request.clone(method=verb))).route].origins

    def described(self) -> Iterator[tuple[str, str, Exposed]]:
        """(verb, path, endpoint) of each route as it was written."""
        for each in self.exposed:
            for binding in each.endpoint.http:
                yield binding.method, binding.path, each

    def _nothing(self, request: web.Request) -> Refused:
        near = self._nearest(request.path)
        hint = f"; nearest: {', '.join(near)}" if near else ""
        more = "; GET / lists what is here"
        return Refused(
            "NOT_FOUND", f"nothing at {request.method} {request.path[:200]}{hint}{more}", details={"routes": near}
        )

    def _nearest(self, path: str) -> list[str]:
        written = {known: sorted(methods) for known, methods in self._methods.items()}
        found = difflib.get_close_matches(path[:200], written, n=NEAREST, cutoff=0.5)
        return [f"{method} {known}" for known in found for method in written[known]][:NEAREST]


def _is_reserved(path: str) -> bool:
    return path.startswith(RESERVED) or path == "/ping"


def _is_socket(route: Route) -> bool:
    return route.exposed.endpoint.kind is Kind.WEBSOCKET


async def _never(request: web.Request) -> web.StreamResponse:
    """aiohttp's dispatcher wants a handler to each route; ours are looked up beside it."""
    raise AssertionError(f"{request.path} was routed past the table")
