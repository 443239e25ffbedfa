"""The host's own paths: index, ping, statistics, probes, surface. They are never shed, and they answer during drain."""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from ...contracts import Calls, Environment, Kind
from . import directory
from .negotiation import preferences
from .refusal import JSON
from .table import CALLS, Table

Ready = Callable[[], Awaitable[tuple[bool, dict[str, Any]]]]
Statistics = Callable[[], dict[str, Any]]
Answer = Callable[[web.Request, Table], Awaitable[web.Response]]


class Control:
    """Answers the host's own paths. What `calls` can tell is asked for once, here."""

    def __init__(self, calls: Calls, env: Environment, connections: Callable[[], dict[str, Any]]) -> None:
        self._env, self._connections = env, connections
        self._statistics: Statistics | None = getattr(calls, "statistics", None)
        self._readiness: Ready | None = getattr(calls, "readiness", None)
        self.draining = False
        self.paths: dict[str, Answer] = {
            "/ping": self._ping,
            "/_stats": self._stats,
            "/-/live": self._live,
            "/-/ready": self._ready,
            "/-/surface": self._surface,
        }

    async def _ping(self, _request: web.Request, _table: Table) -> web.Response:
        """Vyked 2.x's: empty, 200."""
        return web.Response()

    async def _stats(self, _request: web.Request, _table: Table) -> web.Response:
        found = self._statistics() if self._statistics is not None else {}
        return as_json({**found, "listener": self._connections()})

    async def _live(self, _request: web.Request, _table: Table) -> web.Response:
        return as_json({"live": True, "node": self._env.node_id})

    async def _ready(self, _request: web.Request, _table: Table) -> web.Response:
        ready, told = await self._readiness() if self._readiness is not None else (True, {})
        reasons = dict(told.get("reasons", {}))
        if self.draining:
            ready, reasons["draining"] = False, "this host takes no new work"
        found = {**told, "ready": ready, "node": self._env.node_id, "reasons": reasons}
        return as_json(found, status=200 if ready else 503)

    async def _surface(self, _request: web.Request, table: Table) -> web.Response:
        serializers = tuple(self._env.serializers())
        body = directory.encode(table.surface, self._env.node_id, self._env.namespace, serializers)
        return web.Response(body=body, content_type=JSON, status=503 if self.draining else 200)

    async def index(self, request: web.Request, table: Table) -> web.Response:
        """What is here: JSON, or a page for who prefers one."""
        found = describe(table, self._env)
        if preferences(request.headers.get("Accept", ""))[:1] == ["text/html"]:
            return web.Response(text=page(found), content_type="text/html")
        return as_json(found)


def as_json(value: Any, status: int = 200) -> web.Response:
    """`value` as a JSON answer, indented for people."""
    body = msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
    return web.Response(body=body, status=status, content_type=JSON, headers={"Cache-Control": "no-store"})


def describe(table: Table, env: Environment) -> dict[str, Any]:
    """Services with their versions and endpoints, and the routes in order."""
    services: dict[str, dict[str, Any]] = {}
    for each in table.exposed:
        endpoint = each.endpoint
        service = services.setdefault(endpoint.service, {"version": endpoint.version, "endpoints": {}})
        service["endpoints"][endpoint.name] = _endpoint(endpoint)
    routes = [
        {"method": method, "path": path, "endpoint": each.endpoint.path} for method, path, each in table.described()
    ]
    return {"node": env.node_id, "mesh": env.namespace, "services": services, "routes": routes}


def _endpoint(endpoint: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": endpoint.kind.name.lower()}
    if endpoint.kind not in (Kind.HTTP, Kind.WEBSOCKET):
        found["call"] = f"POST {CALLS}{endpoint.service}/{endpoint.name}"
        found["arguments"] = list(getattr(endpoint.arguments, "__struct_fields__", ()))
    if endpoint.summary:
        found["summary"] = endpoint.summary
    if endpoint.deprecated:
        found["deprecated"] = endpoint.replacement or True
    return found


def page(found: dict[str, Any]) -> str:
    """The same for a browser: no script, no style from elsewhere, everything escaped."""
    rows = "".join(
        f"<tr><td>{html.escape(route['method'])}<td><code>{html.escape(route['path'])}</code>"
        f"<td>{html.escape(route['endpoint'])}"
        for route in found["routes"]
    )
    services = "".join(
        f"<h2>{html.escape(name)} <small>{html.escape(service['version'])}</small></h2><ul>"
        + "".join(
            f"<li><code>{html.escape(_line(name, each, about))}</code>" for each, about in service["endpoints"].items()
        )
        + "</ul>"
        for name, service in found["services"].items()
    )
    title = html.escape(f"{found['mesh']} / {found['node']}")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<body><h1>{title}</h1><table>{rows}</table>{services}</body></html>\n"
    )


def _line(service: str, name: str, about: dict[str, Any]) -> str:
    return f"{service}.{name}({', '.join(about.get('arguments', ()))})  {about.get('summary', '')}"
